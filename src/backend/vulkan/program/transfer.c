/* One-off command buffers, and copies between the device and the host's memory.
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "backend/vulkan/device/wait.h"
#include "backend/vulkan/program/backend.h"

enum { TRANSFER_BYTES = 1 << 20 };

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

/* ---- copies --------------------------------------------------------------------------------- */

pd_status pd_vk_begin_copies(pd_vk_backend *b, VkCommandBuffer *out, pd_error *err) {
    PD_TRY(pd_vk_begin_once(b, out, err));
    VkMemoryBarrier before = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    b->device->vk.vkCmdPipelineBarrier(
        *out, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
        VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &before, 0, NULL, 0, NULL);
    return PD_OK;
}

pd_status pd_vk_finish_copies(pd_vk_backend *b, VkCommandBuffer cmd, pd_error *err) {
    VkMemoryBarrier after = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                             .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                             .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_SHADER_READ_BIT};
    b->device->vk.vkCmdPipelineBarrier(cmd, VK_PIPELINE_STAGE_TRANSFER_BIT,
                                       VK_PIPELINE_STAGE_HOST_BIT |
                                           VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                       0, 1, &after, 0, NULL, 0, NULL);
    return pd_vk_finish_once(b, cmd, err);
}

static pd_status copy_now(pd_vk_backend *b, VkBuffer from, uint64_t from_at, VkBuffer to,
                          uint64_t to_at, uint64_t n, pd_error *err) {
    VkCommandBuffer cmd;
    PD_TRY(pd_vk_begin_copies(b, &cmd, err));
    VkBufferCopy region = {from_at, to_at, n};
    b->device->vk.vkCmdCopyBuffer(cmd, from, to, 1, &region);
    return pd_vk_finish_copies(b, cmd, err);
}

static pd_status grow_transfer(pd_vk_backend *b, pd_vk_buffer *buffer, pd_vk_use use,
                               uint64_t bytes, pd_error *err) {
    if (buffer->bytes >= bytes) return PD_OK;
    pd_vk_buffer_destroy(&b->memory, buffer);
    uint64_t rounded = pd_round_up(bytes, TRANSFER_BYTES);
    return pd_vk_buffer_create(&b->memory, use, PD_VK_FOR_STEPS, rounded, "host copies", buffer,
                               err);
}

pd_status pd_vk_need_transfer_in(pd_vk_backend *b, uint64_t bytes, pd_error *err) {
    return grow_transfer(b, &b->transfer_in, PD_VK_STAGING, bytes, err);
}

pd_status pd_vk_need_transfer_out(pd_vk_backend *b, uint64_t bytes, pd_error *err) {
    return grow_transfer(b, &b->transfer_out, PD_VK_READBACK, bytes, err);
}

pd_status pd_vk_copy_in(pd_vk_backend *b, pd_vk_slice to, const void *src, pd_error *err) {
    PD_TRY(pd_vk_need_transfer_in(b, to.bytes, err));
    if (b->memory.counts_only) return PD_OK;
    memcpy(b->transfer_in.mapped, src, to.bytes);
    return copy_now(b, b->transfer_in.handle, 0, to.handle, to.offset, to.bytes, err);
}

pd_status pd_vk_copy_out(pd_vk_backend *b, pd_vk_slice from, void *dst, pd_error *err) {
    PD_TRY(pd_vk_need_transfer_out(b, from.bytes, err));
    if (b->memory.counts_only) {
        memset(dst, 0, from.bytes);
        return PD_OK;
    }
    PD_TRY(copy_now(b, from.handle, from.offset, b->transfer_out.handle, 0, from.bytes, err));
    memcpy(dst, b->transfer_out.mapped, from.bytes);
    return PD_OK;
}
