/* Inside of the fault-injecting layer: what its wrappers share. See fault_layer.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEST_FAULT_CALLS_H
#define PD_TEST_FAULT_CALLS_H

#include "fault_layer.h"

#include <stddef.h>
#include <string.h>
#include <vulkan/vk_layer.h>

#define FAULT_EXPORT __attribute__((visibility("default")))

FAULT_EXPORT fault_state *fault_layer_state(void);

/* Numbers the call; whether it fails, and how. */
bool fault_fails(const char *name, const VkResult *results, uint32_t n_results, VkResult *result);

/* FAILS(name, &result, the errors that Vulkan allows it...) */
#define FAILS(name, result, ...)                                                                   \
    fault_fails(name, (const VkResult[]){__VA_ARGS__},                                             \
                sizeof((const VkResult[]){__VA_ARGS__}) / sizeof(VkResult), result)

#define NO_HOST   VK_ERROR_OUT_OF_HOST_MEMORY
#define NO_DEVICE VK_ERROR_OUT_OF_DEVICE_MEMORY
#define LOST      VK_ERROR_DEVICE_LOST
#define NO_INIT   VK_ERROR_INITIALIZATION_FAILED

/* Whether the device hangs by now. */
bool fault_hangs(void);

/* Destroying what may be in use, behind a wait that timed out. Modules never are. */
void fault_check_unused(const char *name);

/* The device whose work is waited for before a call says that it is lost; NULL: there is none. */
void fault_watch_device(VkDevice d, PFN_vkDeviceWaitIdle wait_idle);

void fault_count(fault_kind kind, int n);
/* Those of kinds first to last that are still there when what they belong to is destroyed. */
void fault_count_leaks(fault_kind first, fault_kind last, const char *end_of);

/* ---- wrappers -------------------------------------------------------------------------------- */

/* A function that only does something. `next` is that of the file: the layer below. */
#define WRAP(name, params, args, ...)                                                              \
    static VKAPI_ATTR VkResult VKAPI_CALL fault_##name params {                                    \
        VkResult failed;                                                                           \
        if (FAILS("vk" #name, &failed, __VA_ARGS__)) return failed;                                \
        return next.name args;                                                                     \
    }

typedef struct fault_wrapper {
    const char *name;
    PFN_vkVoidFunction function;
} fault_wrapper;

static inline PFN_vkVoidFunction fault_find(const fault_wrapper *list, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0) return list[i].function;
    return NULL;
}

#define FAULT_ROW(name)        {"vk" #name, (PFN_vkVoidFunction)fault_##name},
#define FAULT_FIND(list, name) fault_find(list, sizeof(list) / sizeof *(list), name)

/* ---- fault_device.c -------------------------------------------------------------------------- */

/* Finds the device's functions in the next layer. */
void fault_load_device(VkDevice d, PFN_vkGetDeviceProcAddr get);
VkDevice fault_device(void); /* NULL: there is none */
/* The layer's own function of that name; NULL: it has none. */
PFN_vkVoidFunction fault_find_device_function(const char *name);
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL fault_GetDeviceProcAddr(VkDevice d, const char *name);

#endif
