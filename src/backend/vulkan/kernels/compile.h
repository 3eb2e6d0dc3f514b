/* The compiler behind pd_vk_spirv_get (compile.c); absent in programs built with
 * -DPERIDOT_GLSLANG=OFF.  SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_COMPILE_H
#define PD_VULKAN_COMPILE_H

#include "backend/vulkan/kernels/expand.h"

/* Everything but the source that the result depends on. */
extern const char pd_vk_compiler[];

/* pd_free *words. Thread-safe. Errors: INTERNAL with glslang's message. */
pd_status pd_vk_compile(const pd_vk_source *source, uint32_t **words, size_t *n_bytes,
                        pd_error *err);

#endif
