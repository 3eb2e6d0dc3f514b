/* See upload.h.  SPDX-License-Identifier: MIT */
#include "backend/vulkan/program/upload.h"

#include <string.h>

#include "args.h"
#include "backend/vulkan/kernels/descriptors.h"
#include "backend/vulkan/kernels/kernels.h"
#include "backend/vulkan/device/wait.h"

enum {
    N_STAGING = 2,
    STAGING_BYTES = 16 << 20,
    STAGING_SLACK = 64,
    GROUPS_PER_AXIS = 65535,
    PLANE_ALIGN = 256 /* the most that Vulkan lets storage buffers ask for */
};

/* A staging buffer and the commands that read it. */
typedef struct staging {
    pd_vk_buffer buffer;
    VkCommandBuffer cmd;
    VkDescriptorPool pool;
    VkFence fence;
    bool pending;
} staging;

struct pd_vk_weights {
    pd_vk_backend *backend;
    pd_vk_arena arena;
    pd_vk_matrix *matrices;
    uint32_t n_matrices, cap_matrices;
    staging stages[N_STAGING];
    uint32_t next_stage;
    uint64_t bytes_done, bytes_total; /* of stored weights, for the progress callback */
    uint64_t bytes_to_place; /* of planes, so that the arena's last block is not too large */
    pd_progress_fn progress;
    void *progress_ctx;
};

/* ---- planes --------------------------------------------------------------------------------- */

/* Bytes per row of the three planes; the layout is in shaders/weights.glsl. */
typedef struct plane_bytes {
    uint64_t q, s, h;
} plane_bytes;

