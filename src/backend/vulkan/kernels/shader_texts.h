/* The GLSL files that were embedded at build time.  SPDX-License-Identifier: MIT */
#ifndef PD_VULKAN_SHADER_TEXTS_H
#define PD_VULKAN_SHADER_TEXTS_H

#include <stddef.h>

typedef struct pd_shader_text {
    const char *name; /* file name inside shaders/: "matvec.comp" */
    const char *stem; /* without its extension: "matvec" */
    const char *text; /* NUL-terminated */
    size_t n_bytes;
} pd_shader_text;

extern const pd_shader_text pd_shader_texts[];
extern const unsigned pd_shader_text_count;

#endif
