/* The autotuner: see tune.h.
 *
 * Two products stand for all: a large matrix times one row, which is bound by reading the weights,
 * and a middling one times a chunk of rows, which is bound by arithmetic. Every way of computing
 * them that the device has is timed on zeros, best of some repetitions. At precision f16 and q8 the
 * programs then use the fastest; exact always reads f32, and takes over only the matvec's shape.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "backend/vulkan/cache.h"
#include "backend/vulkan/kernels.h"
#include "backend/vulkan/stopwatch.h"
#include "base/hash.h"
#include "base/log.h"

enum { REPETITIONS = 3, TUNING_VERSION = 1 };

/* 49152 x 4096 are 100 MB of quants and 12 of scales, more than most caches hold. A rasteriser is
 * only tuned to show that tuning works. */
typedef struct tuned_shapes {
    pd_vk_product_shape decode, prefill;
} tuned_shapes;

typedef struct tuner {
    pd_vk_backend *backend;
    pd_vk_stopwatch watch;
    VkDescriptorPool pool;
    pd_vk_buffer x, out, weights, scales;
    tuned_shapes shapes;
} tuner;

static tuned_shapes choose_shapes(bool is_software) {
    tuned_shapes s = {.decode = {.n_weight_rows = 49152, .n_blocks = 128, .max_rows = 1},
                      .prefill = {.n_weight_rows = 4096, .n_blocks = 64, .max_rows = 512}};
    if (is_software) {
        s.decode.n_weight_rows /= 4;
        s.decode.n_blocks /= 4;
        s.prefill.n_weight_rows /= 32;
        s.prefill.max_rows /= 8;
    }
    s.decode.wtype = s.prefill.wtype = PD_W_Q4_0;
    return s;
}

/* ---- buffers -------------------------------------------------------------------------------- */

static pd_status create_zeros(tuner *t, uint64_t bytes, pd_vk_buffer *out, pd_error *err) {
    pd_vk_device *d = t->backend->device;
    VkCommandBuffer cmd;
    PD_TRY(pd_vk_buffer_create(&t->backend->memory, PD_VK_DEVICE, PD_VK_FOR_SCRATCH, bytes,
                               "choosing kernels", out, err));
    PD_TRY(pd_vk_begin_once(t->backend, &cmd, err));
    d->vk.vkCmdFillBuffer(cmd, out->handle, 0, VK_WHOLE_SIZE, 0);
    return pd_vk_finish_once(t->backend, cmd, err);
}

static pd_status create_parts(tuner *t, pd_error *err) {
    pd_vk_device *d = t->backend->device;
    pd_status status = PD_OK;
    PD_TRY(pd_vk_stopwatch_create(d, &t->watch, err));
    VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, PD_VK_MAX_BUFFERS};
    VkDescriptorPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                       .maxSets = 1,
                                       .poolSizeCount = 1,
                                       .pPoolSizes = &size};
    PD_VK(d->vk.vkCreateDescriptorPool(d->handle, &pool, NULL, &t->pool));
    const pd_vk_product_shape *few = &t->shapes.decode, *many = &t->shapes.prefill;
    uint64_t n_blocks = (uint64_t)few->n_weight_rows * few->n_blocks; /* the larger of the two */
    PD_TRY(create_zeros(t, 128ull * many->max_rows * many->n_blocks, &t->x, err));
    PD_TRY(create_zeros(t, 4ull * many->max_rows * many->n_weight_rows, &t->out, err));
    PD_TRY(create_zeros(t, 16 * n_blocks, &t->weights, err));
    PD_TRY(create_zeros(t, 2 * n_blocks, &t->scales, err));
done:
    return status;
}

static void destroy_parts(tuner *t) {
    pd_vk_memory *m = &t->backend->memory;
    pd_vk_stopwatch_destroy(&t->watch);
    t->backend->device->vk.vkDestroyDescriptorPool(t->backend->device->handle, t->pool, NULL);
    pd_vk_buffer_destroy(m, &t->x);
    pd_vk_buffer_destroy(m, &t->out);
    pd_vk_buffer_destroy(m, &t->weights);
    pd_vk_buffer_destroy(m, &t->scales);
}

/* ---- timing --------------------------------------------------------------------------------- */

