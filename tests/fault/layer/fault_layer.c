/* A Vulkan layer that makes the n-th call fail, and counts what is created and destroyed.
 *
 * Every function that Peridot calls and that returns a VkResult is numbered, process-wide and from
 * 1, in the order of the calls. The call numbered fail_at (with ever_after also all later ones) is
 * not passed on: it returns one of the errors that Vulkan allows the function, and leaves junk in
 * what it should have created, as Vulkan allows too. A device that is said to be lost, or on
 * which nothing works any more, has finished its work by then: its objects may be destroyed.
 *
 * It is an implicit layer, since only those see the functions that are called before there is an
 * instance; it is on where PERIDOT_FAULT_LAYER is 1. Tests change its state (fault_layer.h); a
 * program that does not know of it is steered by
 *
 *     PERIDOT_FAULT_CALL         fail_at
 *     PERIDOT_FAULT_EVER_AFTER   1: every later call fails too
 *     PERIDOT_FAULT_HANG         1: from that call on nothing fails, and nothing that is submitted
 * is ever finished; who then waits without a limit waits for ever, and who knows of it and destroys
 * what may be in use is aborted PERIDOT_FAULT_WHICH        which error, see fault_state
 *     PERIDOT_FAULT_REPORT       a file for one line when the program ends, for example
 *                                calls 812 failed 1 vkCreateFence -1 leaks 0
 *
 * One instance with one device at a time, which is all that Peridot opens.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fault_layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <vulkan/vk_layer.h>

#define EXPORT __attribute__((visibility("default")))

static fault_state state;

EXPORT fault_state *fault_layer_state(void);
EXPORT fault_state *fault_layer_state(void) {
    return &state;
}

/* ---- what is wished and reported by the environment ------------------------------------------ */

