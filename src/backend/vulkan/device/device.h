/* Vulkan from the loader to a queue: instance, physical devices, features, limits, quirks.
 *
 *   features.h  the list of what a device may have and kernels may use
 *   loader.c  opens the Vulkan library at run time through volk, makes the one instance of the
 *             process (reference-counted), and routes validation messages to the log
 *   probe.c   asks a physical device everything Peridot wants to know, and describes it
 *   quirks.c  the table of drivers' faults and the PERIDOT_DISABLE switches
 *   device.c  opens a device with exactly the features Peridot uses
 *
 * Needs Vulkan 1.1 with a compute queue; everything beyond is detected and only then used.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_DEVICE_H
#define PD_VULKAN_DEVICE_H

#define VK_NO_PROTOTYPES
#include <volk.h>

#include "backend/vulkan/device/features.h"
#include "base/error.h"

/* Raises an error naming the call and its VkResult and jumps to `done` (needs `status`, `err`).
 * VK_ERROR_DEVICE_LOST becomes ERR_DEVICE_LOST, the out-of-memory results ERR_MEMORY_*. */
#define PD_VK_TRY_GOTO(call)                                                                       \
    do {                                                                                           \
        VkResult pd_vk_result_ = (call);                                                           \
        if (pd_vk_result_ != VK_SUCCESS) {                                                         \
            status = pd_vk_raise(err, __FILE__, __LINE__, #call, pd_vk_result_);                   \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)
/* The same for a call that makes `object`, in which a failing one may leave anything. */
#define PD_VK_MAKE_GOTO(call, object)                                                              \
    do {                                                                                           \
        VkResult pd_vk_result_ = (call);                                                           \
        if (pd_vk_result_ != VK_SUCCESS) {                                                         \
            (object) = VK_NULL_HANDLE;                                                             \
            status = pd_vk_raise(err, __FILE__, __LINE__, #call, pd_vk_result_);                   \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)
pd_status pd_vk_raise(pd_error *err, const char *file, int line, const char *call, VkResult result);
const char *pd_vk_result_name(VkResult result);
pd_status pd_vk_result_status(VkResult result); /* of a failure */

/* The process-wide instance; every open is paired with a close. Errors: NO_DEVICE (no Vulkan
 * library, no driver, no validation layer: says which), ARGUMENT (PERIDOT_VALIDATION).
 * PERIDOT_VALIDATION is 1 (core and synchronisation checks) or a list out of core, sync, best: the
 * Khronos validation layer is on and its messages go to the log, subsystem "validation".
 * Thread-safe. */
pd_status pd_vk_instance_open(VkInstance *out, pd_error *err);
void pd_vk_instance_close(void);
/* Why the last open failed with NO_DEVICE, without its hint; a literal, NULL when none failed. */
const char *pd_vk_instance_absence(void);
/* Validation messages of warning level and above since the start; tests insist on 0. */
uint32_t pd_vk_validation_count(void);

/* Physical devices in the loader's order; at most cap, *count is how many there are. */
pd_status pd_vk_physical_list(VkInstance instance, VkPhysicalDevice *out, uint32_t cap,
                              uint32_t *count, pd_error *err);
void pd_vk_describe(VkPhysicalDevice physical, uint32_t index, pd_device_info *out);

/* Sizes of a product that a subgroup's matrix unit does: A [m][k] times B [k][n] plus C [m][n]. */
typedef struct pd_vk_coopmat {
    uint32_t m, n, k;
} pd_vk_coopmat;

/* What kernels may use on this device: what it has, less the quirks table and PERIDOT_DISABLE. */
typedef struct pd_vk_caps {
#define PD_VK_FIELD(NAME, field, word, needs, found_out) bool field;
    PD_VK_FEATURES(PD_VK_FIELD)
#undef PD_VK_FIELD
    bool int_dot_fast;    /* int_dot in one instruction */
    bool fault;           /* VK_EXT_device_fault: what a lost device died of */
    bool executable_info; /* pipelines are made so that statistics.h can ask about them */
    bool memory_budget;
    bool is_software; /* llvmpipe and its kin: memory is the host's, speed a processor's */
    uint32_t subgroup_size, subgroup_size_min, subgroup_size_max;
    uint32_t vendor_id;          /* by PCI */
    uint32_t max_workgroup_size; /* in x */
    uint32_t max_subgroups;      /* of a workgroup whose subgroups' size is asked for */
    uint32_t max_shared_bytes;   /* of a workgroup; PERIDOT_MAX_SHARED lowers it */
    pd_vk_coopmat coopmat_shape;
    uint64_t max_binding_bytes; /* what weights and KV pages are cut to; PERIDOT_MAX_BINDING lowers
                                   it */
    float timestamp_ns;         /* per tick */
} pd_vk_caps;

/* Which matrix kernels serve precisions f16 and q8 here: rules of thumb until tune.c knows better.
 */
typedef struct pd_vk_tuning {
    bool known;
    bool matrix_units;                      /* prompts' products in halves use them */
    uint32_t decode_format, prefill_format; /* PD_ACT_* of shaders/args.h */
    uint32_t lanes, rows;                   /* of a large matvec */
    double f32_gflop_s;                     /* of prompts' products in f32; 0: not measured */
} pd_vk_tuning;
/* What a device is taken to like best before anything was measured. */
pd_vk_tuning pd_vk_rules_of_thumb(const pd_vk_caps *caps);
/* Whether products may read that PD_ACT_* on a device: what it does not compute in hardware is no
 * choice, except on a rasteriser, which shall show that it is right. */
bool pd_vk_has_format(const pd_vk_caps *caps, uint32_t format);

typedef struct pd_vk_device {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice handle;
    VkQueue queue; /* compute; one for everything */
    uint32_t queue_family;
    struct VolkDeviceTable vk; /* every device-level call goes through here: d->vk.vkCmdDispatch */
    VkPhysicalDeviceProperties properties;
    VkPhysicalDeviceMemoryProperties memory;
    pd_device_info info;
    pd_vk_caps caps;
    uint32_t timeout_s; /* of a wait: see wait.h */
    bool lost;          /* sticky after VK_ERROR_DEVICE_LOST */
    bool hangs;         /* and it never finishes what it has begun: nothing of it is destroyed */
} pd_vk_device;

/* Errors: NO_DEVICE (index, or why it cannot be used), ARGUMENT (PERIDOT_DISABLE), DEVICE. A device
 * without any memory opens nevertheless (drivers offer such "null hardware" for compiling shaders);
 * pd_device_info.usable is false then. */
pd_status pd_vk_device_open(uint32_t index, pd_vk_device **out, pd_error *err);
/* The same, for a look at what the driver's compiler makes of pipelines: see statistics.h. Building
 * them takes longer. Errors: also UNSUPPORTED, where the driver does not tell. */
pd_status pd_vk_device_open_capturing(uint32_t index, pd_vk_device **out, pd_error *err);
void pd_vk_device_close(pd_vk_device *d);

#endif