static pd_status bind(tuner *t, const pd_vk_pipeline *pipeline, VkDescriptorSet *set,
                      pd_error *err) {
    pd_vk_device *d = t->backend->device;
    pd_status status = PD_OK;
    VkDescriptorSetAllocateInfo alloc = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                         .descriptorPool = t->pool,
                                         .descriptorSetCount = 1,
                                         .pSetLayouts = &pipeline->set_layout};
    PD_VK(d->vk.vkResetDescriptorPool(d->handle, t->pool, 0));
    PD_VK(d->vk.vkAllocateDescriptorSets(d->handle, &alloc, set));
    VkDescriptorBufferInfo infos[] = {{t->x.handle, 0, t->x.bytes},
                                      {t->out.handle, 0, t->out.bytes},
                                      {t->weights.handle, 0, t->weights.bytes},
                                      {t->scales.handle, 0, t->scales.bytes},
                                      {t->weights.handle, 0, t->weights.bytes}};
    VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                  .dstSet = *set,
                                  .descriptorCount = pipeline->desc.n_buffers,
                                  .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                  .pBufferInfo = infos};
    d->vk.vkUpdateDescriptorSets(d->handle, 1, &write, 0, NULL);
done:
    return status;
}

static pd_status time_once(tuner *t, const pd_vk_pipeline *pipeline, VkDescriptorSet set,
                           const struct pd_args_matmul *args, const uint32_t groups[2],
                           uint64_t *ns, pd_error *err) {
    const struct VolkDeviceTable *vk = &t->backend->device->vk;
    VkCommandBuffer cmd;
    PD_TRY(pd_vk_begin_once(t->backend, &cmd, err));
    vk->vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->handle);
    vk->vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->layout, 0, 1, &set,
                                0, NULL);
    vk->vkCmdPushConstants(cmd, pipeline->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof *args,
                           args);
    pd_vk_stopwatch_mark(&t->watch, cmd, 0);
    vk->vkCmdDispatch(cmd, groups[0], groups[1], 1);
    pd_vk_stopwatch_mark(&t->watch, cmd, 1);
    PD_TRY(pd_vk_finish_once(t->backend, cmd, err));
    return pd_vk_stopwatch_read(&t->watch, ns, err);
}

/* Best time of a product as the tuning of the moment chooses it; UINT64_MAX: it does not build. */
static pd_status time_product(tuner *t, pd_vk_product_shape shape, uint64_t *best, pd_error *err) {
    const pd_vk_pipeline *pipeline;
    VkDescriptorSet set;
    pd_vk_product k = pd_vk_choose_product(t->backend->device, &shape);
    struct pd_args_matmul args = {.n_weight_rows = shape.n_weight_rows,
                                  .n_blocks = shape.n_blocks,
                                  .n_rows = shape.max_rows,
                                  .out_stride = shape.n_weight_rows};
    uint32_t m = pd_div_up(shape.n_weight_rows, k.tile_m);
    uint32_t groups[2] = {m, k.is_matvec ? 1 : pd_div_up(shape.max_rows, k.tile_n)};
    *best = UINT64_MAX;
    if (pd_vk_pipeline_get(t->backend->pipelines, &k.desc, &pipeline, NULL) != PD_OK) return PD_OK;
    PD_TRY(bind(t, pipeline, &set, err));
    for (int i = 0; i <= REPETITIONS; i++) { /* the first one warms up */
        uint64_t ns;
        PD_TRY(time_once(t, pipeline, set, &args, groups, &ns, err));
        if (i > 0 && ns > 0 && ns < *best) *best = ns;
    }
    pd_log(PD_LOG_DEBUG, "tune", "%s: %.1f us", pipeline->name, (double)*best / 1e3);
    return PD_OK;
}

/* ---- candidates ----------------------------------------------------------------------------- */

static bool has_format(const pd_vk_caps *c, uint32_t format) {
    return format == PD_X_F32 || (format == PD_X_F16 && (c->fp16 || c->coopmat)) ||
           (format == PD_X_I16 && c->int_dot);
}

static pd_status tune_decode(tuner *t, pd_error *err) {
    pd_vk_tuning *now = &t->backend->device->tuning, best = *now;
    uint64_t best_ns = UINT64_MAX;
    for (uint32_t format = PD_X_F32; format <= PD_X_I16; format++) {
        if (!has_format(&t->backend->device->caps, format)) continue;
        for (uint32_t lanes = 8; lanes <= 32; lanes *= 2)
            for (uint32_t rows = 2; rows <= 4; rows *= 2) {
                uint64_t ns;
                pd_vk_product_shape s = t->shapes.decode;
                s.x_format = now->decode_format = format;
                now->lanes = lanes;
                now->rows = rows;
                PD_TRY(time_product(t, s, &ns, err));
                if (ns < best_ns) best = *now;
                if (ns < best_ns) best_ns = ns;
            }
    }
    *now = best;
    return PD_OK;
}