static uint32_t number_in(const char *variable) {
    const char *text = getenv(variable);
    return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void read_wish(void) {
    state.fail_at = number_in("PERIDOT_FAULT_CALL");
    state.ever_after = number_in("PERIDOT_FAULT_EVER_AFTER") != 0;
    state.hangs = number_in("PERIDOT_FAULT_HANG") != 0;
    state.which = number_in("PERIDOT_FAULT_WHICH");
}

/* Objects that nobody destroyed before the end leak as much as those that outlive their device. */
__attribute__((destructor)) static void report(void) {
    const char *path = getenv("PERIDOT_FAULT_REPORT");
    FILE *f = path ? fopen(path, "w") : NULL;
    if (!f) return;
    uint32_t n_leaks = state.n_leaks;
    for (int k = 0; k < FAULT_KIND_COUNT; k++) n_leaks += (uint32_t)state.live[k];
    const char *name = state.failed_call;
    fprintf(f, "calls %u failed %u %s %d leaks %u\n", state.n_calls, state.n_failed,
            name ? name : "-", (int)state.failed_result, n_leaks);
    fclose(f);
}

/* ---- failing --------------------------------------------------------------------------------- */

static void finish_work(void);

/* Numbers the call; whether it fails, and how. */
static bool fails(const char *name, const VkResult *results, uint32_t n_results, VkResult *result) {
    uint32_t number = atomic_fetch_add(&state.n_calls, 1) + 1, at = state.fail_at;
    if (at == 0 || number < at || (number > at && !state.ever_after) || state.hangs) return false;
    *result = results[state.which % n_results];
    if (atomic_fetch_add(&state.n_failed, 1) == 0) {
        state.failed_result = *result;
        state.failed_call = name;
    }
    bool named = *result < 0 && *result > -31;
    atomic_fetch_or(&state.failed_results, 1u << (named ? -*result : 31));
    if (*result == VK_ERROR_DEVICE_LOST || state.ever_after) finish_work();
    return true;
}

/* Whether the device hangs by now. */
static bool is_hanging(void) {
    return state.hangs && state.fail_at > 0 && state.n_calls >= state.fail_at;
}

/* Destroying what may be in use, behind a wait that timed out. Modules never are. */
static void check_unused(const char *name) {
    if (!is_hanging() || state.n_timeouts == 0 || strstr(name, "Module")) return;
    fprintf(stderr, "fault layer: %s while the device hangs\n", name);
    abort();
}

#define FAILS(name, result, ...)                                                                   \
    fails(name, (const VkResult[]){__VA_ARGS__},                                                   \
          sizeof((const VkResult[]){__VA_ARGS__}) / sizeof(VkResult), result)

#define NO_HOST   VK_ERROR_OUT_OF_HOST_MEMORY
#define NO_DEVICE VK_ERROR_OUT_OF_DEVICE_MEMORY
#define LOST      VK_ERROR_DEVICE_LOST
#define NO_INIT   VK_ERROR_INITIALIZATION_FAILED

/* ---- counting -------------------------------------------------------------------------------- */

static void count(fault_kind kind, int n) {
    atomic_fetch_add(&state.live[kind], n);
}

static void count_leaks(fault_kind first, fault_kind last, const char *end_of) {
    static const char *const texts[] = {
#define FAULT_KIND_TEXT(name, text) text,
        FAULT_KINDS(FAULT_KIND_TEXT)
#undef FAULT_KIND_TEXT
    };
    for (uint32_t k = first; k <= (uint32_t)last; k++) {
        int n = atomic_exchange(&state.live[k], 0);
        if (n == 0) continue;
        fprintf(stderr, "fault layer: %d %s are left when the %s is destroyed\n", n, texts[k],
                end_of);
        atomic_fetch_add(&state.n_leaks, n > 0 ? (uint32_t)n : 1);
    }
}

/* ---- the functions below --------------------------------------------------------------------- */

/* X(name): what is passed on, of the instance and of the device. */
#define INSTANCE_FUNCTIONS(X)                                                                      \
    X(DestroyInstance)                                                                             \
    X(EnumeratePhysicalDevices) X(EnumerateDeviceExtensionProperties)                              \
        X(GetPhysicalDeviceCooperativeMatrixPropertiesKHR)

#define DEVICE_FUNCTIONS(X)                                                                        \
    X(DestroyDevice)                                                                               \
    X(AllocateMemory) X(FreeMemory) X(MapMemory) X(BindBufferMemory) X(CreateBuffer)               \
        X(DestroyBuffer) X(CreateFence) X(DestroyFence) X(ResetFences) X(GetFenceStatus)           \
            X(WaitForFences) X(QueueSubmit) X(DeviceWaitIdle) X(CreateQueryPool)                   \
                X(DestroyQueryPool) X(GetQueryPoolResults) X(CreateShaderModule)                   \
                    X(DestroyShaderModule) X(CreatePipelineCache) X(DestroyPipelineCache)          \
                        X(GetPipelineCacheData) X(CreateComputePipelines) X(DestroyPipeline)       \
                            X(CreatePipelineLayout) X(DestroyPipelineLayout)                       \
                                X(CreateDescriptorSetLayout) X(DestroyDescriptorSetLayout)         \
                                    X(CreateDescriptorPool) X(DestroyDescriptorPool)               \
                                        X(ResetDescriptorPool) X(AllocateDescriptorSets)           \
                                            X(CreateCommandPool) X(DestroyCommandPool)             \
                                                X(AllocateCommandBuffers) X(FreeCommandBuffers)    \
                                                    X(BeginCommandBuffer) X(EndCommandBuffer)

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
    VkDevice device;
    PFN_vkGetInstanceProcAddr GetInstanceProcAddr;
    PFN_GetPhysicalDeviceProcAddr GetPhysicalDeviceProcAddr;
    PFN_vkGetDeviceProcAddr GetDeviceProcAddr;
#define MEMBER(name) PFN_vk##name name;
    INSTANCE_FUNCTIONS(MEMBER) DEVICE_FUNCTIONS(MEMBER)
#undef MEMBER
} next;

static void finish_work(void) {
    if (next.device) next.DeviceWaitIdle(next.device);
}

/* ---- wrappers -------------------------------------------------------------------------------- */

