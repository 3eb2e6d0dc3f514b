/* See wait.h.
 *
 * Nothing that a hanging device may still use can be destroyed, and waiting for it to become idle
 * would never end. From then on its table of functions does neither: memory and handles stay with
 * the process, which can close everything else in peace.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/device/wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/log.h"

static const uint64_t SLICE_NS = 1000000000;

/* ---- a device that hangs -------------------------------------------------------------------- */

#define DESTROYS_NOTHING(name, object)                                                             \
    static VKAPI_ATTR void VKAPI_CALL name(VkDevice d, object o,                                   \
                                           const VkAllocationCallbacks *callbacks) {               \
        (void)d, (void)o, (void)callbacks;                                                         \
    }
DESTROYS_NOTHING(keep_buffer, VkBuffer)
DESTROYS_NOTHING(keep_memory, VkDeviceMemory)
DESTROYS_NOTHING(keep_fence, VkFence)
DESTROYS_NOTHING(keep_pipeline, VkPipeline)
DESTROYS_NOTHING(keep_cache, VkPipelineCache)
DESTROYS_NOTHING(keep_layout, VkPipelineLayout)
DESTROYS_NOTHING(keep_set_layout, VkDescriptorSetLayout)
DESTROYS_NOTHING(keep_descriptor_pool, VkDescriptorPool)
DESTROYS_NOTHING(keep_command_pool, VkCommandPool)
DESTROYS_NOTHING(keep_query_pool, VkQueryPool)

static VKAPI_ATTR void VKAPI_CALL keep_commands(VkDevice d, VkCommandPool pool, uint32_t n,
                                                const VkCommandBuffer *buffers) {
    (void)d, (void)pool, (void)n, (void)buffers;
}

static VKAPI_ATTR void VKAPI_CALL keep_mapped(VkDevice d, VkDeviceMemory memory) {
    (void)d, (void)memory;
}

static VKAPI_ATTR void VKAPI_CALL keep_device(VkDevice d, const VkAllocationCallbacks *callbacks) {
    (void)d, (void)callbacks;
}

static VKAPI_ATTR VkResult VKAPI_CALL never_idle(VkDevice d) {
    (void)d;
    return VK_ERROR_DEVICE_LOST;
}

static VKAPI_ATTR VkResult VKAPI_CALL never_reset(VkDevice d, uint32_t n, const VkFence *fences) {
    (void)d, (void)n, (void)fences;
    return VK_ERROR_DEVICE_LOST;
}

static VKAPI_ATTR VkResult VKAPI_CALL never_signalled(VkDevice d, uint32_t n, const VkFence *fences,
                                                      VkBool32 all, uint64_t timeout) {
    (void)d, (void)n, (void)fences, (void)all, (void)timeout;
    return VK_ERROR_DEVICE_LOST;
}

static VKAPI_ATTR VkResult VKAPI_CALL never_submitted(VkQueue queue, uint32_t n,
                                                      const VkSubmitInfo *submits, VkFence fence) {
    (void)queue, (void)n, (void)submits, (void)fence;
    return VK_ERROR_DEVICE_LOST;
}

static void let_go(pd_vk_device *d) {
    struct VolkDeviceTable *vk = &d->vk;
    d->lost = d->hangs = true;
    vk->vkDestroyBuffer = keep_buffer;
    vk->vkFreeMemory = keep_memory;
    vk->vkUnmapMemory = keep_mapped;
    vk->vkDestroyFence = keep_fence;
    vk->vkDestroyPipeline = keep_pipeline;
    vk->vkDestroyPipelineCache = keep_cache;
    vk->vkDestroyPipelineLayout = keep_layout;
    vk->vkDestroyDescriptorSetLayout = keep_set_layout;
    vk->vkDestroyDescriptorPool = keep_descriptor_pool;
    vk->vkDestroyCommandPool = keep_command_pool;
    vk->vkFreeCommandBuffers = keep_commands;
    vk->vkDestroyQueryPool = keep_query_pool;
    vk->vkDestroyDevice = keep_device;
    vk->vkDeviceWaitIdle = never_idle;
    vk->vkResetFences = never_reset;
    vk->vkWaitForFences = never_signalled;
    vk->vkQueueSubmit = never_submitted;
}

/* ---- what the driver knows of a fault -------------------------------------------------------- */

static const char *address_kind(VkDeviceFaultAddressTypeEXT type) {
    switch (type) {
    case VK_DEVICE_FAULT_ADDRESS_TYPE_READ_INVALID_EXT: return "invalid read";
    case VK_DEVICE_FAULT_ADDRESS_TYPE_WRITE_INVALID_EXT: return "invalid write";
    case VK_DEVICE_FAULT_ADDRESS_TYPE_EXECUTE_INVALID_EXT: return "invalid execution";
    default: return "instruction";
    }
}

