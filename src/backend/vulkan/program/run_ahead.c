/* Running ahead of the host: several steps in flight, each computing the token that the one before
 * it drew.
 *
 * The last dispatch of a step writes what it drew into the ring, where the host finds it, and into
 * the step buffer, where the next step finds it (sample.comp). Equal command buffers can therefore
 * be submitted before the first is done: some steps are always queued ahead, and the device never
 * waits for the host, which waits for the oldest step alone.
 *
 * When the run ends, GO in the step buffer is cleared, by the device at a stop token, by the host
 * otherwise. The steps that are still queued then skip all dispatches where the device has
 * VK_EXT_conditional_rendering; elsewhere they run in full, on a row that nobody asked for, and
 * what they write is ignored. A host that clears GO may catch a step half-way.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/program/program.h"

#include <string.h>

#include "backend/vulkan/device/wait.h"

static bool can_run_ahead(const pd_program *p) {
    const pd_plan_desc *d = &p->desc;
    bool one = d->max_rows == 1 && d->max_outs == 1 && d->max_seqs == 1;
    return one && p->n_ops > 0 && p->ops[p->n_ops - 1].kind == PD_OP_SAMPLE;
}

pd_status pd_vk_run_ahead_create(pd_program *p, pd_error *err) {
    pd_vk_device *d = p->backend->device;
    pd_status status = PD_OK;
    VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    if (!can_run_ahead(p)) return PD_OK;
    PD_TRY_GOTO(pd_vk_buffer_create(&p->backend->memory, PD_VK_READBACK, PD_VK_FOR_STEPS,
                                    16 * PD_RING_STEPS, "drawn tokens", &p->ring, err));
    for (int i = 0; i < PD_VK_STEPS_IN_FLIGHT; i++)
        PD_VK_MAKE_GOTO(d->vk.vkCreateFence(d->handle, &info, NULL, &p->step_fences[i]),
                        p->step_fences[i]);
done:
    return status;
}

void pd_vk_run_ahead_destroy(pd_program *p) {
    pd_vk_device *d = p->backend->device;
    for (int i = 0; i < PD_VK_STEPS_IN_FLIGHT; i++)
        d->vk.vkDestroyFence(d->handle, p->step_fences[i], NULL);
    pd_vk_buffer_destroy(&p->backend->memory, &p->ring);
}

/* A run that is under way. */
typedef struct ahead_run {
    pd_program *p;
    const pd_run_ahead *ahead;
    volatile uint32_t *state; /* in the step buffer: the device changes it */
    uint32_t n_submitted, n_done, n_handed;
    bool ended, intact;
} ahead_run;

/* The whole step at once: nobody cancels it, and the fence tells of its end. */
static pd_status submit_step(ahead_run *r, pd_error *err) {
    uint32_t turn = r->n_submitted % PD_VK_STEPS_IN_FLIGHT, last = r->p->n_segments - 1;
    for (uint32_t i = 0; i <= last; i++) {
        VkFence fence = i == last ? r->p->step_fences[turn] : VK_NULL_HANDLE;
        PD_TRY(pd_vk_submit_segment(r->p, i, turn, fence, err));
    }
    r->n_submitted++;
    return PD_OK;
}

static pd_status wait_step(ahead_run *r, pd_error *err) {
    pd_vk_device *d = r->p->backend->device;
    pd_status status = PD_OK;
    const VkFence *fence = &r->p->step_fences[r->n_done % PD_VK_STEPS_IN_FLIGHT];
    PD_TRY_GOTO(pd_vk_wait(d, *fence, err));
    PD_VK_TRY_GOTO(d->vk.vkResetFences(d->handle, 1, fence));
    r->n_done++;
done:
    return pd_vk_name_work(r->p, 0, r->p->n_dispatches, status, err);
}

static void hand_over(ahead_run *r) {
    const pd_run_ahead *c = r->ahead;
    pd_sample_result drawn;
    memcpy(&drawn, r->p->ring.mapped + sizeof drawn * (r->n_handed++ % PD_RING_STEPS),
           sizeof drawn);
    bool device_ended =
        drawn.n_nonfinite != 0 || drawn.id == c->stops[0] || drawn.id == c->stops[1];
    bool more = c->fn(c->ctx, &drawn);
    if (more && !device_ended) return;
    if (!device_ended) r->state[PD_STATE_GO] = 0;
    r->ended = true;
    r->intact = device_ended || r->n_done == r->n_submitted;
}

static pd_status run_steps(ahead_run *r, pd_error *err) {
    while (!r->ended || r->n_done < r->n_submitted) {
        while (!r->ended && r->n_submitted < r->ahead->n_steps &&
               r->n_submitted - r->n_done < PD_VK_STEPS_IN_FLIGHT)
            PD_TRY(submit_step(r, err));
        PD_TRY(wait_step(r, err));
        if (r->ended) continue;
        hand_over(r);
        if (r->n_handed == r->ahead->n_steps) r->ended = true;
    }
    return PD_OK;
}

/* After a failure nothing stays in flight, and no fence signalled. */
static void drain(ahead_run *r) {
    pd_vk_device *d = r->p->backend->device;
    r->state[PD_STATE_GO] = 0;
    pd_vk_settle(d);
    d->vk.vkResetFences(d->handle, PD_VK_STEPS_IN_FLIGHT, r->p->step_fences);
}

pd_status pd_vk_program_run_ahead(pd_program *p, const pd_run_ahead *ahead, pd_run_ahead_end *end,
                                  pd_error *err) {
    *end = (pd_run_ahead_end){0};
    if (!p->ring.handle)
        return PD_RAISE(err, PD_ERR_INTERNAL, "plan %s cannot run ahead", p->desc.name);
    PD_TRY(pd_vk_raise_if_lost(p->backend->device, err));
    PD_TRY(pd_vk_bind(p, err));
    pd_vk_write_step(p, ahead->first);
    ahead_run r = {.p = p, .ahead = ahead, .intact = true};
    r.state = (uint32_t *)(void *)p->step.mapped + PD_STEP_STATE;
    r.state[PD_STATE_RUNS_AHEAD] = 1;
    r.state[PD_STATE_STOPS] = ahead->stops[0];
    r.state[PD_STATE_STOPS + 1] = ahead->stops[1];
    pd_status status = run_steps(&r, err);
    if (status != PD_OK) drain(&r);
    if (status == PD_ERR_DEVICE_LOST) p->backend->device->lost = true;
    end->n_dropped = r.state[PD_STATE_N_RUN] - r.n_handed;
    end->intact = status == PD_OK && r.intact && end->n_dropped == 0;
    return status;
}