static pd_status tune_prefill(tuner *t, pd_error *err) {
    pd_vk_tuning *now = &t->backend->device->tuning, best = *now;
    const pd_vk_caps *caps = &t->backend->device->caps;
    uint64_t best_ns = UINT64_MAX;
    for (uint32_t format = PD_X_F32; format <= PD_X_I16; format++) {
        for (int units = 0; units < (format == PD_X_F16 && caps->coopmat ? 2 : 1); units++) {
            uint64_t ns;
            pd_vk_product_shape s = t->shapes.prefill;
            if (!has_format(caps, format) || (format == PD_X_F16 && !units && !caps->fp16))
                continue;
            s.x_format = now->prefill_format = format;
            now->matrix_units = units != 0;
            PD_TRY(time_product(t, s, &ns, err));
            if (ns >= best_ns) continue;
            best_ns = ns;
            best = *now;
        }
    }
    *now = best;
    const pd_vk_product_shape *s = &t->shapes.prefill;
    double flops = 64.0 * s->n_weight_rows * s->n_blocks * s->max_rows;
    if (best_ns < UINT64_MAX) now->gflop_s = flops / (double)best_ns;
    return PD_OK;
}

/* ---- the remembered choice ------------------------------------------------------------------ */

/* Another driver, device, set of features or set of kernels asks again. */
static void name_choice(const pd_vk_device *d, char *out, size_t n) {
    const pd_vk_caps *c = &d->caps;
    snprintf(out, n, "tuning-%s-%08x-%d%d%d-%d.bin", d->info.uuid, d->properties.driverVersion,
             c->fp16, c->int_dot, c->coopmat, TUNING_VERSION);
}

static bool recall(pd_vk_device *d, const char *name) {
    void *data;
    size_t n;
    if (!pd_vk_cache_load(name, &data, &n)) return false;
    bool fits = n == sizeof d->tuning;
    if (fits) memcpy(&d->tuning, data, n);
    pd_free(data);
    return fits;
}

static pd_status measure(pd_vk_backend *b, pd_error *err) {
    tuner t = {.backend = b, .shapes = choose_shapes(b->device->caps.is_software)};
    pd_status status = create_parts(&t, err);
    if (status == PD_OK) status = tune_decode(&t, err);
    if (status == PD_OK) status = tune_prefill(&t, err);
    destroy_parts(&t);
    return status;
}

/* PERIDOT_TUNE: "off" keeps the rules of thumb, "on" tunes rasterisers too. */
static pd_status parse_wish(const pd_vk_device *d, bool *wanted, pd_error *err) {
    const char *text = getenv("PERIDOT_TUNE");
    *wanted = !d->caps.is_software;
    if (!text || !text[0]) return PD_OK;
    *wanted = strcmp(text, "on") == 0;
    if (*wanted || strcmp(text, "off") == 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "PERIDOT_TUNE is \"%s\", but must be on or off", text);
}

pd_status pd_vk_tune(pd_vk_backend *b, pd_error *err) {
    pd_vk_device *d = b->device;
    char name[128];
    bool wanted;
    PD_TRY(parse_wish(d, &wanted, err));
    if (!wanted || d->caps.software_tiles || !d->info.usable) return PD_OK;
    name_choice(d, name, sizeof name);
    if (!recall(d, name)) {
        const pd_vk_tuning thumb = d->tuning;
        pd_status status = measure(b, err);
        if (status != PD_OK) d->tuning = thumb;
        if (status == PD_ERR_MEMORY_DEVICE) return PD_OK;
        if (status != PD_OK) return status;
        d->tuning.known = true;
        pd_vk_cache_store(name, &d->tuning, sizeof d->tuning);
    }
    const pd_vk_tuning *t = &d->tuning;
    pd_log(PD_LOG_INFO, "tune",
           "decode: format %u, %u lanes, %u rows; prompts: format %u%s, %.0f GFLOP/s",
           t->decode_format, t->lanes, t->rows, t->prefill_format,
           t->matrix_units ? " on matrix units" : "", t->gflop_s);
    return PD_OK;
}
