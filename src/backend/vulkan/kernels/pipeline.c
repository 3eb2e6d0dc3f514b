/* Compute pipelines, one per (shader, constants, subgroup size), and the driver's cache of them.
 *
 * A model needs some tens of pipelines, so they are searched linearly. The list belongs to the
 * caller's thread. Builder threads get pipelines of their own to fill in (in_flight), which nobody
 * else looks into before they are joined; what they share besides, shaders' SPIR-V and counters,
 * has a lock. The VkPipelineCache is kept
 * as pipelines-<UUID>-<driver version>-<hash>.bin, the hash being that of the driver's and
 * Peridot's version; its Vulkan header is compared with the device before the driver sees it, since
 * not every driver does that well. Vulkan's header: length, version 1, vendor, device, 16 bytes of
 * UUID.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/kernels/pipeline.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "backend/vulkan/kernels/cache.h"
#include "backend/vulkan/kernels/shared_memory.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/thread.h"

enum { MAX_SHADERS = 64 };

/* SPIR-V that several pipelines are made of. */
typedef struct shader {
    const char *name; /* pd_vk_pipeline_desc.shader */
    uint32_t *words;
    size_t n_bytes;
} shader;

/* Declared pipelines that threads build, each with its own error. */
typedef struct build_job {
    pd_vk_pipelines *pipelines;
    pd_vk_pipeline **list; /* [n] */
    pd_error *errors;      /* [n] */
    pd_status *statuses;   /* [n] */
    uint32_t n, n_threads;
    atomic_bool stop; /* build no more */
} build_job;

struct pd_vk_pipelines {
    pd_vk_device *device;
    VkPipelineCache cache;
    char cache_name[128];
    uint64_t cache_hash; /* of what was loaded; 0: nothing */
    pd_vk_pipeline **list;
    uint32_t n, cap;
    pd_thread *builder; /* NULL: none is at work */
    build_job background;

    pd_mutex *lock; /* of what follows */
    shader shaders[MAX_SHADERS];
    uint32_t n_shaders;
    pd_build_stats stats;
};

/* ---- the driver's cache -------------------------------------------------------------------- */

static void name_cache(const pd_vk_device *d, char *out, size_t n) {
    const VkPhysicalDeviceProperties *p = &d->properties;
    char uuid[2 * VK_UUID_SIZE + 1];
    for (uint32_t i = 0; i < VK_UUID_SIZE; i++)
        snprintf(uuid + 2 * i, 3, "%02x", p->pipelineCacheUUID[i]);
    uint64_t hash = pd_hash(d->info.driver, strlen(d->info.driver));
    hash = pd_hash_seeded(d->info.name, strlen(d->info.name), hash);
    hash = pd_hash_seeded(PD_VERSION_STRING, strlen(PD_VERSION_STRING), hash);
    snprintf(out, n, "pipelines-%s-%08x-%016" PRIx64 ".bin", uuid, p->driverVersion, hash);
}

static bool header_fits(const VkPhysicalDeviceProperties *p, const uint8_t *data, size_t n) {
    VkPipelineCacheHeaderVersionOne h;
    if (n < sizeof h) return false;
    memcpy(&h, data, sizeof h);
    return h.headerSize >= sizeof h && h.headerSize <= n &&
           h.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE && h.vendorID == p->vendorID &&
           h.deviceID == p->deviceID &&
           memcmp(h.pipelineCacheUUID, p->pipelineCacheUUID, VK_UUID_SIZE) == 0;
}

static pd_status create_cache(pd_vk_pipelines *p, pd_error *err) {
    pd_status status = PD_OK;
    pd_vk_device *d = p->device;
    void *data = NULL;
    size_t n = 0;
    name_cache(d, p->cache_name, sizeof p->cache_name);
    pd_vk_cache_note();
    bool seeded =
        pd_vk_cache_load(p->cache_name, &data, &n) && header_fits(&d->properties, data, n);
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = seeded ? n : 0,
        .pInitialData = seeded ? data : NULL,
    };
    VkResult result = d->vk.vkCreatePipelineCache(d->handle, &info, NULL, &p->cache);
    if (result == VK_SUCCESS && seeded) {
        p->cache_hash = pd_hash(data, n);
    } else if (result != VK_SUCCESS) {
        info.initialDataSize = 0;
        PD_VK_MAKE(d->vk.vkCreatePipelineCache(d->handle, &info, NULL, &p->cache), p->cache);
    }
