/* The functions of an instance and those before there is one, and what the loader asks of a layer.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fault_calls.h"

/* A list, which clang-format takes for calls within calls. */
/* clang-format off */
#define INSTANCE_FUNCTIONS(X) \
    X(DestroyInstance) X(EnumeratePhysicalDevices) X(EnumerateDeviceExtensionProperties) \
    X(GetPhysicalDeviceCooperativeMatrixPropertiesKHR)
/* clang-format on */

/* VK_KHR_cooperative_matrix is newer than some headers. */
#ifndef VK_KHR_cooperative_matrix
typedef VkResult(VKAPI_PTR *PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)(VkPhysicalDevice,
                                                                                   uint32_t *,
                                                                                   void *);
#define COOPMAT_PROPERTIES void
#else
#define COOPMAT_PROPERTIES VkCooperativeMatrixPropertiesKHR
#endif

static struct {
    VkInstance instance;
    PFN_vkGetInstanceProcAddr GetInstanceProcAddr;
    PFN_GetPhysicalDeviceProcAddr GetPhysicalDeviceProcAddr;
#define MEMBER(name) PFN_vk##name name;
    INSTANCE_FUNCTIONS(MEMBER)
#undef MEMBER
} next;

/* ---- instance and device --------------------------------------------------------------------- */

WRAP(EnumeratePhysicalDevices, (VkInstance i, uint32_t *n, VkPhysicalDevice *out), (i, n, out),
     NO_INIT, NO_HOST, NO_DEVICE)
WRAP(EnumerateDeviceExtensionProperties,
     (VkPhysicalDevice p, const char *layer, uint32_t *n, VkExtensionProperties *out),
     (p, layer, n, out), NO_HOST, NO_DEVICE)
WRAP(GetPhysicalDeviceCooperativeMatrixPropertiesKHR,
     (VkPhysicalDevice p, uint32_t *n, COOPMAT_PROPERTIES *out), (p, n, out), NO_HOST, NO_DEVICE)

/* The loader's place in the chain of an instance's or a device's creation, moved on to the next
 * layer. */
