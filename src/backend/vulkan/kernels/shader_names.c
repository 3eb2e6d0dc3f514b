/* The shaders that are embedded in the program.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "backend/vulkan/kernels/pipeline.h"
#include "backend/vulkan/kernels/shader_texts.h"

const char *pd_vk_shader_name(uint32_t i) {
    for (unsigned k = 0; k < pd_shader_text_count; k++) {
        const char *dot = strrchr(pd_shader_texts[k].name, '.');
        if (dot && strcmp(dot, ".comp") == 0 && i-- == 0) return pd_shader_texts[k].stem;
    }
    return NULL;
}