done:
    pd_free(data);
    return status;
}

static void save_cache(const pd_vk_pipelines *p) {
    pd_vk_device *d = p->device;
    size_t n = 0;
    if (d->vk.vkGetPipelineCacheData(d->handle, p->cache, &n, NULL) != VK_SUCCESS || n == 0) return;
    void *data = pd_alloc(n, 1);
    if (!data) return;
    bool whole = d->vk.vkGetPipelineCacheData(d->handle, p->cache, &n, data) == VK_SUCCESS;
    if (whole && header_fits(&d->properties, data, n) && pd_hash(data, n) != p->cache_hash)
        pd_vk_cache_store(p->cache_name, data, n);
    pd_free(data);
}

pd_status pd_vk_pipelines_create(pd_vk_device *d, pd_vk_pipelines **out, pd_error *err) {
    *out = NULL;
    pd_vk_pipelines *p = pd_alloc(1, sizeof *p);
    if (!p) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for pipelines");
    p->device = d;
    p->lock = pd_mutex_create();
    pd_status status = p->lock ? create_cache(p, err)
                               : PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a lock");
    if (status != PD_OK) {
        pd_mutex_destroy(p->lock);
        pd_free(p);
        return status;
    }
    *out = p;
    return PD_OK;
}

static void destroy_pipeline(pd_vk_device *d, pd_vk_pipeline *pipeline) {
    if (pipeline->handle) d->vk.vkDestroyPipeline(d->handle, pipeline->handle, NULL);
    if (pipeline->layout) d->vk.vkDestroyPipelineLayout(d->handle, pipeline->layout, NULL);
    if (pipeline->set_layout)
        d->vk.vkDestroyDescriptorSetLayout(d->handle, pipeline->set_layout, NULL);
    pd_free(pipeline);
}

static void join_builder(pd_vk_pipelines *p);

void pd_vk_pipelines_destroy(pd_vk_pipelines *p) {
    if (!p) return;
    pd_vk_device *d = p->device;
    atomic_store(&p->background.stop, true);
    join_builder(p);
    if (p->n > 0) save_cache(p);
    for (uint32_t i = 0; i < p->n; i++) destroy_pipeline(d, p->list[i]);
    d->vk.vkDestroyPipelineCache(d->handle, p->cache, NULL);
    for (uint32_t i = 0; i < p->n_shaders; i++) pd_free(p->shaders[i].words);
    pd_mutex_destroy(p->lock);
    pd_free(p->list);
    pd_free(p);
}

/* ---- shaders -------------------------------------------------------------------------------- */

static const shader *find_shader(const pd_vk_pipelines *p, const char *name) {
    for (uint32_t i = 0; i < p->n_shaders; i++)
        if (strcmp(p->shaders[i].name, name) == 0) return &p->shaders[i];
    return NULL;
}

/* From the list, else from the cache folder or the compiler; then it is in the list. Entries never
 * move or change. Two threads may compile the same one: the second result is dropped. */
static pd_status get_shader(pd_vk_pipelines *p, const char *name, const shader **out,
                            pd_error *err) {
    pd_mutex_lock(p->lock);
    *out = find_shader(p, name);
    pd_mutex_unlock(p->lock);
    if (*out) return PD_OK;
    shader made = {.name = name};
    uint64_t compile_ns;
    PD_TRY(pd_vk_spirv_get(name, &made.words, &made.n_bytes, &compile_ns, err));
    pd_mutex_lock(p->lock);
    p->stats.n_shaders += compile_ns > 0;
    p->stats.shader_ns += compile_ns;
    *out = find_shader(p, name);
    bool kept = !*out && p->n_shaders < MAX_SHADERS;
    if (kept) {
        p->shaders[p->n_shaders] = made;
        *out = &p->shaders[p->n_shaders++];
    }
    pd_mutex_unlock(p->lock);
    if (!kept) pd_free(made.words);
    if (*out) return PD_OK;
    return PD_RAISE(err, PD_ERR_INTERNAL, "there are more than %d shaders", (int)MAX_SHADERS);
}

