/* Shader files to pipelines.
 *
 *   expand.c    shader texts, embedded or from $PERIDOT_SHADER_DIR, with their #include lines
 *               resolved
 *   compile.c   GLSL text -> SPIR-V through glslang's C interface; SPIR-V is kept in the cache
 *               directory under a key made of the expanded source, the glslang version and the
 *               target
 *   coopmat_rewrite.c  SPIR-V with NVIDIA's cooperative matrices to Khronos'
 *   pipeline.c  specialised pipelines, created once per (shader, constants); build.c: many at once;
 *               pipeline_cache.c: one VkPipelineCache, kept in the cache directory under the
 *               device's UUID and driver version
 *
 * All shaders have one descriptor set of storage buffers 0..n_buffers-1 and one push-constant
 * block. Specialisation constant 0 is always the workgroup's size in x.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_PIPELINE_H
#define PD_VULKAN_PIPELINE_H

#include "backend/vulkan/device/device.h"

enum { PD_VK_MAX_CONSTANTS = 16, PD_VK_MAX_BUFFERS = 8 };

/* SPIR-V of shaders/<name>.comp, from the cache or compiled; pd_free it. Thread-safe.
 * *compile_ns: what glslang took, 0 when the cache had it. Errors: INTERNAL with glslang's message.
 */
pd_status pd_vk_spirv_get(const char *name, uint32_t **words, size_t *n_bytes, uint64_t *compile_ns,
                          pd_error *err);
/* Names of all embedded .comp files, without the extension; NULL after the last. */
const char *pd_vk_shader_name(uint32_t i);

typedef struct pd_vk_pipeline_desc {
    const char *shader; /* "matvec" */
    uint32_t n_buffers;
    uint32_t push_bytes; /* <= 128 */
    uint32_t n_constants;
    uint32_t constants[PD_VK_MAX_CONSTANTS]; /* by the names of shaders/interface.h */
    uint32_t
        subgroup_size; /* 0: the driver's choice; else forced, with full subgroups: needs
                          caps.subgroup_size_control and constants[PD_WORKGROUP] a multiple of it */
} pd_vk_pipeline_desc;

typedef struct pd_vk_pipeline {
    VkPipeline handle;
    VkPipelineLayout layout;
    VkDescriptorSetLayout set_layout;
    pd_vk_pipeline_desc desc;
    char name[96];  /* "matvec(128,2,16,4,1,0)": for profiles and errors */
    bool wanted;    /* a program waits for it; else it is only expected */
    bool in_flight; /* a thread is building it: `handle` is that thread's */
} pd_vk_pipeline;

typedef struct pd_vk_pipelines pd_vk_pipelines;
pd_status pd_vk_pipelines_create(pd_vk_device *d, pd_vk_pipelines **out, pd_error *err);
/* Writes the pipeline cache back when it grew. */
void pd_vk_pipelines_destroy(pd_vk_pipelines *p);
/* The same object for the same desc; lives as long as `p`. desc.shader must outlive it (a literal).
 * One thread at a time, as everything here. Errors: UNSUPPORTED (a limit of the device: names it),
 * INTERNAL, DEVICE. */
pd_status pd_vk_pipeline_get(pd_vk_pipelines *p, const pd_vk_pipeline_desc *desc,
                             const pd_vk_pipeline **out, pd_error *err);
/* The same in two steps: declare makes the layouts, so that descriptor sets can be written; build
 * then makes everything declared and not built yet, with as many threads as there are processors,
 * since drivers take 5 to 500 ms for one. */
pd_status pd_vk_pipeline_declare(pd_vk_pipelines *p, const pd_vk_pipeline_desc *desc,
                                 const pd_vk_pipeline **out, pd_error *err);
pd_status pd_vk_pipelines_build(pd_vk_pipelines *p, pd_error *err);
/* Lets threads build everything declared and not built yet, and returns. The caller may go on
 * declaring and getting; what needs a pipeline that is in flight waits for all of them. What fails
 * is tried again by whoever needs it, and fails there. */
void pd_vk_pipelines_begin(pd_vk_pipelines *p);
void pd_vk_pipelines_stats(pd_vk_pipelines *p, pd_build_stats *out);
uint32_t pd_vk_pipeline_count(const pd_vk_pipelines *p);
const pd_vk_pipeline *pd_vk_pipeline_at(const pd_vk_pipelines *p, uint32_t i);

#endif
