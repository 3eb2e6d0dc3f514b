/* How much shared memory a module takes with given specialisation constants: read off its SPIR-V,
 * so that no formula has to follow the shaders' texts.  SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_SHARED_MEMORY_H
#define PD_VULKAN_SHARED_MEMORY_H

#include "backend/vulkan/kernels/pipeline.h"

/* Bytes of all variables in workgroup storage, each rounded up to 16, in *bytes. False: the module
 * says it in a way that is not understood here, or memory ran out; *bytes is 0 then. */
bool pd_vk_shared_bytes(const uint32_t *words, size_t n_words, const pd_vk_pipeline_desc *desc,
                        uint64_t *bytes);

#endif