/* A function that only does something. */
#define WRAP(name, params, args, ...)                                                              \
    static VKAPI_ATTR VkResult VKAPI_CALL fault_##name params {                                    \
        VkResult failed;                                                                           \
        if (FAILS("vk" #name, &failed, __VA_ARGS__)) return failed;                                \
        return next.name args;                                                                     \
    }

/* A function that makes one object, *out. */
#define WRAP_CREATE(name, kind, params, args, out, ...)                                            \
    static VKAPI_ATTR VkResult VKAPI_CALL fault_##name params {                                    \
        VkResult result;                                                                           \
        if (FAILS("vk" #name, &result, __VA_ARGS__)) {                                             \
            memset((out), 0xdd, sizeof *(out));                                                    \
            return result;                                                                         \
        }                                                                                          \
        result = next.name args;                                                                   \
        if (result == VK_SUCCESS) count(FAULT_##kind, 1);                                          \
        return result;                                                                             \
    }

#define WRAP_DESTROY(name, kind, type)                                                             \
    static VKAPI_ATTR void VKAPI_CALL fault_##name(VkDevice d, type object,                        \
                                                   const VkAllocationCallbacks *a) {               \
        check_unused("vk" #name);                                                                  \
        if (object) count(FAULT_##kind, -1);                                                       \
        next.name(d, object, a);                                                                   \
    }

#define WRAP_LIFE(thing, kind, ...)                                                                \
    WRAP_CREATE(Create##thing, kind,                                                               \
                (VkDevice d, const Vk##thing##CreateInfo *info, const VkAllocationCallbacks *a,    \
                 Vk##thing *out),                                                                  \
                (d, info, a, out), out, __VA_ARGS__)                                               \
    WRAP_DESTROY(Destroy##thing, kind, Vk##thing)

WRAP_LIFE(Buffer, BUFFER, NO_DEVICE, NO_HOST)
WRAP_LIFE(Fence, FENCE, NO_HOST, NO_DEVICE)
WRAP_LIFE(QueryPool, QUERY_POOL, NO_DEVICE, NO_HOST)
WRAP_LIFE(ShaderModule, SHADER_MODULE, NO_HOST, NO_DEVICE, VK_ERROR_INVALID_SHADER_NV)
WRAP_LIFE(PipelineCache, PIPELINE_CACHE, NO_HOST, NO_DEVICE)
WRAP_LIFE(PipelineLayout, PIPELINE_LAYOUT, NO_HOST, NO_DEVICE)
WRAP_LIFE(DescriptorSetLayout, SET_LAYOUT, NO_DEVICE, NO_HOST)
WRAP_LIFE(DescriptorPool, DESCRIPTOR_POOL, NO_DEVICE, NO_HOST, VK_ERROR_FRAGMENTATION)

WRAP_CREATE(AllocateMemory, MEMORY,
            (VkDevice d, const VkMemoryAllocateInfo *info, const VkAllocationCallbacks *a,
             VkDeviceMemory *out),
            (d, info, a, out), out, NO_DEVICE, NO_HOST)
WRAP_DESTROY(FreeMemory, MEMORY, VkDeviceMemory)
WRAP(MapMemory,
     (VkDevice d, VkDeviceMemory m, VkDeviceSize at, VkDeviceSize n, VkMemoryMapFlags f,
      void **out),
     (d, m, at, n, f, out), VK_ERROR_MEMORY_MAP_FAILED, NO_HOST, NO_DEVICE)
WRAP(BindBufferMemory, (VkDevice d, VkBuffer b, VkDeviceMemory m, VkDeviceSize at), (d, b, m, at),
     NO_DEVICE, NO_HOST)

WRAP(ResetFences, (VkDevice d, uint32_t n, const VkFence *f), (d, n, f), NO_DEVICE)
WRAP(GetFenceStatus, (VkDevice d, VkFence f), (d, f), LOST, NO_HOST, NO_DEVICE)

static VKAPI_ATTR VkResult VKAPI_CALL fault_WaitForFences(VkDevice d, uint32_t n, const VkFence *f,
                                                          VkBool32 all, uint64_t ns) {
    VkResult failed;
    if (FAILS("vkWaitForFences", &failed, LOST, NO_HOST, NO_DEVICE)) return failed;
    if (!is_hanging()) return next.WaitForFences(d, n, f, all, ns);
    struct timespec time = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    nanosleep(&time, NULL);
    state.n_timeouts++;
    return VK_TIMEOUT;
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_QueueSubmit(VkQueue q, uint32_t n,
                                                        const VkSubmitInfo *s, VkFence f) {
    VkResult failed;
    if (FAILS("vkQueueSubmit", &failed, LOST, NO_HOST, NO_DEVICE)) return failed;
    return is_hanging() ? VK_SUCCESS : next.QueueSubmit(q, n, s, f);
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_DeviceWaitIdle(VkDevice d) {
    VkResult failed;
    if (FAILS("vkDeviceWaitIdle", &failed, LOST, NO_HOST, NO_DEVICE)) return failed;
    while (is_hanging()) pause();
    return next.DeviceWaitIdle(d);
}

WRAP(GetQueryPoolResults,
     (VkDevice d, VkQueryPool p, uint32_t first, uint32_t n, size_t bytes, void *data,
      VkDeviceSize stride, VkQueryResultFlags f),
     (d, p, first, n, bytes, data, stride, f), LOST, NO_HOST, NO_DEVICE)

WRAP(GetPipelineCacheData, (VkDevice d, VkPipelineCache c, size_t *n, void *data), (d, c, n, data),
     NO_HOST, NO_DEVICE, VK_INCOMPLETE)
WRAP(ResetDescriptorPool, (VkDevice d, VkDescriptorPool p, VkDescriptorPoolResetFlags f), (d, p, f),
     NO_DEVICE)
WRAP(BeginCommandBuffer, (VkCommandBuffer c, const VkCommandBufferBeginInfo *info), (c, info),
     NO_DEVICE, NO_HOST)
WRAP(EndCommandBuffer, (VkCommandBuffer c), (c), NO_HOST, NO_DEVICE)

/* What makes several objects sets all of them to null when it fails. */
static VKAPI_ATTR VkResult VKAPI_CALL fault_CreateComputePipelines(
    VkDevice d, VkPipelineCache cache, uint32_t n, const VkComputePipelineCreateInfo *infos,
    const VkAllocationCallbacks *a, VkPipeline *out) {
    VkResult result;
    if (FAILS("vkCreateComputePipelines", &result, VK_ERROR_UNKNOWN, NO_HOST, NO_DEVICE)) {
        memset(out, 0, n * sizeof *out);
        return result;
    }
    result = next.CreateComputePipelines(d, cache, n, infos, a, out);
    for (uint32_t i = 0; i < n; i++) count(FAULT_PIPELINE, out[i] != VK_NULL_HANDLE);
    return result;
}
WRAP_DESTROY(DestroyPipeline, PIPELINE, VkPipeline)

static VKAPI_ATTR VkResult VKAPI_CALL fault_AllocateDescriptorSets(
    VkDevice d, const VkDescriptorSetAllocateInfo *info, VkDescriptorSet *out) {
    VkResult failed;
    if (FAILS("vkAllocateDescriptorSets", &failed, VK_ERROR_OUT_OF_POOL_MEMORY, NO_HOST, NO_DEVICE,
              VK_ERROR_FRAGMENTED_POOL)) {
        memset(out, 0, info->descriptorSetCount * sizeof *out);
        return failed;
    }
    return next.AllocateDescriptorSets(d, info, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_AllocateCommandBuffers(
    VkDevice d, const VkCommandBufferAllocateInfo *info, VkCommandBuffer *out) {
    VkResult result;
    if (FAILS("vkAllocateCommandBuffers", &result, NO_HOST, NO_DEVICE)) {
        memset(out, 0, info->commandBufferCount * sizeof *out);
        return result;
    }
    result = next.AllocateCommandBuffers(d, info, out);
    if (result == VK_SUCCESS) count(FAULT_COMMAND_BUFFER, (int)info->commandBufferCount);
    return result;
}

static VKAPI_ATTR void VKAPI_CALL fault_FreeCommandBuffers(VkDevice d, VkCommandPool p, uint32_t n,
                                                           const VkCommandBuffer *list) {
    check_unused("vkFreeCommandBuffers");
    for (uint32_t i = 0; i < n; i++) count(FAULT_COMMAND_BUFFER, list[i] ? -1 : 0);
    next.FreeCommandBuffers(d, p, n, list);
}

WRAP_CREATE(CreateCommandPool, COMMAND_POOL,
            (VkDevice d, const VkCommandPoolCreateInfo *info, const VkAllocationCallbacks *a,
             VkCommandPool *out),
            (d, info, a, out), out, NO_HOST, NO_DEVICE)

static VKAPI_ATTR void VKAPI_CALL fault_DestroyCommandPool(VkDevice d, VkCommandPool p,
                                                           const VkAllocationCallbacks *a) {
    check_unused("vkDestroyCommandPool");
    if (p) {
        count_leaks(FAULT_COMMAND_BUFFER, FAULT_COMMAND_BUFFER, "command pool");
        count(FAULT_COMMAND_POOL, -1);
    }
    next.DestroyCommandPool(d, p, a);
}

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
    count(FAULT_INSTANCE, 1);
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL fault_DestroyInstance(VkInstance i,
                                                        const VkAllocationCallbacks *a) {
    if (i) {
        count_leaks(FAULT_DEVICE, FAULT_COMMAND_BUFFER, "instance");
        count(FAULT_INSTANCE, -1);
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
    if (!link || next.device) return VK_ERROR_INITIALIZATION_FAILED;
    PFN_vkGetInstanceProcAddr get_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    PFN_vkGetDeviceProcAddr get = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    result = ((PFN_vkCreateDevice)get_instance(next.instance, "vkCreateDevice"))(p, info, a, out);
    if (result != VK_SUCCESS) return result;
    next.device = *out;
    next.GetDeviceProcAddr = get;
#define LOAD(name) next.name = (PFN_vk##name)get(*out, "vk" #name);
    DEVICE_FUNCTIONS(LOAD)
#undef LOAD
    count(FAULT_DEVICE, 1);
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL fault_DestroyDevice(VkDevice d, const VkAllocationCallbacks *a) {
    check_unused("vkDestroyDevice");
    if (d) {
        count_leaks(FAULT_MEMORY, FAULT_COMMAND_BUFFER, "device");
        count(FAULT_DEVICE, -1);
    }
    next.device = NULL;
    next.DestroyDevice(d, a);
}

/* ---- before there is an instance ------------------------------------------------------------- */

EXPORT VKAPI_ATTR VkResult VKAPI_CALL
fault_instance_extensions(const VkEnumerateInstanceExtensionPropertiesChain *chain,
                          const char *layer, uint32_t *n, VkExtensionProperties *out);
EXPORT VKAPI_ATTR VkResult VKAPI_CALL fault_instance_layers(
    const VkEnumerateInstanceLayerPropertiesChain *chain, uint32_t *n, VkLayerProperties *out);
EXPORT VKAPI_ATTR VkResult VKAPI_CALL
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
static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_function(VkDevice d, const char *name);

typedef struct wrapper {
    const char *name;
    PFN_vkVoidFunction function;
} wrapper;

static const wrapper instance_wrappers[] = {
#define ROW(name) {"vk" #name, (PFN_vkVoidFunction)fault_##name},
    ROW(CreateInstance) ROW(CreateDevice)
        INSTANCE_FUNCTIONS(ROW){"vkGetInstanceProcAddr", (PFN_vkVoidFunction)get_instance_function},
};
static const wrapper device_wrappers[] = {
    DEVICE_FUNCTIONS(ROW)
#undef ROW
        {"vkGetDeviceProcAddr", (PFN_vkVoidFunction)get_device_function},
};

static PFN_vkVoidFunction find(const wrapper *list, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0) return list[i].function;
    return NULL;
}
#define FIND(list, name) find(list, sizeof(list) / sizeof *(list), name)

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_function(VkDevice d, const char *name) {
    PFN_vkVoidFunction mine = FIND(device_wrappers, name);
    PFN_vkVoidFunction theirs = next.GetDeviceProcAddr ? next.GetDeviceProcAddr(d, name) : NULL;
    return mine && theirs ? mine : theirs;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_function(VkInstance i,
                                                                      const char *name) {
    PFN_vkVoidFunction mine = FIND(instance_wrappers, name);
    if (!mine) mine = FIND(device_wrappers, name);
    if (!next.instance) return mine; /* it is being made */
    PFN_vkVoidFunction theirs = next.GetInstanceProcAddr(i, name);
    return mine && theirs ? mine : theirs;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_physical_function(VkInstance i,
                                                                      const char *name) {
    PFN_vkVoidFunction theirs =
        next.GetPhysicalDeviceProcAddr ? next.GetPhysicalDeviceProcAddr(i, name) : NULL;
    PFN_vkVoidFunction mine =
        strncmp(name, "vkGetPhysicalDevice", 19) == 0 ? FIND(instance_wrappers, name) : NULL;
    return mine && theirs ? mine : theirs;
}

EXPORT VKAPI_ATTR VkResult VKAPI_CALL fault_negotiate(VkNegotiateLayerInterface *v);
VKAPI_ATTR VkResult VKAPI_CALL fault_negotiate(VkNegotiateLayerInterface *v) {
    v->loaderLayerInterfaceVersion = 2;
    v->pfnGetInstanceProcAddr = get_instance_function;
    v->pfnGetDeviceProcAddr = get_device_function;
    v->pfnGetPhysicalDeviceProcAddr = get_physical_function;
    return VK_SUCCESS;
}

/* ---- what tests ask -------------------------------------------------------------------------- */

EXPORT bool fault_layer_covers(const char *name);
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
    return FIND(instance_wrappers, name) || FIND(device_wrappers, name);
}
