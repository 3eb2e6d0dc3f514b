/* Opens a Vulkan device: one compute queue, and of all features only those that kernels may use.
 *
 * A capability that the quirks table or PERIDOT_DISABLE drops is not enabled either, so that a
 * kernel which uses it all the same is caught by the validation layer. robustBufferAccess stays
 * off: kernels keep their own bounds.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/device/device.h"

#include "backend/vulkan/device/probe.h"
#include "backend/vulkan/device/wait.h"
#include "base/log.h"
#include "base/memory.h"

enum { MAX_EXTENSIONS = 16 };

static const char PORTABILITY_SUBSET[] = "VK_KHR_portability_subset";

static pd_status create_handle(pd_vk_device *d, const pd_vk_probe *p, pd_error *err) {
    pd_status status = PD_OK;
    pd_vk_features features;
    const char *extensions[MAX_EXTENSIONS];
    uint32_t n_extensions;
    pd_vk_features_select(p, &d->caps, &features, extensions, MAX_EXTENSIONS - 2, &n_extensions);
    if (d->caps.memory_budget) extensions[n_extensions++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    /* A device on top of another interface (MoltenVK) insists that its user knows. */
    if (pd_vk_probe_has(p, PORTABILITY_SUBSET)) extensions[n_extensions++] = PORTABILITY_SUBSET;
    const float priority = 1.0f;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = p->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &features.base,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = n_extensions,
        .ppEnabledExtensionNames = extensions,
    };
    PD_VK_MAKE_GOTO(vkCreateDevice(d->physical, &info, NULL, &d->handle), d->handle);
    volkLoadDeviceTable(&d->vk, d->handle);
    d->vk.vkGetDeviceQueue(d->handle, p->queue_family, 0, &d->queue);
done:
    return status;
}

static pd_status find_physical(pd_vk_device *d, uint32_t index, pd_error *err) {
    uint32_t count = 0;
    PD_TRY(pd_vk_physical_list(d->instance, NULL, 0, &count, err));
    if (index >= count)
        return PD_RAISE(err, PD_ERR_NO_DEVICE, "there is no Vulkan device %u; there are %u", index,
                        count);
    VkPhysicalDevice *all = pd_alloc(count, sizeof(VkPhysicalDevice));
    if (!all) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to list the GPUs");
    uint32_t again = 0;
    pd_status status = pd_vk_physical_list(d->instance, all, count, &again, err);
    if (status == PD_OK && index >= again)
        status = PD_RAISE(err, PD_ERR_NO_DEVICE, "Vulkan device %u has gone", index);
    if (status == PD_OK) d->physical = all[index];
    pd_free(all);
    return status;
}

/* A user who paid for matrix units wants to know why they idle. */
static void log_idle_matrices(const pd_vk_probe *p, const pd_vk_caps *caps, bool usable) {
    if (caps->coopmat || !p->features.coopmat.cooperativeMatrix) return;
    const char *why = usable ? "a quirk or PERIDOT_DISABLE drops what they need"
                             : pd_vk_probe_coopmat_obstacle(p, caps);
    pd_log(PD_LOG_INFO, "vulkan", "the matrix units of %s are not used: %s",
           p->properties.properties.deviceName, why);
}

static pd_status settle_capturing(pd_vk_device *d, bool capturing, pd_error *err) {
    if (capturing && !d->caps.executable_info)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "the driver of %s does not tell what it makes of pipelines "
                        "(VK_KHR_pipeline_executable_properties)",
                        d->info.name);
    d->caps.executable_info = capturing;
    return PD_OK;
}

static pd_status open_probed(pd_vk_device *d, const pd_vk_probe *p, uint32_t index, bool capturing,
                             pd_error *err) {
    pd_vk_probe_describe(p, index, &d->info);
    bool null_hardware = p->has_compute_queue && p->memory.memoryProperties.memoryHeapCount == 0;
    if (!d->info.usable && !(null_hardware && p->api >= VK_API_VERSION_1_1))
        return PD_RAISE(err, PD_ERR_NO_DEVICE, "%s (%s) cannot be used: %s", d->info.id,
                        d->info.name, d->info.unusable_reason);
    d->properties = p->properties.properties;
    d->memory = p->memory.memoryProperties;
    d->queue_family = p->queue_family;
    pd_vk_probe_caps(p, &d->caps);
    d->caps.max_binding_bytes = d->properties.limits.maxStorageBufferRange;
    if (d->info.max_alloc_bytes && d->info.max_alloc_bytes < d->caps.max_binding_bytes)
        d->caps.max_binding_bytes = d->info.max_alloc_bytes; /* a binding lies in one allocation */
    bool has_matrices = d->caps.coopmat;
    PD_TRY(pd_vk_quirks_apply(p, &d->caps, err));
    log_idle_matrices(p, &d->caps, has_matrices);
    PD_TRY(settle_capturing(d, capturing, err));
    PD_TRY(pd_vk_timeout_read(d, err));
    return create_handle(d, p, err);
}

static pd_status open_device(uint32_t index, bool capturing, pd_vk_device **out, pd_error *err) {
    pd_status status = PD_OK;
    pd_vk_probe probe = {0};
    *out = NULL;
    pd_vk_device *d = pd_alloc(1, sizeof *d);
    if (!d) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to open a device");
    PD_TRY_GOTO(pd_vk_instance_open(&d->instance, err));
    PD_TRY_GOTO(find_physical(d, index, err));
    pd_vk_probe_read(d->physical, &probe);
    PD_TRY_GOTO(open_probed(d, &probe, index, capturing, err));
    *out = d;
done:
    pd_vk_probe_release(&probe);
    if (status != PD_OK) pd_vk_device_close(d);
    return status;
}

pd_status pd_vk_device_open(uint32_t index, pd_vk_device **out, pd_error *err) {
    return open_device(index, false, out, err);
}

pd_status pd_vk_device_open_capturing(uint32_t index, pd_vk_device **out, pd_error *err) {
    return open_device(index, true, out, err);
}

void pd_vk_device_close(pd_vk_device *d) {
    if (!d) return;
    if (d->handle) {
        /* Null hardware never had work, and its driver crashes on being waited for. */
        if (d->memory.memoryHeapCount > 0) d->vk.vkDeviceWaitIdle(d->handle);
        d->vk.vkDestroyDevice(d->handle, NULL);
    }
    if (d->instance && !d->hangs) pd_vk_instance_close(); /* its devices would be waited for */
    pd_free(d);
}
