/* Compute pipelines, one per (shader, constants, subgroup size). A model needs some tens of them,
 * so they are searched linearly.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "backend/vulkan/kernels/pipelines.h"
#include "backend/vulkan/kernels/shared_memory.h"
#include "base/clock.h"
#include "base/memory.h"

pd_status pd_vk_pipelines_create(pd_vk_device *d, pd_vk_pipelines **out, pd_error *err) {
    *out = NULL;
    pd_vk_pipelines *p = pd_alloc(1, sizeof *p);
    if (!p) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for pipelines");
    p->device = d;
    p->lock = pd_mutex_create();
    pd_status status = p->lock ? pd_vk_pipeline_cache_create(p, err)
                               : PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a lock");
    if (status != PD_OK) {
        pd_mutex_destroy(p->lock);
        pd_free(p);
        return status;
    }
    *out = p;
    return PD_OK;
}

void pd_vk_pipeline_destroy(pd_vk_device *d, pd_vk_pipeline *pipeline) {
    if (pipeline->handle) d->vk.vkDestroyPipeline(d->handle, pipeline->handle, NULL);
    if (pipeline->layout) d->vk.vkDestroyPipelineLayout(d->handle, pipeline->layout, NULL);
    if (pipeline->set_layout)
        d->vk.vkDestroyDescriptorSetLayout(d->handle, pipeline->set_layout, NULL);
    pd_free(pipeline);
}

void pd_vk_pipelines_destroy(pd_vk_pipelines *p) {
    if (!p) return;
    pd_vk_device *d = p->device;
    atomic_store(&p->background.stop, true);
    pd_vk_pipelines_join(p);
    if (p->n > 0) pd_vk_pipeline_cache_save(p);
    for (uint32_t i = 0; i < p->n; i++) pd_vk_pipeline_destroy(d, p->list[i]);
    d->vk.vkDestroyPipelineCache(d->handle, p->cache, NULL);
    for (uint32_t i = 0; i < p->n_shaders; i++) pd_free(p->shaders[i].words);
    pd_mutex_destroy(p->lock);
    pd_free(p->list);
    pd_free(p);
}

/* ---- shaders -------------------------------------------------------------------------------- */

static const pd_vk_shader *find_shader(const pd_vk_pipelines *p, const char *name) {
    for (uint32_t i = 0; i < p->n_shaders; i++)
        if (strcmp(p->shaders[i].name, name) == 0) return &p->shaders[i];
    return NULL;
}

/* From the list, else from the cache folder or the compiler; then it is in the list. Entries never
 * move or change. Two threads may compile the same one: the second result is dropped. */
pd_status pd_vk_pipelines_shader(pd_vk_pipelines *p, const char *name, const pd_vk_shader **out,
                                 pd_error *err) {
    pd_mutex_lock(p->lock);
    *out = find_shader(p, name);
    pd_mutex_unlock(p->lock);
    if (*out) return PD_OK;
    pd_vk_shader made = {.name = name};
    uint64_t compile_ns;
    PD_TRY(pd_vk_spirv_get(name, &made.words, &made.n_bytes, &compile_ns, err));
    pd_mutex_lock(p->lock);
    p->stats.n_shaders += compile_ns > 0;
    p->stats.shader_ns += compile_ns;
    *out = find_shader(p, name);
    bool kept = !*out && p->n_shaders < PD_VK_MAX_SHADERS;
    if (kept) {
        p->shaders[p->n_shaders] = made;
        *out = &p->shaders[p->n_shaders++];
    }
    pd_mutex_unlock(p->lock);
    if (!kept) pd_free(made.words);
    if (*out) return PD_OK;
    return PD_RAISE(err, PD_ERR_INTERNAL, "there are more than %d shaders", (int)PD_VK_MAX_SHADERS);
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
        desc->push_bytes % 4 == 0 && desc->constants[PD_WORKGROUP] > 0)
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
    uint32_t size = desc->constants[PD_WORKGROUP], most = d->caps.max_workgroup_size;
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
                              const pd_vk_shader *s, pd_error *err) {
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
    PD_VK_MAKE_GOTO(d->vk.vkCreateDescriptorSetLayout(d->handle, &set, NULL, &pipeline->set_layout),
                    pipeline->set_layout);
    VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, desc->push_bytes};
    VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &pipeline->set_layout,
        .pushConstantRangeCount = desc->push_bytes > 0,
        .pPushConstantRanges = &range,
    };
    PD_VK_MAKE_GOTO(d->vk.vkCreatePipelineLayout(d->handle, &layout, NULL, &pipeline->layout),
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
pd_status pd_vk_pipeline_build(pd_vk_pipelines *p, pd_vk_pipeline *pipeline, pd_error *err) {
    pd_status status = PD_OK;
    pd_vk_device *d = p->device;
    VkShaderModule module = VK_NULL_HANDLE;
    const pd_vk_shader *s;
    PD_TRY_GOTO(pd_vk_pipelines_shader(p, pipeline->desc.shader, &s, err));
    PD_TRY_GOTO(check_shared(d, pipeline, s, err));
    VkShaderModuleCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = s->n_bytes,
        .pCode = s->words,
    };
    uint64_t t0 = pd_clock_ns();
    PD_VK_MAKE_GOTO(d->vk.vkCreateShaderModule(d->handle, &info, NULL, &module), module);
    PD_TRY_GOTO(create_handle(p, pipeline, module, err));
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
        pd_vk_pipeline_destroy(p->device, pipeline);
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
    if (pipeline->in_flight) pd_vk_pipelines_join(p);
    pd_status status = pipeline->handle ? PD_OK : pd_vk_pipeline_build(p, pipeline, err);
    if (status == PD_OK)
        *out = pipeline;
    else if (p->list[p->n - 1] == pipeline)
        pd_vk_pipeline_destroy(p->device, p->list[--p->n]);
    return status;
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
