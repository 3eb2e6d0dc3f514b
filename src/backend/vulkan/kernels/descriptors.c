/* See descriptors.h.  SPDX-License-Identifier: MIT */
#include "backend/vulkan/kernels/descriptors.h"

pd_status pd_vk_pool_create(pd_vk_device *d, uint32_t n_sets, uint32_t n_buffers,
                            VkDescriptorPool *out, pd_error *err) {
    pd_status status = PD_OK;
    VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, n_buffers};
    VkDescriptorPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                       .maxSets = n_sets,
                                       .poolSizeCount = 1,
                                       .pPoolSizes = &size};
    PD_VK_MAKE_GOTO(d->vk.vkCreateDescriptorPool(d->handle, &info, NULL, out), *out);
done:
    return status;
}

pd_status pd_vk_set_create(pd_vk_device *d, VkDescriptorPool pool, const pd_vk_pipeline *pipeline,
                           const pd_vk_slice *buffers, VkDescriptorSet *out, pd_error *err) {
    pd_status status = PD_OK;
    VkDescriptorBufferInfo infos[PD_VK_MAX_BUFFERS];
    uint32_t n = pipeline->desc.n_buffers;
    for (uint32_t i = 0; i < n; i++) {
        if (!buffers[i].handle)
            return PD_RAISE(err, PD_ERR_INTERNAL, "nothing is bound to binding %u of pipeline %s",
                            i, pipeline->name);
        infos[i] = (VkDescriptorBufferInfo){buffers[i].handle, buffers[i].offset, buffers[i].bytes};
    }
    VkDescriptorSetAllocateInfo alloc = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                         .descriptorPool = pool,
                                         .descriptorSetCount = 1,
                                         .pSetLayouts = &pipeline->set_layout};
    PD_VK_TRY_GOTO(d->vk.vkAllocateDescriptorSets(d->handle, &alloc, out));
    VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                  .dstSet = *out,
                                  .descriptorCount = n,
                                  .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                  .pBufferInfo = infos};
    d->vk.vkUpdateDescriptorSets(d->handle, 1, &write, 0, NULL);
done:
    return status;
}
