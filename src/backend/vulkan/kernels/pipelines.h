/* The pipelines of a device: what pipeline.c, build.c and pipeline_cache.c share.
 *
 * The list belongs to the caller's thread. Builder threads get pipelines of their own to fill in
 * (in_flight), which nobody else looks into before they are joined; what they share besides,
 * shaders' SPIR-V and counters, has a lock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_PIPELINES_H
#define PD_VULKAN_PIPELINES_H

#include <stdatomic.h>

#include "backend/vulkan/kernels/pipeline.h"
#include "base/thread.h"

enum { PD_VK_MAX_SHADERS = 64 };

/* SPIR-V that several pipelines are made of. */
typedef struct pd_vk_shader {
    const char *name; /* pd_vk_pipeline_desc.shader */
    uint32_t *words;
    size_t n_bytes;
} pd_vk_shader;

/* Declared pipelines that threads build, each with its own error. */
typedef struct pd_vk_build_job {
    pd_vk_pipelines *pipelines;
    pd_vk_pipeline **list; /* [n] */
    pd_error *errors;      /* [n] */
    pd_status *statuses;   /* [n] */
    uint32_t n, n_threads;
    atomic_bool stop; /* build no more */
} pd_vk_build_job;

struct pd_vk_pipelines {
    pd_vk_device *device;
    VkPipelineCache cache;
    char cache_name[128];
    uint64_t cache_hash; /* of what was loaded; 0: nothing */
    pd_vk_pipeline **list;
    uint32_t n, cap;
    pd_thread *builder; /* NULL: none is at work */
    pd_vk_build_job background;

    pd_mutex *lock; /* of what follows */
    pd_vk_shader shaders[PD_VK_MAX_SHADERS];
    uint32_t n_shaders;
    pd_build_stats stats;
};

/* pipeline.c: SPIR-V of a shader, and one pipeline with everything below; both from any thread. */
pd_status pd_vk_pipelines_shader(pd_vk_pipelines *p, const char *name, const pd_vk_shader **out,
                                 pd_error *err);
pd_status pd_vk_pipeline_build(pd_vk_pipelines *p, pd_vk_pipeline *pipeline, pd_error *err);
void pd_vk_pipeline_destroy(pd_vk_device *d, pd_vk_pipeline *pipeline);

/* build.c: waits for the threads that build in the background. */
void pd_vk_pipelines_join(pd_vk_pipelines *p);

/* pipeline_cache.c: p->cache, with what was kept; and keeps it when it has changed. */
pd_status pd_vk_pipeline_cache_create(pd_vk_pipelines *p, pd_error *err);
void pd_vk_pipeline_cache_save(const pd_vk_pipelines *p);

#endif