/* ---- one pipeline -------------------------------------------------------------------------- */

static void name_pipeline(const pd_vk_pipeline_desc *desc, char *out, size_t size) {
    size_t n = (size_t)snprintf(out, size, "%s(", desc->shader);
    for (uint32_t i = 0; i < desc->n_constants && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%u", i ? "," : "", desc->constants[i]);
    if (n < size) n += (size_t)snprintf(out + n, size - n, ")");
    if (desc->subgroup_size && n < size) snprintf(out + n, size - n, "@%u", desc->subgroup_size);
}

static pd_status check_desc(const pd_vk_pipeline_desc *desc, const char *name, pd_error *err) {
    if (desc->n_constants >= 1 && desc->n_constants <= PD_VK_MAX_CONSTANTS &&
        desc->n_buffers <= PD_VK_MAX_BUFFERS && desc->push_bytes <= 128 &&
        desc->push_bytes % 4 == 0 && desc->constants[0] > 0)
        return PD_OK;
    return PD_RAISE(err, PD_ERR_INTERNAL,
                    "pipeline %s is described with %u constants, %u buffers and %u bytes of "
                    "arguments; at most %d, %d and 128 are allowed",
                    name, desc->n_constants, desc->n_buffers, desc->push_bytes,
                    (int)PD_VK_MAX_CONSTANTS, (int)PD_VK_MAX_BUFFERS);
}

static pd_status check_limits(const pd_vk_device *d, const pd_vk_pipeline_desc *desc,
                              const char *name, pd_error *err) {
    const VkPhysicalDeviceLimits *limits = &d->properties.limits;
    uint32_t size = desc->constants[0], most = limits->maxComputeWorkGroupInvocations;
    if (limits->maxComputeWorkGroupSize[0] < most) most = limits->maxComputeWorkGroupSize[0];
    if (size > most)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "pipeline %s wants workgroups of %u; %s allows %u "
                        "(maxComputeWorkGroupInvocations)",
                        name, size, d->info.name, most);
    if (desc->n_buffers > limits->maxPerStageDescriptorStorageBuffers)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "pipeline %s binds %u buffers; %s allows %u", name,
                        desc->n_buffers, d->info.name, limits->maxPerStageDescriptorStorageBuffers);
    if (desc->subgroup_size == 0) return PD_OK;
    const pd_vk_caps *caps = &d->caps;
    uint32_t n_subgroups = size / desc->subgroup_size;
    if (n_subgroups > caps->max_subgroups)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "pipeline %s wants %u subgroups in a workgroup; %s allows %u "
                        "(maxComputeWorkgroupSubgroups)",
                        name, n_subgroups, d->info.name, caps->max_subgroups);
    if (caps->subgroup_size_control && desc->subgroup_size >= caps->subgroup_size_min &&
        desc->subgroup_size <= caps->subgroup_size_max && size % desc->subgroup_size == 0)
        return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "pipeline %s wants subgroups of %u; %s %s %u to %u, in whole workgroups", name,
                    desc->subgroup_size, d->info.name,
                    caps->subgroup_size_control ? "can be asked for" : "cannot be asked for",
                    caps->subgroup_size_min, caps->subgroup_size_max);
}

/* A driver may fail, or not, on more than it has. */
static pd_status check_shared(const pd_vk_device *d, const pd_vk_pipeline *pipeline,
                              const shader *s, pd_error *err) {
    uint64_t bytes;
    if (!pd_vk_shared_bytes(s->words, s->n_bytes / 4, &pipeline->desc, &bytes) ||
        bytes <= d->caps.max_shared_bytes)
        return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "pipeline %s wants %llu bytes of shared memory; %s has %u "
                    "(maxComputeSharedMemorySize)",
                    pipeline->name, (unsigned long long)bytes, d->info.name,
                    d->caps.max_shared_bytes);
}

