/* Everything Peridot asks of a physical device, asked at once: what describes it (probe.c), what
 * quirks depend on (quirks.c) and what is enabled on opening it (device.c).
 *
 * Structures that the device's version and extensions do not know are never put into a chain; they
 * stay zero, which reads as "not there".
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_PROBE_H
#define PD_VULKAN_PROBE_H

#include "backend/vulkan/device/device.h"

/* VK_KHR_cooperative_matrix came with headers 1.3.255; older ones lack its features. */
#ifndef VK_KHR_cooperative_matrix
#define VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME "VK_KHR_cooperative_matrix"
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR                          \
    ((VkStructureType)1000506000)
typedef struct VkPhysicalDeviceCooperativeMatrixFeaturesKHR {
    VkStructureType sType;
    void *pNext;
    VkBool32 cooperativeMatrix;
    VkBool32 cooperativeMatrixRobustBufferAccess;
} VkPhysicalDeviceCooperativeMatrixFeaturesKHR;

#define VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR ((VkStructureType)1000506001)
typedef enum VkComponentTypeKHR {
    VK_COMPONENT_TYPE_FLOAT16_KHR = 0,
    VK_COMPONENT_TYPE_FLOAT32_KHR = 1
} VkComponentTypeKHR;
typedef enum VkScopeKHR { VK_SCOPE_SUBGROUP_KHR = 3 } VkScopeKHR;
typedef struct VkCooperativeMatrixPropertiesKHR {
    VkStructureType sType;
    void *pNext;
    uint32_t MSize, NSize, KSize;
    VkComponentTypeKHR AType, BType, CType, ResultType;
    VkBool32 saturatingAccumulation;
    VkScopeKHR scope;
} VkCooperativeMatrixPropertiesKHR;
typedef VkResult(VKAPI_PTR *PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)(
    VkPhysicalDevice, uint32_t *, VkCooperativeMatrixPropertiesKHR *);
#endif

typedef struct pd_vk_features {
    VkPhysicalDeviceFeatures2 base;
#define PD_VK_FIELD(field, type, stype, extension, core_since) type field;
    PD_VK_STRUCTURES(PD_VK_FIELD)
#undef PD_VK_FIELD
} pd_vk_features;

typedef struct pd_vk_probe {
    VkPhysicalDevice physical;
    uint32_t api; /* what both the loader and the device speak, at most 1.3 */
    VkExtensionProperties *extensions;
    uint32_t n_extensions;

    VkPhysicalDeviceProperties2 properties;
    VkPhysicalDeviceIDProperties id;
    VkPhysicalDeviceMaintenance3Properties maintenance3;
    VkPhysicalDeviceSubgroupProperties subgroup;
    VkPhysicalDeviceDriverProperties driver;
    VkPhysicalDeviceSubgroupSizeControlProperties subgroup_size;
    VkPhysicalDeviceShaderIntegerDotProductProperties int_dot;
    VkPhysicalDeviceMemoryProperties2 memory;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget;
    pd_vk_features features;
    VkCooperativeMatrixPropertiesKHR *coopmats; /* products that matrix units do */
    uint32_t n_coopmats;

    bool has_compute_queue;
    uint32_t queue_family, timestamp_bits;
} pd_vk_probe;

void pd_vk_probe_read(VkPhysicalDevice physical, pd_vk_probe *p);
void pd_vk_probe_release(pd_vk_probe *p);
bool pd_vk_probe_has(const pd_vk_probe *p, const char *extension);
/* What is to be switched on for `caps`, chained, and the extensions that this takes; at most cap
 * of them, *n is how many. */
void pd_vk_features_select(const pd_vk_probe *p, const pd_vk_caps *caps, pd_vk_features *f,
                           const char **extensions, uint32_t cap, uint32_t *n);
void pd_vk_probe_describe(const pd_vk_probe *p, uint32_t index, pd_device_info *out);
/* What the device can do by its own account. */
void pd_vk_probe_caps(const pd_vk_probe *p, pd_vk_caps *out);
/* Why matrix units that the driver offers are of no use; NULL: they are. */
const char *pd_vk_probe_coopmat_obstacle(const pd_vk_probe *p, const pd_vk_caps *caps);

/* quirks.c: drops what a known fault of the driver, then PERIDOT_DISABLE forbids. Errors: ARGUMENT
 * (an unknown word in PERIDOT_DISABLE; names those there are). */
pd_status pd_vk_quirks_apply(const pd_vk_probe *p, pd_vk_caps *caps, pd_error *err);
/* Drops what a comma-separated list names, in PERIDOT_DISABLE's words. Errors: ARGUMENT. */
pd_status pd_vk_caps_disable(pd_vk_caps *caps, const char *names_of_caps, pd_error *err);
/* Whether neither forbids cooperative matrices: else not even their sizes may be asked for. */
bool pd_vk_quirks_allow_coopmat(const pd_vk_probe *p);

#endif
