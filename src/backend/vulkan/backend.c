/* The Vulkan backend's vtable, its life, and one-off command buffers.  SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/program/backend.h"

#include <stdlib.h>
#include <string.h>

#include "backend/vulkan/program/program.h"
#include "backend/vulkan/tune/selftest.h"
#include "backend/vulkan/tune/tune.h"
#include "backend/vulkan/device/wait.h"

enum { TRANSFER_BYTES = 1 << 20 };

/* Until something better is known: the slowest GPU worth the name, and two cores. */
static const double SLOWEST_GPU = 0.5e12, SLOWEST_SOFTWARE = 10e9;

/* ---- one-off command buffers ---------------------------------------------------------------- */

pd_status pd_vk_begin_once(pd_vk_backend *b, VkCommandBuffer *out, pd_error *err) {
    pd_vk_device *d = b->device;
    pd_status status = PD_OK;
    *out = VK_NULL_HANDLE;
    VkCommandBufferAllocateInfo alloc = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                         .commandPool = b->command_pool,
                                         .commandBufferCount = 1};
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    PD_VK_TRY_GOTO(d->vk.vkAllocateCommandBuffers(d->handle, &alloc, out));
    PD_VK_TRY_GOTO(d->vk.vkBeginCommandBuffer(*out, &begin));
done:
    if (status != PD_OK && *out) d->vk.vkFreeCommandBuffers(d->handle, b->command_pool, 1, out);
    return status;
}

pd_status pd_vk_finish_once(pd_vk_backend *b, VkCommandBuffer cmd, pd_error *err) {
    pd_vk_device *d = b->device;
    pd_status status = PD_OK;
    VkFence fence = VK_NULL_HANDLE;
    VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &cmd};
    PD_VK_TRY_GOTO(d->vk.vkEndCommandBuffer(cmd));
    PD_VK_MAKE_GOTO(d->vk.vkCreateFence(d->handle, &info, NULL, &fence), fence);
    PD_VK_TRY_GOTO(d->vk.vkQueueSubmit(d->queue, 1, &submit, fence));
    status = pd_vk_wait(d, fence, err);
done:
    if (status == PD_ERR_DEVICE_LOST) d->lost = true;
    if (status != PD_OK) pd_vk_settle(d);
    d->vk.vkDestroyFence(d->handle, fence, NULL);
    d->vk.vkFreeCommandBuffers(d->handle, b->command_pool, 1, &cmd);
    return status;
}

/* Records and runs one copy between buffers, ordered after everything before and before the host.
 */
static pd_status copy_now(pd_vk_backend *b, VkBuffer from, uint64_t from_at, VkBuffer to,
                          uint64_t to_at, uint64_t n, pd_error *err) {
    VkCommandBuffer cmd;
    PD_TRY(pd_vk_begin_once(b, &cmd, err));
    VkMemoryBarrier before = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    VkMemoryBarrier after = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                             .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                             .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_SHADER_READ_BIT};
    VkBufferCopy region = {from_at, to_at, n};
    const struct VolkDeviceTable *vk = &b->device->vk;
    vk->vkCmdPipelineBarrier(cmd,
                             VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                             VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &before, 0, NULL, 0, NULL);
    vk->vkCmdCopyBuffer(cmd, from, to, 1, &region);
    vk->vkCmdPipelineBarrier(cmd, VK_PIPELINE_STAGE_TRANSFER_BIT,
                             VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0,
                             1, &after, 0, NULL, 0, NULL);
    return pd_vk_finish_once(b, cmd, err);
}

/* A mapped buffer of at least `bytes`, kept for the next copy. */
static pd_status grow_transfer(pd_vk_backend *b, pd_vk_buffer *buffer, pd_vk_use use,
                               uint64_t bytes, pd_error *err) {
    if (buffer->bytes >= bytes) return PD_OK;
    pd_vk_buffer_destroy(&b->memory, buffer);
    uint64_t rounded = pd_round_up(bytes, TRANSFER_BYTES);
    return pd_vk_buffer_create(&b->memory, use, PD_VK_FOR_STEPS, rounded, "host copies", buffer,
                               err);
}

pd_status pd_vk_copy_in(pd_vk_backend *b, pd_vk_slice to, const void *src, pd_error *err) {
    PD_TRY(grow_transfer(b, &b->transfer_in, PD_VK_STAGING, to.bytes, err));
    if (b->memory.counts_only) return PD_OK;
    memcpy(b->transfer_in.mapped, src, to.bytes);
    return copy_now(b, b->transfer_in.handle, 0, to.handle, to.offset, to.bytes, err);
}

pd_status pd_vk_copy_out(pd_vk_backend *b, pd_vk_slice from, void *dst, pd_error *err) {
    PD_TRY(grow_transfer(b, &b->transfer_out, PD_VK_READBACK, from.bytes, err));
    if (b->memory.counts_only) {
        memset(dst, 0, from.bytes);
        return PD_OK;
    }
    PD_TRY(copy_now(b, from.handle, from.offset, b->transfer_out.handle, 0, from.bytes, err));
    memcpy(dst, b->transfer_out.mapped, from.bytes);
    return PD_OK;
}

/* ---- the vtable ----------------------------------------------------------------------------- */

static void vulkan_close(pd_backend *base) {
    pd_vk_backend *b = (pd_vk_backend *)base;
    if (b->device) {
        if (!b->is_recount) b->device->vk.vkDeviceWaitIdle(b->device->handle);
        pd_vk_buffer_destroy(&b->memory, &b->transfer_in);
        pd_vk_buffer_destroy(&b->memory, &b->transfer_out);
    }
    if (b->device && !b->is_recount) {
        pd_vk_weights_destroy(b->weights);
        if (b->pipelines) pd_vk_pipelines_destroy(b->pipelines);
        b->device->vk.vkDestroyCommandPool(b->device->handle, b->command_pool, NULL);
        pd_vk_device_close(b->device);
    }
    pd_free(b);
}