static const struct plane_traits {
    uint16_t block_values, loads;
    uint8_t scale_bytes, fifth_bytes;
} traits[PD_WEIGHT_COUNT] = {
#define TRAITS_ROW(T, shader, ggml, file, values, bytes, loads, scales, fifth, ...)                \
    [PD_WEIGHT_##T] = {values, loads, scales, fifth},
    PD_WEIGHT_TYPES(TRAITS_ROW)
#undef TRAITS_ROW
};

/* Blocks of the type itself in nb blocks of 32 values. */
static uint32_t type_blocks(uint32_t wtype, uint32_t nb) {
    return traits[wtype].block_values == 256 ? nb / 8 : nb;
}

static plane_bytes row_planes(uint32_t wtype, uint32_t nb) {
    const struct plane_traits *t = &traits[wtype];
    uint64_t n = type_blocks(wtype, nb);
    bool paired = t->block_values == 32 && t->scale_bytes == 2; /* two blocks' scales in a word */
    return (plane_bytes){.q = n * t->loads * 16,
                         .s = t->scale_bytes == 0 ? 0
                              : paired            ? (n + 1) / 2 * 4
                                                  : n * 4,
                         .h = n * t->fifth_bytes};
}

/* What one invocation of repack.comp takes. */
static uint32_t items_per_row(uint32_t wtype, uint32_t nb) {
    const struct plane_traits *t = &traits[wtype];
    if (t->block_values == 32) return (nb + 1) / 2;
    uint32_t n = type_blocks(wtype, nb);
    return t->scale_bytes ? n : n * t->loads;
}

/* Gate and up of different types have no common plane layout: both are widened to F32. */
static bool is_widened(const pd_vk_matrix *m) {
    return m->join == PD_VK_INTERLEAVED && m->parts[0]->type != m->parts[1]->type;
}

static uint32_t tensor_rows(const pd_tensor *t) {
    return (uint32_t)(t->n_dims > 1 ? t->ne[1] : 1);
}

uint32_t pd_vk_matrix_run(const pd_op_matmul *m, uint32_t first) {
    if (m->epilogue == PD_EPILOGUE_GEGLU) return m->n_weights;
    uint32_t n = 1;
    while (first + n < m->n_weights && m->weights[first + n]->type == m->weights[first]->type) n++;
    return n;
}

/* ---- the directory -------------------------------------------------------------------------- */

const pd_vk_matrix *pd_vk_weights_find(const pd_vk_weights *w, const pd_tensor *const *parts,
                                       uint32_t n_parts, pd_vk_join join) {
    for (uint32_t i = 0; i < w->n_matrices; i++) {
        const pd_vk_matrix *m = &w->matrices[i];
        if (m->n_parts == n_parts && m->join == join &&
            !memcmp(m->parts, parts, n_parts * sizeof *parts))
            return m;
    }
    return NULL;
}

static bool directory_grow(pd_vk_weights *w) {
    if (w->n_matrices < w->cap_matrices) return true;
    uint32_t cap = w->cap_matrices ? 2 * w->cap_matrices : 256;
    pd_vk_matrix *bigger = pd_alloc(cap, sizeof *bigger);
    if (!bigger) return false;
    if (w->n_matrices) memcpy(bigger, w->matrices, w->n_matrices * sizeof *bigger);
    pd_free(w->matrices);
    w->matrices = bigger;
    w->cap_matrices = cap;
    return true;
}

static pd_status directory_add(pd_vk_weights *w, const pd_tensor *const *parts, uint32_t n_parts,
                               pd_vk_join join, pd_error *err) {
    if (pd_vk_weights_find(w, parts, n_parts, join)) return PD_OK;
    if (!directory_grow(w))
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the weights' directory");
    pd_vk_matrix *m = &w->matrices[w->n_matrices++];
    *m = (pd_vk_matrix){.n_parts = n_parts, .join = join};
    memcpy(m->parts, parts, n_parts * sizeof *parts);
    m->wtype = is_widened(m) ? PD_WEIGHT_F32 : pd_vk_wtype(parts[0]->type);
    uint64_t row_values = parts[0]->ne[0], all_values = 0;
    for (uint32_t i = 0; i < n_parts; i++) {
        m->n_rows += tensor_rows(parts[i]);
        all_values += parts[i]->ne[0];
        w->bytes_total += parts[i]->n_bytes;
    }
    if (join == PD_VK_CONCATENATED) {
        m->n_rows = 1;
        row_values = all_values;
    }
    m->n_blocks = (uint32_t)((row_values + 31) / 32);
    return PD_OK;
}

static pd_status add_matmul(pd_vk_weights *w, const pd_op_matmul *m, pd_error *err) {
    for (uint32_t i = 0, n; i < m->n_weights; i += n) {
        n = pd_vk_matrix_run(m, i);
        pd_vk_join join = m->epilogue == PD_EPILOGUE_GEGLU ? PD_VK_INTERLEAVED : PD_VK_STACKED;
        PD_TRY(directory_add(w, &m->weights[i], n, join, err));
    }
    if (!pd_epilogue_has_bias(m->epilogue)) return PD_OK;
    return directory_add(w, m->biases, m->n_weights, PD_VK_CONCATENATED, err);
}

static pd_status add_op(pd_vk_weights *w, const pd_op *op, pd_error *err) {
    const pd_tensor *weights[PD_OP_MAX_WEIGHTS];
    uint32_t n = pd_op_get_weights(op, true, weights);
    if (op->kind == PD_OP_MATMUL) return add_matmul(w, &op->matmul, err);
    if (op->kind == PD_OP_QKV_ROPE_STORE && n == 2)
        return directory_add(w, weights, n, PD_VK_STACKED, err);
    for (uint32_t i = 0; i < n; i++) PD_TRY(directory_add(w, &weights[i], 1, PD_VK_STACKED, err));
    return PD_OK;
}

/* ---- slices --------------------------------------------------------------------------------- */

static uint64_t max_u64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static pd_status place_plane(pd_vk_weights *w, uint64_t bytes, pd_vk_slice *out, pd_error *err) {
    if (bytes == 0) return PD_OK;
    PD_TRY(pd_vk_arena_alloc(&w->arena, bytes, w->bytes_to_place, out, err));
    w->bytes_to_place -= pd_round_up(bytes, PLANE_ALIGN);
    return PD_OK;
}

/* Divides a matrix into slices of equal height that a binding can hold. */
static pd_status cut_slices(pd_vk_weights *w, pd_vk_matrix *m, pd_error *err) {
    plane_bytes row = row_planes(m->wtype, m->n_blocks);
    uint64_t limit = w->backend->device->caps.max_binding_bytes;
    uint64_t fit = limit / max_u64(row.q, max_u64(row.s, row.h));
    uint64_t granule = fit >= 64 ? 64 : 2; /* whole tiles, and pairs of interleaved rows */
    if (fit < m->n_rows && fit < granule)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "two rows of %s do not fit the device's binding limit of %llu bytes",
                        m->parts[0]->name, (unsigned long long)limit);
    uint32_t per_slice = fit < m->n_rows ? (uint32_t)(fit / granule * granule) : m->n_rows;
    m->n_slices = pd_div_up(m->n_rows, per_slice);
    m->slices = pd_alloc(m->n_slices, sizeof *m->slices);
    if (!m->slices) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the weights' slices");
    for (uint32_t i = 0; i < m->n_slices; i++) {
        pd_vk_matrix_slice *s = &m->slices[i];
        s->first_row = i * per_slice;
        uint32_t left = m->n_rows - s->first_row;
        s->n_rows = left < per_slice ? left : per_slice;
        w->bytes_to_place += pd_round_up(row.q * s->n_rows, PLANE_ALIGN) +
                             pd_round_up(row.s * s->n_rows, PLANE_ALIGN) +
                             pd_round_up(row.h * s->n_rows, PLANE_ALIGN);
    }
    return PD_OK;
}

