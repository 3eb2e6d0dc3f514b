/* SPIR-V of the embedded texts, made when the program was built: what third_party/shaders.cmake
 * generates.  SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_SPIRV_MODULES_H
#define PD_VULKAN_SPIRV_MODULES_H

#include <stddef.h>
#include <stdint.h>

typedef struct pd_spirv_module {
    const char *stem;           /* "matvec" */
    uint64_t source_hash;       /* of the text that it was made from: pd_vk_source_hash */
    const unsigned char *bytes; /* aligned to 4 */
    size_t n_bytes;
} pd_spirv_module;

extern const pd_spirv_module pd_spirv_modules[];
extern const unsigned pd_spirv_module_count; /* 0: none were made */

#endif
