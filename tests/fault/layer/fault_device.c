/* The functions of a device: each fails when its turn comes, and what it makes is counted.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fault_calls.h"

#include <time.h>
#include <unistd.h>

/* A list, which clang-format takes for calls within calls. */
/* clang-format off */
#define DEVICE_FUNCTIONS(X) \
    X(DestroyDevice) X(AllocateMemory) X(FreeMemory) X(MapMemory) X(BindBufferMemory) \
    X(CreateBuffer) X(DestroyBuffer) X(CreateFence) X(DestroyFence) X(ResetFences) \
    X(GetFenceStatus) X(WaitForFences) X(QueueSubmit) X(DeviceWaitIdle) \
    X(CreateQueryPool) X(DestroyQueryPool) X(GetQueryPoolResults) X(CreateShaderModule) \
    X(DestroyShaderModule) X(CreatePipelineCache) X(DestroyPipelineCache) \
    X(GetPipelineCacheData) X(CreateComputePipelines) X(DestroyPipeline) \
    X(CreatePipelineLayout) X(DestroyPipelineLayout) X(CreateDescriptorSetLayout) \
    X(DestroyDescriptorSetLayout) X(CreateDescriptorPool) X(DestroyDescriptorPool) \
    X(ResetDescriptorPool) X(AllocateDescriptorSets) X(CreateCommandPool) \
    X(DestroyCommandPool) X(AllocateCommandBuffers) X(FreeCommandBuffers) \
    X(BeginCommandBuffer) X(EndCommandBuffer)
/* clang-format on */

static struct {
    VkDevice device;
    PFN_vkGetDeviceProcAddr GetDeviceProcAddr;
#define MEMBER(name) PFN_vk##name name;
    DEVICE_FUNCTIONS(MEMBER)
#undef MEMBER
} next;

void fault_load_device(VkDevice d, PFN_vkGetDeviceProcAddr get) {
    next.device = d;
    next.GetDeviceProcAddr = get;
#define LOAD(name) next.name = (PFN_vk##name)get(d, "vk" #name);
    DEVICE_FUNCTIONS(LOAD)
#undef LOAD
    fault_watch_device(d, next.DeviceWaitIdle);
}

VkDevice fault_device(void) {
    return next.device;
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
        if (result == VK_SUCCESS) fault_count(FAULT_##kind, 1);                                    \
        return result;                                                                             \
    }

#define WRAP_DESTROY(name, kind, type)                                                             \
    static VKAPI_ATTR void VKAPI_CALL fault_##name(VkDevice d, type object,                        \
                                                   const VkAllocationCallbacks *a) {               \
        fault_check_unused("vk" #name);                                                            \
        if (object) fault_count(FAULT_##kind, -1);                                                 \
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
    if (!fault_hangs()) return next.WaitForFences(d, n, f, all, ns);
    struct timespec time = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    nanosleep(&time, NULL);
    fault_layer_state()->n_timeouts++;
    return VK_TIMEOUT;
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_QueueSubmit(VkQueue q, uint32_t n,
                                                        const VkSubmitInfo *s, VkFence f) {
    VkResult failed;
    if (FAILS("vkQueueSubmit", &failed, LOST, NO_HOST, NO_DEVICE)) return failed;
    return fault_hangs() ? VK_SUCCESS : next.QueueSubmit(q, n, s, f);
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_DeviceWaitIdle(VkDevice d) {
    VkResult failed;
    if (FAILS("vkDeviceWaitIdle", &failed, LOST, NO_HOST, NO_DEVICE)) return failed;
    while (fault_hangs()) pause();
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
    for (uint32_t i = 0; i < n; i++) fault_count(FAULT_PIPELINE, out[i] != VK_NULL_HANDLE);
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
    if (result == VK_SUCCESS) fault_count(FAULT_COMMAND_BUFFER, (int)info->commandBufferCount);
    return result;
}

static VKAPI_ATTR void VKAPI_CALL fault_FreeCommandBuffers(VkDevice d, VkCommandPool p, uint32_t n,
                                                           const VkCommandBuffer *list) {
    fault_check_unused("vkFreeCommandBuffers");
    for (uint32_t i = 0; i < n; i++) fault_count(FAULT_COMMAND_BUFFER, list[i] ? -1 : 0);
    next.FreeCommandBuffers(d, p, n, list);
}

WRAP_CREATE(CreateCommandPool, COMMAND_POOL,
            (VkDevice d, const VkCommandPoolCreateInfo *info, const VkAllocationCallbacks *a,
             VkCommandPool *out),
            (d, info, a, out), out, NO_HOST, NO_DEVICE)

static VKAPI_ATTR void VKAPI_CALL fault_DestroyCommandPool(VkDevice d, VkCommandPool p,
                                                           const VkAllocationCallbacks *a) {
    fault_check_unused("vkDestroyCommandPool");
    if (p) {
        fault_count_leaks(FAULT_COMMAND_BUFFER, FAULT_COMMAND_BUFFER, "command pool");
        fault_count(FAULT_COMMAND_POOL, -1);
    }
    next.DestroyCommandPool(d, p, a);
}

static VKAPI_ATTR void VKAPI_CALL fault_DestroyDevice(VkDevice d, const VkAllocationCallbacks *a) {
    fault_check_unused("vkDestroyDevice");
    if (d) {
        fault_count_leaks(FAULT_MEMORY, FAULT_COMMAND_BUFFER, "device");
        fault_count(FAULT_DEVICE, -1);
    }
    next.device = NULL;
    fault_watch_device(NULL, NULL);
    next.DestroyDevice(d, a);
}

/* ---- what the loader asks -------------------------------------------------------------------- */

/* That list again. */
/* clang-format off */
static const fault_wrapper wrappers[] = {
    DEVICE_FUNCTIONS(FAULT_ROW)
    {"vkGetDeviceProcAddr", (PFN_vkVoidFunction)fault_GetDeviceProcAddr},
};
/* clang-format on */

PFN_vkVoidFunction fault_find_device_function(const char *name) {
    return FAULT_FIND(wrappers, name);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL fault_GetDeviceProcAddr(VkDevice d, const char *name) {
    PFN_vkVoidFunction mine = FAULT_FIND(wrappers, name);
    PFN_vkVoidFunction theirs = next.GetDeviceProcAddr ? next.GetDeviceProcAddr(d, name) : NULL;
    return mine && theirs ? mine : theirs;
}