static pd_status place_matrix(pd_vk_weights *w, pd_vk_matrix *m, pd_error *err) {
    plane_bytes row = row_planes(m->wtype, m->n_blocks);
    for (uint32_t i = 0; i < m->n_slices; i++) {
        pd_vk_matrix_slice *s = &m->slices[i];
        PD_TRY(place_plane(w, row.q * s->n_rows, &s->q, err));
        s->s = s->h = s->q;
        PD_TRY(place_plane(w, row.s * s->n_rows, &s->s, err));
        PD_TRY(place_plane(w, row.h * s->n_rows, &s->h, err));
    }
    return PD_OK;
}

/* ---- staging -------------------------------------------------------------------------------- */

static pd_status stage_create(pd_vk_weights *w, staging *s, pd_error *err) {
    pd_vk_device *d = w->backend->device;
    pd_status status =
        pd_vk_buffer_create(&w->backend->memory, PD_VK_STAGING, PD_VK_FOR_WEIGHTS,
                            STAGING_BYTES + STAGING_SLACK, "staging", &s->buffer, err);
    if (status != PD_OK) return status;
    VkCommandBufferAllocateInfo cmd = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                       .commandPool = w->backend->command_pool,
                                       .commandBufferCount = 1};
    PD_VK_TRY_GOTO(d->vk.vkAllocateCommandBuffers(d->handle, &cmd, &s->cmd));
    PD_TRY_GOTO(pd_vk_pool_create(d, 1, PD_REPACK_BINDINGS, &s->pool, err));
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    PD_VK_MAKE_GOTO(d->vk.vkCreateFence(d->handle, &fence, NULL, &s->fence), s->fence);
done:
    return status;
}

static pd_status stage_wait(pd_vk_weights *w, staging *s, pd_error *err) {
    pd_vk_device *d = w->backend->device;
    pd_status status = PD_OK;
    if (!s->pending) return PD_OK;
    PD_TRY_GOTO(pd_vk_wait(d, s->fence, err));
    s->pending = false;
    PD_VK_TRY_GOTO(d->vk.vkResetFences(d->handle, 1, &s->fence));
    PD_VK_TRY_GOTO(d->vk.vkResetDescriptorPool(d->handle, s->pool, 0));
done:
    return status;
}