static pd_status create_layouts(pd_vk_device *d, pd_vk_pipeline *pipeline, pd_error *err) {
    pd_status status = PD_OK;
    const pd_vk_pipeline_desc *desc = &pipeline->desc;
    VkDescriptorSetLayoutBinding bindings[PD_VK_MAX_BUFFERS];
    for (uint32_t i = 0; i < desc->n_buffers; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = desc->n_buffers,
        .pBindings = bindings,
    };
    PD_VK_MAKE(d->vk.vkCreateDescriptorSetLayout(d->handle, &set, NULL, &pipeline->set_layout),
               pipeline->set_layout);
    VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, desc->push_bytes};
    VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &pipeline->set_layout,
        .pushConstantRangeCount = desc->push_bytes > 0,
        .pPushConstantRanges = &range,
    };
    PD_VK_MAKE(d->vk.vkCreatePipelineLayout(d->handle, &layout, NULL, &pipeline->layout),
               pipeline->layout);
done:
    return status;
}

static pd_status create_handle(pd_vk_pipelines *p, pd_vk_pipeline *pipeline, VkShaderModule module,
                               pd_error *err) {
    const pd_vk_pipeline_desc *desc = &pipeline->desc;
    pd_vk_device *d = p->device;
    VkSpecializationMapEntry entries[PD_VK_MAX_CONSTANTS];
    for (uint32_t i = 0; i < desc->n_constants; i++)
        entries[i] = (VkSpecializationMapEntry){i, i * 4, 4};
    VkSpecializationInfo constants = {desc->n_constants, entries, desc->n_constants * 4ul,
                                      desc->constants};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = desc->subgroup_size,
    };
    const VkPipelineCreateFlags capture =
        VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR |
        VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
    bool forced = desc->subgroup_size != 0;
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = d->caps.executable_info ? capture : 0,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .pNext = forced ? &subgroup : NULL,
                  .flags = forced ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &constants},
        .layout = pipeline->layout,
    };
    VkPipelineCache cache = d->caps.executable_info ? VK_NULL_HANDLE : p->cache; /* it tells less */
    VkResult result =
        d->vk.vkCreateComputePipelines(d->handle, cache, 1, &info, NULL, &pipeline->handle);
    if (result == VK_SUCCESS) return PD_OK;
    pipeline->handle = VK_NULL_HANDLE;
    /* drivers whose compiler gives up say that memory ran out: simpler kernels may still do */
    return PD_RAISE(err, result == VK_ERROR_DEVICE_LOST ? PD_ERR_DEVICE_LOST : PD_ERR_DEVICE,
                    "the driver of %s does not create pipeline %s (%s)", d->info.name,
                    pipeline->name, pd_vk_result_name(result));
}

/* The slow part: may run for several pipelines at once. */
static pd_status build_pipeline(pd_vk_pipelines *p, pd_vk_pipeline *pipeline, pd_error *err) {
    pd_status status = PD_OK;
    pd_vk_device *d = p->device;
    VkShaderModule module = VK_NULL_HANDLE;
    const shader *s;
    PD_TRY(get_shader(p, pipeline->desc.shader, &s, err));
    PD_TRY(check_shared(d, pipeline, s, err));
    VkShaderModuleCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = s->n_bytes,
        .pCode = s->words,
    };
    uint64_t t0 = pd_clock_ns();
    PD_VK_MAKE(d->vk.vkCreateShaderModule(d->handle, &info, NULL, &module), module);
    PD_GO(create_handle(p, pipeline, module, err));
    pd_mutex_lock(p->lock);
    p->stats.n_pipelines++;
    p->stats.pipeline_ns += pd_clock_ns() - t0;
    pd_mutex_unlock(p->lock);
done:
    if (module) d->vk.vkDestroyShaderModule(d->handle, module, NULL);
    return status;
}

/* ---- the list ------------------------------------------------------------------------------ */