/* A buffer of the same size in the account, which is nobody's to destroy. */
static pd_vk_buffer outline(const pd_vk_buffer *b) {
    return (pd_vk_buffer){.bytes = b->bytes, .held_bytes = b->held_bytes, .account = b->account};
}

static pd_status vulkan_recount(pd_backend *base, pd_backend **out, pd_error *err) {
    pd_vk_backend *b = pd_alloc(1, sizeof *b);
    if (!b) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the Vulkan backend");
    *b = *(const pd_vk_backend *)base;
    b->memory.counts_only = b->is_recount = true;
    b->transfer_in = outline(&b->transfer_in);
    b->transfer_out = outline(&b->transfer_out);
    *out = &b->base;
    return PD_OK;
}

static const pd_device_info *vulkan_info(const pd_backend *base) {
    return &((const pd_vk_backend *)base)->device->info;
}

static void vulkan_stats(const pd_backend *base, pd_backend_stats *out) {
    const pd_vk_memory *m = &((const pd_vk_backend *)base)->memory;
    *out =
        (pd_backend_stats){.weight_bytes = m->held[PD_VK_FOR_WEIGHTS],
                           .kv_bytes = m->held[PD_VK_FOR_KV],
                           .scratch_bytes = m->held[PD_VK_FOR_SCRATCH] + m->held[PD_VK_FOR_STEPS],
                           .step_bytes = m->held[PD_VK_FOR_STEPS],
                           .peak_bytes = m->peak_bytes,
                           .limit_bytes = m->limit_bytes};
    pd_vk_pipelines_stats(((const pd_vk_backend *)base)->pipelines, &out->build);
}

static void vulkan_expect(pd_backend *base, const pd_plan *plans, uint32_t n) {
    pd_vk_backend *b = (pd_vk_backend *)base;
    b->expected = plans;
    b->n_expected = n;
}

static pd_status vulkan_load(pd_backend *base, const pd_plan *plan, pd_progress_fn progress,
                             void *ctx, pd_error *err) {
    pd_vk_backend *b = (pd_vk_backend *)base;
    pd_status status = pd_vk_weights_load(b->weights, plan, progress, ctx, err);
    vulkan_expect(base, NULL, 0);
    return status;
}

static const pd_backend_vtable VTABLE = {
    .close = vulkan_close,
    .info = vulkan_info,
    .stats = vulkan_stats,
    .expect = vulkan_expect,
    .load = vulkan_load,
    .kv_create = pd_vk_kv_create,
    .kv_destroy = pd_vk_kv_destroy,
    .compile = pd_vk_program_compile,
    .destroy = pd_vk_program_destroy,
    .run = pd_vk_program_run,
    .run_ahead = pd_vk_program_run_ahead,
    .write = pd_vk_program_write,
    .read = pd_vk_program_read,
    .trace = pd_vk_program_trace,
    .count = pd_vk_program_count,
    .measure = pd_vk_measure,
    .recount = vulkan_recount,
};

/* Half of what the tuner saw in a product of floats, since attention is slower. PERIDOT_FLOPS, per
 * second, lets any device show that work is cut into short submissions. */
static pd_status assume_speed(pd_vk_backend *b, pd_error *err) {
    const char *text = getenv("PERIDOT_FLOPS");
    b->flops_per_s = b->device->caps.is_software ? SLOWEST_SOFTWARE : SLOWEST_GPU;
    double measured = b->tuning.f32_gflop_s;
    if (measured > 0) b->flops_per_s = 0.5e9 * measured;
    if (!text || !text[0]) return PD_OK;
    char *end;
    b->flops_per_s = strtod(text, &end);
    if (*end == '\0' && b->flops_per_s > 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "PERIDOT_FLOPS is \"%s\", but must be a positive number",
                    text);
}

static pd_status open_parts(pd_vk_backend *b, uint32_t index, const pd_backend_desc *desc,
                            pd_error *err) {
    pd_status status = pd_vk_device_open(index, &b->device, err);
    if (status != PD_OK) return status;
    pd_vk_device *d = b->device;
    pd_vk_memory_init(&b->memory, d, desc->memory_limit_bytes);
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = d->queue_family};
    PD_VK_MAKE_GOTO(d->vk.vkCreateCommandPool(d->handle, &pool, NULL, &b->command_pool),
                    b->command_pool);
    status = pd_vk_pipelines_create(d, &b->pipelines, err);
    if (status == PD_OK) status = pd_vk_weights_create(b, &b->weights, err);
    b->flops_per_s = SLOWEST_SOFTWARE;
    if (status == PD_OK) status = pd_vk_self_test(b, err);
    b->tuning = pd_vk_rules_of_thumb(&d->caps);
    if (status == PD_OK) status = pd_vk_tune(b, err);
    if (status == PD_OK) status = assume_speed(b, err);
    b->memory.counts_only = desc->counts_only; /* the self-test and the tuner have computed */
done:
    return status;
}

pd_status pd_vulkan_open(uint32_t index, const pd_backend_desc *desc, pd_backend **out,
                         pd_error *err) {
    *out = NULL;
    pd_vk_backend *b = pd_alloc(1, sizeof *b);
    if (!b) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the Vulkan backend");
    b->base.v = &VTABLE;
    pd_status status = open_parts(b, index, desc, err);
    if (status == PD_OK)
        *out = &b->base;
    else
        vulkan_close(&b->base);
    return status;
}
