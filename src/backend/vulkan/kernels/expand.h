/* Shader texts with their #include lines resolved: see expand.c.  SPDX-License-Identifier: MIT */
#ifndef PD_VULKAN_EXPAND_H
#define PD_VULKAN_EXPAND_H

#include "base/bytes.h"
#include "base/error.h"

enum { PD_VK_MAX_INCLUDES = 32 };

typedef struct pd_vk_source {
    pd_bytes text;
    char files[PD_VK_MAX_INCLUDES][64]; /* by the string numbers of the #line directives */
    uint32_t n_files;
} pd_vk_source;

/* The text of `file` ("matvec.comp") and all it includes. Errors: INTERNAL (a file is missing). */
pd_status pd_vk_source_expand(const char *file, pd_vk_source *out, pd_error *err);
void pd_vk_source_release(pd_vk_source *s);
uint64_t pd_vk_source_hash(const pd_vk_source *s); /* of the text */

#endif