static bool same_desc(const pd_vk_pipeline_desc *a, const pd_vk_pipeline_desc *b) {
    return strcmp(a->shader, b->shader) == 0 && a->n_buffers == b->n_buffers &&
           a->push_bytes == b->push_bytes && a->subgroup_size == b->subgroup_size &&
           a->n_constants == b->n_constants &&
           memcmp(a->constants, b->constants, a->n_constants * sizeof a->constants[0]) == 0;
}

static bool reserve_one(pd_vk_pipelines *p) {
    if (p->n < p->cap) return true;
    uint32_t cap = p->cap ? p->cap * 2 : 64;
    pd_vk_pipeline **list = pd_alloc(cap, sizeof(pd_vk_pipeline *));
    if (!list) return false;
    for (uint32_t i = 0; i < p->n; i++) list[i] = p->list[i];
    pd_free(p->list);
    p->list = list;
    p->cap = cap;
    return true;
}

static pd_vk_pipeline *find_pipeline(const pd_vk_pipelines *p, const pd_vk_pipeline_desc *desc) {
    for (uint32_t i = 0; i < p->n; i++)
        if (same_desc(&p->list[i]->desc, desc)) return p->list[i];
    return NULL;
}

static pd_status declare(pd_vk_pipelines *p, const pd_vk_pipeline_desc *desc, pd_vk_pipeline **out,
                         pd_error *err) {
    if (desc->n_constants > PD_VK_MAX_CONSTANTS)
        return PD_RAISE(err, PD_ERR_INTERNAL, "shader \"%s\" is given %u constants", desc->shader,
                        desc->n_constants);
    *out = find_pipeline(p, desc);
    if (*out) return PD_OK;
    pd_vk_pipeline *pipeline = reserve_one(p) ? pd_alloc(1, sizeof *pipeline) : NULL;
    if (!pipeline) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a pipeline");
    pipeline->desc = *desc;
    name_pipeline(desc, pipeline->name, sizeof pipeline->name);
    pd_status status = check_desc(desc, pipeline->name, err);
    if (status == PD_OK) status = check_limits(p->device, desc, pipeline->name, err);
    if (status == PD_OK) status = create_layouts(p->device, pipeline, err);
    if (status != PD_OK) {
        destroy_pipeline(p->device, pipeline);
        return status;
    }
    *out = p->list[p->n++] = pipeline;
    return PD_OK;
}

pd_status pd_vk_pipeline_declare(pd_vk_pipelines *p, const pd_vk_pipeline_desc *desc,
                                 const pd_vk_pipeline **out, pd_error *err) {
    pd_vk_pipeline *pipeline = NULL;
    pd_status status = declare(p, desc, &pipeline, err);
    if (status == PD_OK) pipeline->wanted = true;
    *out = pipeline;
    return status;
}

pd_status pd_vk_pipeline_get(pd_vk_pipelines *p, const pd_vk_pipeline_desc *desc,
                             const pd_vk_pipeline **out, pd_error *err) {
    pd_vk_pipeline *pipeline = NULL;
    *out = NULL;
    PD_TRY(declare(p, desc, &pipeline, err));
    if (pipeline->in_flight) join_builder(p);
    pd_status status = pipeline->handle ? PD_OK : build_pipeline(p, pipeline, err);
    if (status == PD_OK)
        *out = pipeline;
    else if (p->list[p->n - 1] == pipeline)
        destroy_pipeline(p->device, p->list[--p->n]);
    return status;
}

/* ---- many at once --------------------------------------------------------------------------- */

static void fetch_shaders(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    (void)thread;
    build_job *job = ctx;
    for (uint32_t i = begin; i < end && !atomic_load(&job->stop); i++) {
        const char *name = job->list[i]->desc.shader;
        const shader *s;
        bool first = true;
        for (uint32_t k = 0; k < i && first; k++) first = strcmp(job->list[k]->desc.shader, name);
        if (first) (void)get_shader(job->pipelines, name, &s, NULL); /* build_range will tell */
    }
}

static void build_range(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    (void)thread;
    build_job *job = ctx;
    for (uint32_t i = begin; i < end && !atomic_load(&job->stop); i++)
        job->statuses[i] = build_pipeline(job->pipelines, job->list[i], &job->errors[i]);
}