static void stage_destroy(pd_vk_weights *w, staging *s) {
    pd_vk_device *d = w->backend->device;
    if (s->pending) (void)pd_vk_wait(d, s->fence, NULL);
    d->vk.vkDestroyFence(d->handle, s->fence, NULL);
    d->vk.vkDestroyDescriptorPool(d->handle, s->pool, NULL);
    if (s->cmd) d->vk.vkFreeCommandBuffers(d->handle, w->backend->command_pool, 1, &s->cmd);
    pd_vk_buffer_destroy(&w->backend->memory, &s->buffer);
    *s = (staging){0};
}

static pd_status submit_repack(pd_vk_weights *w, staging *st, const pd_vk_pipeline *pipeline,
                               VkDescriptorSet set, const struct pd_args_repack *args,
                               pd_error *err) {
    pd_vk_device *d = w->backend->device;
    pd_status status = PD_OK;
    uint32_t groups = pd_div_up(args->n_items, pipeline->desc.constants[PD_WORKGROUP]);
    uint32_t y = pd_div_up(groups, GROUPS_PER_AXIS), x = pd_div_up(groups, y);
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    PD_VK_TRY_GOTO(d->vk.vkBeginCommandBuffer(st->cmd, &begin));
    d->vk.vkCmdBindPipeline(st->cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->handle);
    d->vk.vkCmdBindDescriptorSets(st->cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->layout, 0, 1,
                                  &set, 0, NULL);
    d->vk.vkCmdPushConstants(st->cmd, pipeline->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                             sizeof *args, args);
    d->vk.vkCmdDispatch(st->cmd, x, y, 1);
    PD_VK_TRY_GOTO(d->vk.vkEndCommandBuffer(st->cmd));
    VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                           .commandBufferCount = 1,
                           .pCommandBuffers = &st->cmd};
    PD_VK_TRY_GOTO(d->vk.vkQueueSubmit(d->queue, 1, &submit, st->fence));
    st->pending = true;
done:
    return status;
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* Stored rows [from, from + n) of a part, to plane rows first, first + step, ... of a slice. */
typedef struct row_run {
    const pd_tensor *part;
    uint32_t from, n, first, step;
} row_run;

/* Bytes of a row as repack.comp reads it: whole blocks. */
static uint64_t staged_row(const pd_vk_matrix *m, const pd_tensor *part) {
    if (is_widened(m)) return part->ne[0] * 4;
    const pd_type_info *type = pd_type_get(part->type);
    return pd_type_row_bytes(type, pd_round_up(32ull * m->n_blocks, type->block_values));
}

static void fill_stage(const pd_vk_matrix *m, const row_run *run, uint64_t stored_row,
                       uint8_t *to) {
    const uint8_t *src = run->part->data + run->from * stored_row;
    uint64_t staged = staged_row(m, run->part);
    if (is_widened(m)) {
        pd_decode(run->part->type, src, run->n * run->part->ne[0], (float *)(void *)to);
    } else if (staged == stored_row) {
        memcpy(to, src, run->n * stored_row);
    } else {
        memset(to, 0, run->n * staged);
        for (uint32_t r = 0; r < run->n; r++)
            memcpy(to + r * staged, src + r * stored_row, stored_row);
        for (uint32_t p = 1; m->join == PD_VK_CONCATENATED && p < m->n_parts; p++) {
            memcpy(to + stored_row, m->parts[p]->data, m->parts[p]->n_bytes);
            to += m->parts[p]->n_bytes;
        }
    }
}