static void *take_link(const void *chain, VkStructureType type) {
    const VkLayerInstanceCreateInfo *c = chain; /* both kinds begin alike */
    while (c && !(c->sType == type && c->function == VK_LAYER_LINK_INFO)) c = c->pNext;
    return (void *)(uintptr_t)c;
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_CreateInstance(const VkInstanceCreateInfo *info,
                                                           const VkAllocationCallbacks *a,
                                                           VkInstance *out) {
    VkResult result;
    VkLayerInstanceCreateInfo *link =
        take_link(info->pNext, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
    if (FAILS("vkCreateInstance", &result, NO_INIT, NO_HOST, NO_DEVICE,
              VK_ERROR_INCOMPATIBLE_DRIVER))
        return result;
    if (!link || next.instance) return VK_ERROR_INITIALIZATION_FAILED;
    PFN_vkGetInstanceProcAddr get = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    next.GetInstanceProcAddr = get;
    next.GetPhysicalDeviceProcAddr = link->u.pLayerInfo->pfnNextGetPhysicalDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    result = ((PFN_vkCreateInstance)get(NULL, "vkCreateInstance"))(info, a, out);
    if (result != VK_SUCCESS) return result;
    next.instance = *out;
#define LOAD(name) next.name = (PFN_vk##name)get(*out, "vk" #name);
    INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
    fault_count(FAULT_INSTANCE, 1);
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL fault_DestroyInstance(VkInstance i,
                                                        const VkAllocationCallbacks *a) {
    if (i) {
        fault_count_leaks(FAULT_DEVICE, FAULT_COMMAND_BUFFER, "instance");
        fault_count(FAULT_INSTANCE, -1);
    }
    next.instance = NULL;
    next.DestroyInstance(i, a);
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_CreateDevice(VkPhysicalDevice p,
                                                         const VkDeviceCreateInfo *info,
                                                         const VkAllocationCallbacks *a,
                                                         VkDevice *out) {
    VkResult result;
    VkLayerDeviceCreateInfo *link =
        take_link(info->pNext, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
    if (FAILS("vkCreateDevice", &result, NO_INIT, NO_HOST, NO_DEVICE, LOST,
              VK_ERROR_TOO_MANY_OBJECTS, VK_ERROR_FEATURE_NOT_PRESENT))
        return result;
    if (!link || fault_device()) return VK_ERROR_INITIALIZATION_FAILED;
    PFN_vkGetInstanceProcAddr get_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    PFN_vkGetDeviceProcAddr get = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    result = ((PFN_vkCreateDevice)get_instance(next.instance, "vkCreateDevice"))(p, info, a, out);
    if (result != VK_SUCCESS) return result;
    fault_load_device(*out, get);
    fault_count(FAULT_DEVICE, 1);
    return VK_SUCCESS;
}

/* ---- before there is an instance ------------------------------------------------------------- */

FAULT_EXPORT VKAPI_ATTR VkResult VKAPI_CALL
fault_instance_extensions(const VkEnumerateInstanceExtensionPropertiesChain *chain,
                          const char *layer, uint32_t *n, VkExtensionProperties *out);
FAULT_EXPORT VKAPI_ATTR VkResult VKAPI_CALL fault_instance_layers(
    const VkEnumerateInstanceLayerPropertiesChain *chain, uint32_t *n, VkLayerProperties *out);
FAULT_EXPORT VKAPI_ATTR VkResult VKAPI_CALL
fault_instance_version(const VkEnumerateInstanceVersionChain *chain, uint32_t *version);

VKAPI_ATTR VkResult VKAPI_CALL
fault_instance_extensions(const VkEnumerateInstanceExtensionPropertiesChain *chain,
                          const char *layer, uint32_t *n, VkExtensionProperties *out) {
    VkResult failed;
    if (FAILS("vkEnumerateInstanceExtensionProperties", &failed, NO_HOST, NO_DEVICE)) return failed;
    return chain->pfnNextLayer(chain->pNextLink, layer, n, out);
}

VKAPI_ATTR VkResult VKAPI_CALL fault_instance_layers(
    const VkEnumerateInstanceLayerPropertiesChain *chain, uint32_t *n, VkLayerProperties *out) {
    VkResult failed;
    if (FAILS("vkEnumerateInstanceLayerProperties", &failed, NO_HOST, NO_DEVICE)) return failed;
    return chain->pfnNextLayer(chain->pNextLink, n, out);
}

VKAPI_ATTR VkResult VKAPI_CALL fault_instance_version(const VkEnumerateInstanceVersionChain *chain,
                                                      uint32_t *version) {
    VkResult failed;
    if (FAILS("vkEnumerateInstanceVersion", &failed, NO_HOST)) return failed;
    return chain->pfnNextLayer(chain->pNextLink, version);
}

/* ---- what the loader asks -------------------------------------------------------------------- */

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_function(VkInstance i,
                                                                      const char *name);

/* That list again. */
/* clang-format off */
static const fault_wrapper wrappers[] = {
    FAULT_ROW(CreateInstance) FAULT_ROW(CreateDevice) INSTANCE_FUNCTIONS(FAULT_ROW)
    {"vkGetInstanceProcAddr", (PFN_vkVoidFunction)get_instance_function},
};
/* clang-format on */

/* A layer's instance knows its devices' functions too. */
static PFN_vkVoidFunction find_function(const char *name) {
    PFN_vkVoidFunction mine = FAULT_FIND(wrappers, name);
    return mine ? mine : fault_find_device_function(name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_function(VkInstance i,
                                                                      const char *name) {
    PFN_vkVoidFunction mine = find_function(name);
    if (!next.instance) return mine; /* it is being made */
    PFN_vkVoidFunction theirs = next.GetInstanceProcAddr(i, name);
    return mine && theirs ? mine : theirs;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_physical_function(VkInstance i,
                                                                      const char *name) {
    PFN_vkVoidFunction theirs =
        next.GetPhysicalDeviceProcAddr ? next.GetPhysicalDeviceProcAddr(i, name) : NULL;
    PFN_vkVoidFunction mine =
        strncmp(name, "vkGetPhysicalDevice", 19) == 0 ? FAULT_FIND(wrappers, name) : NULL;
    return mine && theirs ? mine : theirs;
}

FAULT_EXPORT VKAPI_ATTR VkResult VKAPI_CALL fault_negotiate(VkNegotiateLayerInterface *v);
VKAPI_ATTR VkResult VKAPI_CALL fault_negotiate(VkNegotiateLayerInterface *v) {
    v->loaderLayerInterfaceVersion = 2;
    v->pfnGetInstanceProcAddr = get_instance_function;
    v->pfnGetDeviceProcAddr = fault_GetDeviceProcAddr;
    v->pfnGetPhysicalDeviceProcAddr = get_physical_function;
    return VK_SUCCESS;
}

/* ---- what tests ask -------------------------------------------------------------------------- */

FAULT_EXPORT bool fault_layer_covers(const char *name);
bool fault_layer_covers(const char *name) {
    static const char *const harmless[] = {"vkCmd",
                                           "vkUpdateDescriptorSets",
                                           "vkGetDeviceFaultInfoEXT", /* adds to a message */
                                           "vkGetDeviceQueue",
                                           "vkGetBufferMemoryRequirements",
                                           "vkGetPhysicalDeviceFeatures2",
                                           "vkGetPhysicalDeviceMemoryProperties",
                                           "vkGetPhysicalDeviceProperties",
                                           "vkGetPhysicalDeviceQueueFamilyProperties"};
    static const char *const early[] = {"vkEnumerateInstanceExtensionProperties",
                                        "vkEnumerateInstanceLayerProperties",
                                        "vkEnumerateInstanceVersion"};
    for (size_t i = 0; i < sizeof early / sizeof *early; i++)
        if (strcmp(name, early[i]) == 0) return true;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strncmp(name, harmless[i], strlen(harmless[i])) == 0) return true;
    return find_function(name) != NULL;
}
