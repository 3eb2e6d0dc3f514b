/* What the tests and the fault-injecting Vulkan layer share: see fault_layer.c.
 *
 * A test opens the layer's library itself and finds the state through fault_layer_state(); the
 * loader, which finds the layer by its manifest, gets the same library. A program that knows
 * nothing of it is steered by environment variables, which fault_layer.c lists.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEST_FAULT_LAYER_H
#define PD_TEST_FAULT_LAYER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <vulkan/vulkan_core.h>

/* Objects that are counted; command buffers must be freed before their pool is destroyed, since a
 * pool that lives as long as the device would otherwise grow. */
#define FAULT_KINDS(X)                                                                             \
    X(INSTANCE, "instances")                                                                       \
    X(DEVICE, "devices")                                                                           \
    X(MEMORY, "allocations of memory")                                                             \
    X(BUFFER, "buffers")                                                                           \
    X(FENCE, "fences")                                                                             \
    X(QUERY_POOL, "query pools")                                                                   \
    X(SHADER_MODULE, "shader modules")                                                             \
    X(PIPELINE_CACHE, "pipeline caches")                                                           \
    X(PIPELINE, "pipelines")                                                                       \
    X(PIPELINE_LAYOUT, "pipeline layouts")                                                         \
    X(SET_LAYOUT, "descriptor set layouts")                                                        \
    X(DESCRIPTOR_POOL, "descriptor pools")                                                         \
    X(COMMAND_POOL, "command pools")                                                               \
    X(COMMAND_BUFFER, "command buffers")

typedef enum fault_kind {
#define FAULT_KIND_ENUM(name, text) FAULT_##name,
    FAULT_KINDS(FAULT_KIND_ENUM)
#undef FAULT_KIND_ENUM
        FAULT_KIND_COUNT
} fault_kind;

typedef struct fault_state {
    /* The wish; may change between calls. */
    atomic_uint fail_at;    /* the call that fails, counted from 1 in n_calls; 0: none */
    atomic_bool ever_after; /* ... and every later one */
    atomic_bool hangs;      /* instead of failing, the device never again finishes anything */
    atomic_uint which;      /* of the results that Vulkan lets the function return */

    /* What happened. */
    atomic_uint n_calls;               /* of functions that can fail */
    atomic_uint n_timeouts;            /* of waits for a device that hangs */
    atomic_uint n_failed;              /* of them made to fail */
    _Atomic(const char *) failed_call; /* the first of those: "vkCreateFence" */
    _Atomic VkResult failed_result;    /* ... and what it returned */
    atomic_uint failed_results;        /* of all of them: bit n for -n, bit 31 for others */
    atomic_int live[FAULT_KIND_COUNT]; /* created minus destroyed */
    atomic_uint n_leaks;               /* objects that outlived their device, pool or instance */
} fault_state;

typedef fault_state *(*fault_layer_state_fn)(void);
/* Whether the layer stands between the program and a function of this name, or need not since the
 * function cannot fail. */
typedef bool (*fault_layer_covers_fn)(const char *name);

#endif