static pd_status upload_run(pd_vk_weights *w, const pd_vk_matrix *m,
                            const pd_vk_matrix_slice *slice, const row_run *run, pd_error *err) {
    uint64_t stored_row = run->part->n_bytes / tensor_rows(run->part);
    staging *st = &w->stages[w->next_stage++ % N_STAGING];
    PD_TRY(stage_wait(w, st, err));
    fill_stage(m, run, stored_row, st->buffer.mapped);
    pd_vk_pipeline_desc desc = pd_vk_choose_repack(m->wtype);
    const pd_vk_pipeline *pipeline;
    PD_TRY(pd_vk_pipeline_get(w->backend->pipelines, &desc, &pipeline, err));
    VkDescriptorSet set;
    pd_vk_slice buffers[PD_REPACK_BINDINGS] = {
        [PD_BIND_REPACK_STORED] = {st->buffer.handle, 0, VK_WHOLE_SIZE},
        [PD_BIND_REPACK_WEIGHT_Q] = slice->q,
        [PD_BIND_REPACK_WEIGHT_S] = slice->s,
        [PD_BIND_REPACK_WEIGHT_H] = slice->h};
    PD_TRY(pd_vk_set_create(w->backend->device, st->pool, pipeline, buffers, &set, err));
    uint32_t per_row = items_per_row(m->wtype, m->n_blocks);
    struct pd_args_repack args = {.n_items = run->n * per_row,
                                  .items_per_row = per_row,
                                  .n_blocks = type_blocks(m->wtype, m->n_blocks),
                                  .first_row = run->first,
                                  .row_step = run->step};
    PD_TRY(submit_repack(w, st, pipeline, set, &args, err));
    w->bytes_done += run->n * stored_row;
    if (w->progress && !w->progress(w->progress_ctx, w->bytes_done, w->bytes_total))
        return PD_RAISE(err, PD_ERR_CANCELLED, "stopped while the weights were loading");
    return PD_OK;
}

/* Cuts a run into pieces that fit a staging buffer. */
static pd_status upload_rows(pd_vk_weights *w, const pd_vk_matrix *m,
                             const pd_vk_matrix_slice *slice, row_run run, pd_error *err) {
    uint32_t at_once = (uint32_t)max_u64(1, STAGING_BYTES / staged_row(m, run.part));
    for (uint32_t left = run.n; left > 0; left -= run.n) {
        run.n = left < at_once ? left : at_once;
        PD_TRY(upload_run(w, m, slice, &run, err));
        run.from += run.n;
        run.first += run.n * run.step;
    }
    return PD_OK;
}

static pd_status upload_interleaved(pd_vk_weights *w, const pd_vk_matrix *m,
                                    const pd_vk_matrix_slice *s, pd_error *err) {
    for (uint32_t p = 0; p < 2; p++) {
        row_run run = {m->parts[p], s->first_row / 2, s->n_rows / 2, p, 2};
        PD_TRY(upload_rows(w, m, s, run, err));
    }
    return PD_OK;
}

static pd_status upload_stacked(pd_vk_weights *w, const pd_vk_matrix *m,
                                const pd_vk_matrix_slice *s, pd_error *err) {
    uint32_t part_first = 0;
    for (uint32_t p = 0; p < m->n_parts; p++) {
        uint32_t part_end = part_first + tensor_rows(m->parts[p]);
        uint32_t first = part_first > s->first_row ? part_first : s->first_row;
        uint32_t slice_end = s->first_row + s->n_rows;
        uint32_t end = part_end < slice_end ? part_end : slice_end;
        if (first < end) {
            row_run run = {m->parts[p], first - part_first, end - first, first - s->first_row, 1};
            PD_TRY(upload_rows(w, m, s, run, err));
        }
        part_first = part_end;
    }
    return PD_OK;
}

static pd_status upload_matrix(pd_vk_weights *w, pd_vk_matrix *m, pd_error *err) {
    PD_TRY(place_matrix(w, m, err));
    if (w->backend->memory.counts_only) return PD_OK;
    for (uint32_t i = 0; i < m->n_slices; i++) {
        const pd_vk_matrix_slice *s = &m->slices[i];
        if (m->join == PD_VK_INTERLEAVED) {
            PD_TRY(upload_interleaved(w, m, s, err));
        } else if (m->join == PD_VK_STACKED) {
            PD_TRY(upload_stacked(w, m, s, err));
        } else {
            PD_TRY(upload_rows(w, m, s, (row_run){m->parts[0], 0, 1, 0, 1}, err));
        }
    }
    return PD_OK;
}

/* ---- life ----------------------------------------------------------------------------------- */

