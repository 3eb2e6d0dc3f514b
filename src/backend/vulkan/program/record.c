/* Dispatches to command buffers, recorded once and replayed for every step.
 *
 * Barriers. A dispatch waits for everything before it when it touches what an earlier one since the
 * last barrier wrote, or writes what one of them read; independent dispatches overlap. One global
 * memory barrier between compute and compute is all that drivers make of finer ones anyway.
 *
 * Segments. A command buffer ends when its predicted work passes a budget, so that no submission
 * keeps a GPU busy long enough for a watchdog, and a cancelled prompt stops between them.
 *
 * Steps that run ahead (run_ahead.c) submit equal command buffers before the first is done, and
 * their dispatches are skipped where the device can do that by itself when the run has ended.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "backend/vulkan/kernels/descriptors.h"
#include "backend/vulkan/program/program.h"

double pd_vk_submission_flops(const pd_vk_backend *b) {
    return 0.05 * b->flops_per_s;
}

/* ---- indirect grids ------------------------------------------------------------------------- */

/* Steps of one row never vary; everything else reads its workgroup counts from the step buffer. */
static bool is_static(const pd_program *p, const pd_vk_dispatch *d) {
    return d->count == PD_VK_COUNT_NONE || (d->count != PD_VK_COUNT_OUTS && p->desc.max_rows == 1);
}

static pd_status assign_grid(pd_program *p, pd_vk_dispatch *d, pd_error *err) {
    if (is_static(p, d)) {
        d->groups[d->axis] = 1;
        return PD_OK;
    }
    pd_vk_grid g = {.groups = {d->groups[0], d->groups[1], d->groups[2]},
                    .count = d->count,
                    .axis = d->axis,
                    .per_group = d->per_group,
                    .first = d->first,
                    .most = d->most};
    uint32_t i = 0;
    while (i < p->n_grids && memcmp(&p->grids[i], &g, sizeof g)) i++;
    if (i == PD_STEP_MAX_DISPATCHES)
        return PD_RAISE(err, PD_ERR_INTERNAL, "plan %s needs more than %d indirect grids",
                        p->desc.name, PD_STEP_MAX_DISPATCHES);
    if (i == p->n_grids) p->grids[p->n_grids++] = g;
    d->indirect = (int32_t)i;
    return PD_OK;
}

/* ---- hazards -------------------------------------------------------------------------------- */

static bool overlap(const pd_vk_slice *a, const pd_vk_slice *b) {
    return a->handle == b->handle && a->offset < b->offset + b->bytes &&
           b->offset < a->offset + a->bytes;
}

/* Whether `d` does `access` to what `earlier` did `before` to. */
static bool meet(const pd_vk_dispatch *d, unsigned access, const pd_vk_dispatch *earlier,
                 unsigned before) {
    for (uint32_t i = 0; i < d->n_buffers; i++)
        for (uint32_t k = 0; k < earlier->n_buffers; k++)
            if ((d->bindings[i].access & access) && (earlier->bindings[k].access & before) &&
                overlap(&d->bindings[i].slice, &earlier->bindings[k].slice))
                return true;
    return false;
}

/* The dispatches of one operation are independent by construction (slices of a matrix write
 * different columns) unless one reads what another wrote (merging partial results). */
static bool depends(const pd_vk_dispatch *d, const pd_vk_dispatch *earlier) {
    if (meet(d, PD_VK_READ, earlier, PD_VK_WRITTEN)) return true;
    if (d->op_index == earlier->op_index) return false;
    return meet(d, PD_VK_WRITTEN, earlier, PD_VK_READ | PD_VK_WRITTEN);
}

static bool needs_barrier(const pd_program *p, uint32_t since, uint32_t i) {
    for (uint32_t e = since; e < i; e++)
        if (depends(&p->dispatches[i], &p->dispatches[e])) return true;
    return false;
}

/* ---- commands ------------------------------------------------------------------------------- */

static void barrier(const pd_program *p, VkCommandBuffer cmd, VkPipelineStageFlags from,
                    VkAccessFlags wrote, VkPipelineStageFlags to, VkAccessFlags access) {
    VkMemoryBarrier b = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = wrote, .dstAccessMask = access};
    p->backend->device->vk.vkCmdPipelineBarrier(cmd, from, to, 0, 1, &b, 0, NULL, 0, NULL);
}

