/* The features of a device that kernels may or may not use, one line each, and the Vulkan
 * structures that ask for them and switch them on. A new one is a line here, probe.c's answer
 * whether a device has it, and a row in docs/environment.md.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_FEATURES_H
#define PD_VULKAN_FEATURES_H

/* X(NAME, field of pd_vk_caps, word of PERIDOT_DISABLE or NULL, the features without which it goes
 * as well, whether what is found out about a device depends on it). device.h makes the fields of
 * it, quirks.c PERIDOT_DISABLE and what faults drop, findings.c the names of its files. */
#define PD_VK_FEATURES(X)                                                                          \
    /* float16 arithmetic */                                                                       \
    X(FP16, fp16, "fp16", 0, true)                                                                 \
    /* 4x8-bit integer dot product */                                                              \
    X(INT_DOT, int_dot, "int8dot", 0, true)                                                        \
    /* subgroup arithmetic in compute */                                                           \
    X(SUBGROUP, subgroup, "subgroup", 0, false)                                                    \
    X(SUBGROUP_SIZE_CONTROL, subgroup_size_control, NULL, PD_VK_DROP_SUBGROUP, false)              \
    /* matrix units; coopmat_shape is what for, in f16 with f32 sums. They are a subgroup's */     \
    X(COOPMAT, coopmat, "coopmat", PD_VK_DROP_SUBGROUP | PD_VK_DROP_FP16, true)                    \
    /* the device's clock */                                                                       \
    X(TIMESTAMPS, timestamps, "timestamps", 0, false)                                              \
    /* VK_EXT_conditional_rendering: skipping dispatches by a word in a buffer */                  \
    X(CONDITIONAL, conditional, "conditional", 0, false)                                           \
    /* a software device's own tile sizes; without, it runs what GPUs run */                       \
    X(SOFTWARE_TILES, software_tiles, "software-tiles", 0, true)                                   \
    /* a workgroup may finish what others of its dispatch have written */                          \
    X(LAST_ARRIVAL, last_arrival, "last-arrival", 0, true)                                         \
    /* the large tiles of matrix units */                                                          \
    X(LARGE_COOPMAT, large_coopmat, NULL, 0, true)                                                 \
    /* many products in an invocation: some compilers keep too many loads in flight then */        \
    X(MANY_PRODUCTS, many_products, "many-products", 0, true)

enum {
#define PD_VK_INDEX(NAME, field, word, needs, found_out) PD_VK_FEATURE_##NAME,
    PD_VK_FEATURES(PD_VK_INDEX)
#undef PD_VK_INDEX
};
/* PD_VK_DROP_FP16, ...: bits of what is not used. */
enum {
#define PD_VK_BIT(NAME, field, word, needs, found_out)                                             \
    PD_VK_DROP_##NAME = 1 << PD_VK_FEATURE_##NAME,
    PD_VK_FEATURES(PD_VK_BIT)
#undef PD_VK_BIT
};

/* X(field of pd_vk_features, type VkPhysicalDevice...Features, sType VK_STRUCTURE_TYPE_..., the
 * extension, the version since which it is core). probe.h makes the fields, probe.c the chain;
 * device.c switches on what probe.c selects in it. */
#define PD_VK_NEVER_CORE 0x7fffffff
#define PD_VK_STRUCTURES(X)                                                                        \
    X(storage8, VkPhysicalDevice8BitStorageFeatures,                                               \
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES, VK_KHR_8BIT_STORAGE_EXTENSION_NAME, \
      VK_API_VERSION_1_2)                                                                          \
    X(small, VkPhysicalDeviceShaderFloat16Int8Features,                                            \
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,                              \
      VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME, VK_API_VERSION_1_2)                               \
    X(int_dot, VkPhysicalDeviceShaderIntegerDotProductFeatures,                                    \
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,                       \
      VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, VK_API_VERSION_1_3)                        \
    X(subgroup_size, VkPhysicalDeviceSubgroupSizeControlFeatures,                                  \
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,                            \
      VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, VK_API_VERSION_1_3)                             \
    X(memory_model, VkPhysicalDeviceVulkanMemoryModelFeatures,                                     \
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES,                              \
      VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME, VK_API_VERSION_1_2)                               \
    X(coopmat, VkPhysicalDeviceCooperativeMatrixFeaturesKHR,                                       \
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,                           \
      VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME, PD_VK_NEVER_CORE)                                  \
    X(conditional, VkPhysicalDeviceConditionalRenderingFeaturesEXT,                                \
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_CONDITIONAL_RENDERING_FEATURES_EXT,                        \
      VK_EXT_CONDITIONAL_RENDERING_EXTENSION_NAME, PD_VK_NEVER_CORE)                               \
    X(fault, VkPhysicalDeviceFaultFeaturesEXT,                                                     \
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FAULT_FEATURES_EXT, VK_EXT_DEVICE_FAULT_EXTENSION_NAME,    \
      PD_VK_NEVER_CORE)                                                                            \
    X(executable_info, VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR,                    \
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,               \
      VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME, PD_VK_NEVER_CORE)

#endif