/* First every shader once, since one is often what several pipelines are made of. */
static pd_status run_job(build_job *job, pd_error *err) {
    pd_pool *pool;
    PD_TRY(pd_pool_create(job->n_threads < job->n ? job->n_threads : job->n, &pool, err));
    pd_pool_run(pool, job->n, 1, fetch_shaders, job);
    pd_pool_run(pool, job->n, 1, build_range, job);
    pd_pool_destroy(pool);
    return PD_OK;
}

static void free_job(build_job *job) {
    pd_free(job->list);
    pd_free(job->errors);
    pd_free(job->statuses);
    *job = (build_job){0};
}

/* A job of everything that is wanted and not built. Frees what it made when memory runs out. */
static pd_status create_job(pd_vk_pipelines *p, uint32_t n_threads, build_job *job, pd_error *err) {
    *job = (build_job){.pipelines = p,
                       .list = pd_alloc(p->n + 1, sizeof(pd_vk_pipeline *)),
                       .errors = pd_alloc(p->n + 1, sizeof *job->errors),
                       .statuses = pd_alloc(p->n + 1, sizeof *job->statuses),
                       .n_threads = n_threads};
    if (!job->list || !job->errors || !job->statuses) {
        free_job(job);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to build pipelines");
    }
    for (uint32_t i = 0; i < p->n; i++)
        if (!p->list[i]->handle && p->list[i]->wanted) job->list[job->n++] = p->list[i];
    return PD_OK;
}

static void forget_unbuilt(pd_vk_pipelines *p) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n; i++)
        if (p->list[i]->handle)
            p->list[n++] = p->list[i];
        else
            destroy_pipeline(p->device, p->list[i]);
    p->n = n;
}

static pd_status build_all(pd_vk_pipelines *p, pd_error *err) {
    build_job job;
    PD_TRY(create_job(p, pd_cpu_count(), &job, err));
    pd_status status = job.n > 0 ? run_job(&job, err) : PD_OK;
    for (uint32_t i = 0; i < job.n && status == PD_OK; i++) {
        status = job.statuses[i];
        if (status != PD_OK && err) *err = job.errors[i];
    }
    free_job(&job);
    return status;
}

pd_status pd_vk_pipelines_build(pd_vk_pipelines *p, pd_error *err) {
    join_builder(p);
    pd_status status = build_all(p, err);
    if (status != PD_OK) forget_unbuilt(p); /* what failed once must not fail later programs */
    return status;
}

/* ---- in the background ---------------------------------------------------------------------- */

static void builder_main(void *ctx) {
    (void)run_job(ctx, NULL);
}

static void join_builder(pd_vk_pipelines *p) {
    if (!p->builder) return;
    pd_thread_join(p->builder);
    p->builder = NULL;
    for (uint32_t i = 0; i < p->background.n; i++) p->background.list[i]->in_flight = false;
    free_job(&p->background);
}

/* On all processors: the caller waits for the file and the device most of the time. */
void pd_vk_pipelines_begin(pd_vk_pipelines *p) {
    build_job *job = &p->background;
    join_builder(p);
    if (create_job(p, pd_cpu_count(), job, NULL) != PD_OK) return;
    if (job->n == 0 || pd_thread_start(builder_main, job, &p->builder, NULL) != PD_OK)
        free_job(job);
    else
        for (uint32_t i = 0; i < job->n; i++) {
            job->list[i]->in_flight = true;
            job->list[i]->wanted = false; /* until somebody declares it in earnest */
        }
}

void pd_vk_pipelines_stats(pd_vk_pipelines *p, pd_build_stats *out) {
    pd_mutex_lock(p->lock);
    *out = p->stats;
    pd_mutex_unlock(p->lock);
}

uint32_t pd_vk_pipeline_count(const pd_vk_pipelines *p) {
    return p->n;
}

const pd_vk_pipeline *pd_vk_pipeline_at(const pd_vk_pipelines *p, uint32_t i) {
    return i < p->n ? p->list[i] : NULL;
}