static void compute_barrier(const pd_program *p, VkCommandBuffer cmd) {
    barrier(p, cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
            VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

static void record_dispatch(const pd_program *p, VkCommandBuffer cmd, const pd_vk_dispatch *d) {
    const struct VolkDeviceTable *vk = &p->backend->device->vk;
    vk->vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, d->pipeline->handle);
    vk->vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, d->pipeline->layout, 0, 1,
                                &d->set, 0, NULL);
    vk->vkCmdPushConstants(cmd, d->pipeline->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                           d->pipeline->desc.push_bytes, d->push);
    if (d->indirect < 0) {
        vk->vkCmdDispatch(cmd, d->groups[0], d->groups[1], d->groups[2]);
        return;
    }
    VkDeviceSize at = 4ull * (PD_STEP_DISPATCHES + 4u * (uint32_t)d->indirect);
    vk->vkCmdDispatchIndirect(cmd, p->step.handle, at);
}

/* Small outputs go to the read-back buffer with the last segment. */
static void record_readback(const pd_program *p, VkCommandBuffer cmd) {
    if (p->readback.handle == VK_NULL_HANDLE) return;
    barrier(p, cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
            VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
    for (uint32_t i = 0; i < p->n_bufs; i++) {
        if (p->readback_at[i] == UINT64_MAX) continue;
        VkBufferCopy copy = {p->bufs[i].offset, p->readback_at[i], p->bufs[i].bytes};
        p->backend->device->vk.vkCmdCopyBuffer(cmd, p->scratch.handle, p->readback.handle, 1,
                                               &copy);
    }
    barrier(p, cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_HOST_BIT,
            VK_ACCESS_HOST_READ_BIT);
}

static bool is_conditional(const pd_program *p) {
    return p->ring.handle && p->backend->device->caps.conditional;
}

/* Behind whatever was submitted before: compute, and transfers by the host's calls. */
static void record_start(const pd_program *p, VkCommandBuffer cmd) {
    VkPipelineStageFlags to = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    VkAccessFlags access =
        VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    if (is_conditional(p)) {
        to |= VK_PIPELINE_STAGE_CONDITIONAL_RENDERING_BIT_EXT;
        access |= VK_ACCESS_CONDITIONAL_RENDERING_READ_BIT_EXT;
    }
    barrier(p, cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, to, access);
}

/* The dispatches run as long as the step buffer says GO. */
static void record_condition(const pd_program *p, VkCommandBuffer cmd) {
    VkConditionalRenderingBeginInfoEXT info = {
        .sType = VK_STRUCTURE_TYPE_CONDITIONAL_RENDERING_BEGIN_INFO_EXT,
        .buffer = p->step.handle,
        .offset = 4 * (PD_STEP_STATE + PD_STATE_GO)};
    if (is_conditional(p)) p->backend->device->vk.vkCmdBeginConditionalRenderingEXT(cmd, &info);
}

void pd_vk_record_op(const pd_program *p, VkCommandBuffer cmd, uint32_t op_index) {
    record_start(p, cmd);
    for (uint32_t i = 0, since = 0; i < p->n_dispatches; i++) {
        const pd_vk_dispatch *d = &p->dispatches[i];
        if (d->op_index != op_index) continue;
        if (i > 0 && p->dispatches[i - 1].op_index != op_index) since = i;
        if (needs_barrier(p, since, i)) {
            compute_barrier(p, cmd);
            since = i;
        }
        record_dispatch(p, cmd, d);
    }
}

static pd_status record_copy(pd_program *p, const pd_vk_segment *s, VkCommandBuffer cmd, bool last,
                             pd_error *err) {
    pd_vk_device *dev = p->backend->device;
    pd_status status = PD_OK;
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    PD_VK_TRY_GOTO(dev->vk.vkBeginCommandBuffer(cmd, &begin));
    record_start(p, cmd);
    record_condition(p, cmd);
    uint32_t since = s->first;
    for (uint32_t i = s->first; i < s->end; i++) {
        if (needs_barrier(p, since, i)) {
            compute_barrier(p, cmd);
            p->n_barriers += cmd == s->cmds[0];
            since = i;
        }
        record_dispatch(p, cmd, &p->dispatches[i]);
    }
    if (is_conditional(p)) dev->vk.vkCmdEndConditionalRenderingEXT(cmd);
    if (last) record_readback(p, cmd);
    PD_VK_TRY_GOTO(dev->vk.vkEndCommandBuffer(cmd));
done:
    return status;
}

/* ---- segments ------------------------------------------------------------------------------- */

static uint32_t segment_end(const pd_program *p, uint32_t first) {
    double flops = 0, budget = pd_vk_submission_flops(p->backend);
    uint32_t i = first;
    while (i < p->n_dispatches && (i == first || flops + p->dispatches[i].flops <= budget))
        flops += p->dispatches[i++].flops;
    return i;
}

static pd_status create_segment(pd_program *p, pd_vk_segment *s, pd_error *err) {
    pd_vk_device *dev = p->backend->device;
    pd_status status = PD_OK;
    VkCommandBufferAllocateInfo alloc = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                         .commandPool = p->backend->command_pool,
                                         .commandBufferCount =
                                             p->ring.handle ? PD_VK_STEPS_IN_FLIGHT : 1};
    PD_VK_TRY_GOTO(dev->vk.vkAllocateCommandBuffers(dev->handle, &alloc, s->cmds));
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    PD_VK_MAKE_GOTO(dev->vk.vkCreateFence(dev->handle, &fence, NULL, &s->fence), s->fence);
done:
    return status;
}

