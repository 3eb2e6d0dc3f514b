/* The list of Vulkan devices for the registry.
 *
 * A machine without a Vulkan library or driver, or with one that fails, is no error: its list is
 * empty and a note says why, so that the CPU stays usable.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/backend.h"
#include "backend/vulkan/device/device.h"
#include "base/log.h"
#include "base/memory.h"

static pd_status describe_all(VkInstance instance, pd_device_info *out, uint32_t cap,
                              uint32_t *count, pd_error *err) {
    PD_TRY(pd_vk_physical_list(instance, NULL, 0, count, err));
    uint32_t n = *count < cap ? *count : cap;
    if (n == 0) return PD_OK;
    VkPhysicalDevice *physical = pd_alloc(n, sizeof(VkPhysicalDevice));
    if (!physical) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to list the GPUs");
    pd_status status = pd_vk_physical_list(instance, physical, n, count, err);
    for (uint32_t i = 0; status == PD_OK && i < n && i < *count; i++)
        pd_vk_describe(physical[i], i, &out[i]);
    pd_free(physical);
    return status;
}

pd_status pd_vulkan_list(pd_device_info *out, uint32_t cap, uint32_t *count, const char **note,
                         pd_error *err) {
    VkInstance instance;
    pd_error reason;
    *count = 0;
    *note = NULL;
    pd_status status = pd_vk_instance_open(&instance, &reason);
    if (status == PD_ERR_NO_DEVICE) {
        *note = pd_vk_instance_absence();
        return PD_OK;
    }
    if (status == PD_OK) {
        status = describe_all(instance, out, cap, count, &reason);
        if (status == PD_OK && *count == 0) *note = "no Vulkan driver reports a device";
        pd_vk_instance_close();
    }
    if (status == PD_ERR_ARGUMENT && err) *err = reason; /* PERIDOT_VALIDATION */
    if (status == PD_OK || status == PD_ERR_ARGUMENT) return status;
    /* whatever the driver says: "out of memory" is what many call a failed start */
    pd_log(PD_LOG_INFO, "vulkan", "%s", reason.message);
    *count = 0;
    *note = "the Vulkan driver fails to list its devices";
    return PD_OK;
}
