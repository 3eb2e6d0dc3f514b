/* Running a program: its segments to the queue, waiting, and what becomes of a lost device.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "backend/vulkan/program/program.h"
#include "backend/vulkan/device/wait.h"

enum { SEGMENTS_IN_FLIGHT = 3 };

pd_status pd_vk_raise_if_lost(const pd_vk_device *d, pd_error *err) {
    if (!d->lost) return PD_OK;
    return PD_RAISE(err, PD_ERR_DEVICE_LOST, "%s was lost by an earlier call", d->info.name);
}

/* Where it happened, as near as it is known without asking for more at every dispatch. */
pd_status pd_vk_name_work(const pd_program *p, uint32_t first, uint32_t end, pd_status status,
                          pd_error *err) {
    if (status != PD_ERR_DEVICE_LOST || !err || first >= end) return status;
    const pd_vk_dispatch *a = &p->dispatches[first], *z = &p->dispatches[end - 1];
    size_t n = strlen(err->message);
    snprintf(err->message + n, sizeof err->message - n, ", between %s, %s, and %s, %s",
             p->ops[a->op_index].name, a->pipeline->name, p->ops[z->op_index].name,
             z->pipeline->name);
    return status;
}

pd_status pd_vk_submit_segment(pd_program *p, uint32_t segment, uint32_t turn, VkFence fence,
                               pd_error *err) {
    pd_vk_device *d = p->backend->device;
    pd_status status = PD_OK;
    VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                           .commandBufferCount = 1,
                           .pCommandBuffers = &p->segments[segment].cmds[turn]};
    PD_VK_TRY_GOTO(d->vk.vkQueueSubmit(d->queue, 1, &submit, fence));
done:
    if (status == PD_ERR_DEVICE_LOST) d->lost = true;
    return status;
}

static pd_status wait_segment(pd_program *p, pd_vk_segment *s, pd_error *err) {
    pd_vk_device *d = p->backend->device;
    pd_status status = PD_OK;
    if (!s->pending) return PD_OK;
    s->pending = false;
    PD_TRY_GOTO(pd_vk_wait(d, s->fence, err));
    PD_VK_TRY_GOTO(d->vk.vkResetFences(d->handle, 1, &s->fence));
done:
    if (status == PD_ERR_DEVICE_LOST) d->lost = true;
    return pd_vk_name_work(p, s->first, s->end, status, err);
}

/* One after the other, with some in flight, so that a step can be cancelled between them; none is
 * while others run. */
static pd_status submit_step(pd_program *p, const pd_step *step, pd_error *err) {
    for (uint32_t i = 0; i < p->n_segments; i++) {
        if (step->between && i > 0) {
            PD_TRY(wait_segment(p, &p->segments[i - 1], err));
            step->between(step->between_ctx);
        }
        if (i >= SEGMENTS_IN_FLIGHT)
            PD_TRY(wait_segment(p, &p->segments[i - SEGMENTS_IN_FLIGHT], err));
        if (step->cancel && atomic_load(step->cancel))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped in the middle of a step");
        PD_TRY(pd_vk_submit_segment(p, i, 0, p->segments[i].fence, err));
        p->segments[i].pending = true;
    }
    return PD_OK;
}

/* After a failure nothing stays in flight, and no fence signalled. */
static void drain(pd_program *p) {
    pd_vk_device *d = p->backend->device;
    pd_vk_settle(d);
    for (uint32_t i = 0; i < p->n_segments; i++) {
        d->vk.vkResetFences(d->handle, 1, &p->segments[i].fence);
        p->segments[i].pending = false;
    }
}

pd_status pd_vk_program_run(pd_program *p, const pd_step *step, pd_error *err) {
    PD_TRY(pd_vk_raise_if_lost(p->backend->device, err));
    if (p->backend->memory.counts_only) return PD_OK;
    PD_TRY(pd_vk_bind(p, err));
    pd_vk_write_step(p, step);
    pd_status status = submit_step(p, step, err);
    for (uint32_t i = 0; i < p->n_segments; i++) { /* also after a failure */
        pd_status waited = wait_segment(p, &p->segments[i], status == PD_OK ? err : NULL);
        if (status == PD_OK) status = waited;
    }
    if (status != PD_OK) drain(p);
    return status;
}