static pd_status cut_segments(pd_program *p, pd_error *err) {
    uint32_t n = 0;
    for (uint32_t first = 0; first < p->n_dispatches; first = segment_end(p, first)) n++;
    p->segments = pd_alloc(n, sizeof *p->segments);
    if (!p->segments) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the command buffers");
    for (uint32_t first = 0; p->n_segments < n;) {
        pd_vk_segment *s = &p->segments[p->n_segments++]; /* destroyed even if only half made */
        s->first = first;
        s->end = first = segment_end(p, first);
        PD_TRY(create_segment(p, s, err));
    }
    return PD_OK;
}

static pd_status write_sets(pd_program *p, pd_error *err) {
    uint32_t n_buffers = 0;
    for (uint32_t i = 0; i < p->n_dispatches; i++) n_buffers += p->dispatches[i].n_buffers;
    PD_TRY(pd_vk_pool_create(p->backend->device, p->n_dispatches, n_buffers, &p->pool, err));
    for (uint32_t i = 0; i < p->n_dispatches; i++) {
        pd_vk_dispatch *d = &p->dispatches[i];
        pd_vk_slice buffers[PD_VK_MAX_BUFFERS];
        for (uint32_t k = 0; k < d->n_buffers; k++) buffers[k] = d->bindings[k].slice;
        PD_TRY(pd_vk_set_create(p->backend->device, p->pool, d->pipeline, buffers, &d->set, err));
    }
    return PD_OK;
}

pd_status pd_vk_record(pd_program *p, pd_error *err) {
    PD_TRY(write_sets(p, err));
    for (uint32_t i = 0; i < p->n_dispatches; i++) PD_TRY(assign_grid(p, &p->dispatches[i], err));
    PD_TRY(cut_segments(p, err));
    for (uint32_t i = 0; i < p->n_segments; i++) {
        const pd_vk_segment *s = &p->segments[i];
        for (uint32_t k = 0; k < PD_VK_STEPS_IN_FLIGHT && s->cmds[k]; k++)
            PD_TRY(record_copy(p, s, s->cmds[k], i + 1 == p->n_segments, err));
    }
    return PD_OK;
}

void pd_vk_erase(pd_program *p) {
    pd_vk_device *d = p->backend->device;
    for (uint32_t i = 0; p->segments && i < p->n_segments; i++) {
        pd_vk_segment *s = &p->segments[i];
        uint32_t n = 0; /* null ones may be among them, but Wine's Vulkan stumbles over those */
        while (n < PD_VK_STEPS_IN_FLIGHT && s->cmds[n]) n++;
        if (n > 0) d->vk.vkFreeCommandBuffers(d->handle, p->backend->command_pool, n, s->cmds);
        d->vk.vkDestroyFence(d->handle, s->fence, NULL);
    }
    d->vk.vkDestroyDescriptorPool(d->handle, p->pool, NULL);
    pd_free(p->segments);
    p->segments = NULL;
    p->pool = VK_NULL_HANDLE;
    p->n_segments = p->n_barriers = p->n_grids = 0;
}