/* " (the driver: TEXT; invalid read at 0x...)", or nothing. */
static void describe_fault(pd_vk_device *d, char *out, size_t n) {
    VkDeviceFaultCountsEXT counts = {.sType = VK_STRUCTURE_TYPE_DEVICE_FAULT_COUNTS_EXT};
    VkDeviceFaultAddressInfoEXT address = {0};
    VkDeviceFaultInfoEXT info = {.sType = VK_STRUCTURE_TYPE_DEVICE_FAULT_INFO_EXT,
                                 .pAddressInfos = &address};
    out[0] = '\0';
    if (!d->caps.fault || d->hangs) return;
    if (d->vk.vkGetDeviceFaultInfoEXT(d->handle, &counts, NULL) != VK_SUCCESS) return;
    counts.addressInfoCount = counts.addressInfoCount > 0; /* the first says enough */
    counts.vendorInfoCount = 0;
    counts.vendorBinarySize = 0;
    if (d->vk.vkGetDeviceFaultInfoEXT(d->handle, &counts, &info) < VK_SUCCESS) return;
    size_t used = (size_t)snprintf(out, n, " (the driver: %.100s", info.description);
    if (counts.addressInfoCount && used < n)
        used += (size_t)snprintf(out + used, n - used, "; %s at 0x%" PRIx64,
                                 address_kind(address.addressType), address.reportedAddress);
    if (used < n) snprintf(out + used, n - used, ")");
}

/* ---- waiting -------------------------------------------------------------------------------- */

static pd_status raise_lost(pd_vk_device *d, VkResult result, pd_error *err) {
    char fault[256];
    d->lost = true;
    describe_fault(d, fault, sizeof fault);
    return PD_RAISE(err, PD_ERR_DEVICE_LOST, "%s was lost (%s)%s", d->info.name,
                    pd_vk_result_name(result), fault);
}

static pd_status raise_hang(pd_vk_device *d, pd_error *err) {
    let_go(d);
    pd_status status =
        PD_RAISE(err, PD_ERR_DEVICE_LOST, "%s did not finish what it was given within %u seconds",
                 d->info.name, d->timeout_s);
    return pd_error_hint(err, status,
                         "PERIDOT_DEVICE_TIMEOUT=SECONDS lets it take longer; with another driver "
                         "or PERIDOT_DISABLE it may not hang");
}

pd_status pd_vk_wait(pd_vk_device *d, VkFence fence, pd_error *err) {
    for (uint32_t waited = 0; waited < d->timeout_s; waited++) {
        VkResult result = d->vk.vkWaitForFences(d->handle, 1, &fence, VK_TRUE, SLICE_NS);
        if (result == VK_SUCCESS) return PD_OK;
        if (result == VK_ERROR_DEVICE_LOST) return raise_lost(d, result, err);
        if (result != VK_TIMEOUT)
            return pd_vk_raise(err, __FILE__, __LINE__, "vkWaitForFences(", result);
    }
    return raise_hang(d, err);
}

/* vkDeviceWaitIdle knows no limit: a fence behind everything does. */
void pd_vk_settle(pd_vk_device *d) {
    VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkFence fence = VK_NULL_HANDLE;
    if (d->hangs) return;
    bool settled = d->vk.vkCreateFence(d->handle, &info, NULL, &fence) == VK_SUCCESS;
    if (!settled) fence = VK_NULL_HANDLE;
    settled = settled && d->vk.vkQueueSubmit(d->queue, 0, NULL, fence) == VK_SUCCESS &&
              pd_vk_wait(d, fence, NULL) == PD_OK;
    if (!settled && !d->hangs && d->vk.vkDeviceWaitIdle(d->handle) != VK_SUCCESS) d->lost = true;
    d->vk.vkDestroyFence(d->handle, fence, NULL);
}

pd_status pd_vk_timeout_read(pd_vk_device *d, pd_error *err) {
    const char *text = pd_env("PERIDOT_DEVICE_TIMEOUT");
    d->timeout_s = d->caps.is_software ? 600 : 60;
    if (!text || !text[0]) return PD_OK;
    char *end;
    unsigned long seconds = strtoul(text, &end, 10);
    if (*end || strchr(text, '-') || seconds < 1 || seconds > 86400)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "PERIDOT_DEVICE_TIMEOUT is \"%s\", but must be 1 to 86400 seconds", text);
    d->timeout_s = (uint32_t)seconds;
    return PD_OK;
}
