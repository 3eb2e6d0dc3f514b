/* What a pipeline's shader is bound to: pools and sets of storage buffers.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_DESCRIPTORS_H
#define PD_VULKAN_DESCRIPTORS_H

#include "backend/vulkan/device/memory.h"
#include "backend/vulkan/kernels/pipeline.h"

/* For n_sets sets of n_buffers bindings together. Errors: MEMORY_*, DEVICE. */
pd_status pd_vk_pool_create(pd_vk_device *d, uint32_t n_sets, uint32_t n_buffers,
                            VkDescriptorPool *out, pd_error *err);
/* A set out of the pool with buffers[binding], by the names of shaders/interface.h. Errors:
 * INTERNAL (nothing is given for a binding of the pipeline), MEMORY_*, DEVICE. */
pd_status pd_vk_set_create(pd_vk_device *d, VkDescriptorPool pool, const pd_vk_pipeline *pipeline,
                           const pd_vk_slice *buffers, VkDescriptorSet *out, pd_error *err);

#endif