pd_status pd_vk_weights_create(pd_vk_backend *b, pd_vk_weights **out, pd_error *err) {
    pd_vk_weights *w = *out = pd_alloc(1, sizeof *w);
    if (!w) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the weights' directory");
    w->backend = b;
    pd_vk_arena_init(&w->arena, &b->memory, PD_VK_FOR_WEIGHTS, "the weights");
    return PD_OK;
}

static bool copy_matrices(const pd_vk_weights *from, pd_vk_weights *to) {
    if (from->n_matrices == 0) return true;
    to->matrices = pd_alloc(from->n_matrices, sizeof *to->matrices);
    if (!to->matrices) return false;
    to->cap_matrices = from->n_matrices;
    for (; to->n_matrices < from->n_matrices; to->n_matrices++) {
        const pd_vk_matrix *m = &from->matrices[to->n_matrices];
        pd_vk_matrix_slice *slices = m->n_slices ? pd_alloc(m->n_slices, sizeof *slices) : NULL;
        if (m->n_slices && !slices) return false;
        if (slices) memcpy(slices, m->slices, m->n_slices * sizeof *slices);
        to->matrices[to->n_matrices] = *m;
        to->matrices[to->n_matrices].slices = slices;
    }
    return true;
}

pd_status pd_vk_weights_copy(const pd_vk_weights *from, pd_vk_backend *b, pd_vk_weights **out,
                             pd_error *err) {
    PD_TRY(pd_vk_weights_create(b, out, err));
    if (copy_matrices(from, *out)) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the weights' directory");
}

void pd_vk_weights_destroy(pd_vk_weights *w) {
    if (!w) return;
    for (uint32_t i = 0; i < w->n_matrices; i++) pd_free(w->matrices[i].slices);
    pd_free(w->matrices);
    pd_vk_arena_destroy(&w->arena);
    pd_free(w);
}

/* What the upload itself needs, all types at once. */
static pd_status build_repack(pd_vk_weights *w, uint32_t first, pd_error *err) {
    for (uint32_t i = first; i < w->n_matrices; i++) {
        pd_vk_pipeline_desc desc = pd_vk_choose_repack(w->matrices[i].wtype);
        const pd_vk_pipeline *pipeline;
        PD_TRY(pd_vk_pipeline_declare(w->backend->pipelines, &desc, &pipeline, err));
    }
    return pd_vk_pipelines_build(w->backend->pipelines, err);
}

static pd_status upload_from(pd_vk_weights *w, uint32_t first, pd_error *err) {
    for (uint32_t i = first; i < w->n_matrices; i++) PD_TRY(cut_slices(w, &w->matrices[i], err));
    PD_TRY(pd_vk_memory_check(&w->backend->memory, PD_VK_FOR_WEIGHTS, w->bytes_to_place,
                              "the model's weights", err));
    if (!w->backend->memory.counts_only) {
        PD_TRY(build_repack(w, first, err));
        pd_vk_build_expected(w->backend);
    }
    for (uint32_t i = 0; i < N_STAGING; i++) PD_TRY(stage_create(w, &w->stages[i], err));
    for (uint32_t i = first; i < w->n_matrices; i++) PD_TRY(upload_matrix(w, &w->matrices[i], err));
    for (uint32_t i = 0; i < N_STAGING; i++) PD_TRY(stage_wait(w, &w->stages[i], err));
    return PD_OK;
}

pd_status pd_vk_weights_load(pd_vk_weights *w, const pd_plan *plan, pd_progress_fn progress,
                             void *ctx, pd_error *err) {
    uint32_t first = w->n_matrices;
    w->progress = progress;
    w->progress_ctx = ctx;
    w->bytes_done = w->bytes_total = 0;
    for (uint32_t i = 0; i < plan->n_ops; i++) PD_TRY(add_op(w, &plan->ops[i], err));
    pd_status status = upload_from(w, first, err);
    if (status != PD_OK) pd_vk_settle(w->backend->device);
    for (uint32_t i = 0; i < N_STAGING; i++) stage_destroy(w, &w->stages[i]);
    return status;
}
