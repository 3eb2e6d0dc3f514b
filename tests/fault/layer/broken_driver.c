/* A Vulkan driver that the loader finds and that is of no use, in the way that BROKEN_DRIVER says:
 *
 *     refuse      it speaks no interface version that the loader knows
 *     nothing     it has no functions
 *     instance    it cannot make an instance
 *     empty       it makes an instance and has no device
 *     failing     it makes an instance and fails to list its devices
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vk_icd.h>
#include <vulkan/vulkan_core.h>

#define EXPORT __attribute__((visibility("default")))

static bool is(const char *fault) {
    const char *wanted = getenv("BROKEN_DRIVER");
    return wanted && strcmp(wanted, fault) == 0;
}

/* An object that the loader may write its magic number into. */
static VK_LOADER_DATA *instance;

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo *info,
                                                      const VkAllocationCallbacks *a,
                                                      VkInstance *out) {
    (void)info, (void)a;
    if (is("instance")) return VK_ERROR_OUT_OF_HOST_MEMORY;
    instance = calloc(1, sizeof *instance);
    if (!instance) return VK_ERROR_OUT_OF_HOST_MEMORY;
    set_loader_magic_value(instance);
    *out = (VkInstance)(void *)instance;
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL destroy_instance(VkInstance i, const VkAllocationCallbacks *a) {
    (void)a;
    free((void *)i);
}

static VKAPI_ATTR VkResult VKAPI_CALL list_extensions(const char *layer, uint32_t *n,
                                                      VkExtensionProperties *out) {
    (void)layer, (void)out;
    *n = 0;
    return VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL list_devices(VkInstance i, uint32_t *n,
                                                   VkPhysicalDevice *out) {
    (void)i, (void)out;
    *n = 0;
    return is("failing") ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
}

/* The loader insists on most functions of an instance; none of these is called without a device. */
static VKAPI_ATTR void VKAPI_CALL do_nothing(void) {}

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vk_icdGetInstanceProcAddr(VkInstance i,
                                                                          const char *name);
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vk_icdGetInstanceProcAddr(VkInstance i, const char *name) {
    (void)i;
    if (is("nothing")) return NULL;
    if (!strcmp(name, "vkCreateInstance")) return (PFN_vkVoidFunction)create_instance;
    if (!strcmp(name, "vkDestroyInstance")) return (PFN_vkVoidFunction)destroy_instance;
    if (!strcmp(name, "vkEnumerateInstanceExtensionProperties"))
        return (PFN_vkVoidFunction)list_extensions;
    if (!strcmp(name, "vkEnumeratePhysicalDevices")) return (PFN_vkVoidFunction)list_devices;
    if (!strcmp(name, "vkEnumerateInstanceVersion") || strstr(name, "Groups")) return NULL;
    return do_nothing;
}

EXPORT VKAPI_ATTR VkResult VKAPI_CALL vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version);
VKAPI_ATTR VkResult VKAPI_CALL vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version) {
    if (is("refuse")) return VK_ERROR_INCOMPATIBLE_DRIVER;
    if (*version > 5) *version = 5;
    return VK_SUCCESS;
}
