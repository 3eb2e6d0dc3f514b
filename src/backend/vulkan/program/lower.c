/* Operations to dispatches: which kernel, which buffers, how many workgroups.
 *
 * One function per operation. A dispatch names the ranges of the scratch buffer that it reads and
 * writes, from which record.c finds the barriers; weights never change, and the KV pages of a layer
 * are ordered by the query buffer between their store and their attention. Where layers share pages
 * (images), a store comes behind the attention of the layer before by way of the residual stream.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <string.h>

#include "backend/vulkan/program/activation.h"
#include "backend/vulkan/kernels/kernels.h"
#include "backend/vulkan/program/program.h"

enum {
    GROUPS_PER_AXIS = 65535,
    MAX_CUTS = 64, /* of one operation */
    DRAW_PART = 64 /* values, where draw_parts looks for the best ones */
};

/* ---- buffers -------------------------------------------------------------------------------- */

static pd_vk_slice buf_slice(const pd_program *p, pd_buf_id id) {
    return (pd_vk_slice){p->scratch.handle, p->bufs[id].offset, p->bufs[id].bytes};
}

static pd_vk_range buf_range(const pd_program *p, pd_buf_id id) {
    return (pd_vk_range){p->bufs[id].offset, p->bufs[id].offset + p->bufs[id].bytes};
}

static pd_vk_slice partial_slice(const pd_program *p) {
    return (pd_vk_slice){p->scratch.handle, p->partial_offset, p->partial_bytes};
}

static pd_vk_range partial_range(const pd_program *p) {
    return (pd_vk_range){p->partial_offset, p->partial_offset + p->partial_bytes};
}

static pd_vk_slice arrived_slice(const pd_program *p) {
    return (pd_vk_slice){p->scratch.handle, p->arrived_offset, p->arrived_bytes};
}

static pd_vk_slice step_slice(const pd_program *p) {
    return (pd_vk_slice){p->step.handle, 0, p->step.bytes};
}

/* Stands for what draw writes of the step buffer: no place of the scratch buffer's. */
static pd_vk_range step_range(void) {
    return (pd_vk_range){UINT64_MAX - 1, UINT64_MAX};
}

static uint32_t buf_rows(const pd_program *p, pd_buf_id id) {
    return p->bufs[id].rows_of == PD_ROWS_TOKENS ? p->desc.max_rows : p->desc.max_outs;
}

static pd_vk_count buf_count(const pd_program *p, pd_buf_id id) {
    return p->bufs[id].rows_of == PD_ROWS_TOKENS ? PD_VK_COUNT_ROWS : PD_VK_COUNT_OUTS;
}

/* ---- dispatches ----------------------------------------------------------------------------- */

static pd_vk_dispatch *add_dispatch(pd_program *p) {
    if (p->n_dispatches == p->cap_dispatches) {
        uint32_t cap = p->cap_dispatches ? 2 * p->cap_dispatches : 64;
        pd_vk_dispatch *bigger = pd_alloc(cap, sizeof *bigger);
        if (!bigger) return NULL;
        if (p->n_dispatches) memcpy(bigger, p->dispatches, p->n_dispatches * sizeof *bigger);
        pd_free(p->dispatches);
        p->dispatches = bigger;
        p->cap_dispatches = cap;
    }
    return &p->dispatches[p->n_dispatches++];
}

/* Weights and KV pages are cut to the device's limits; activations are not, they follow the chunk.
 */
static pd_status check_bindings(const pd_program *p, uint32_t op_index, const pd_vk_slice *buffers,
                                uint32_t n, pd_error *err) {
    const pd_vk_device *d = p->backend->device;
    pd_status status = PD_OK;
    for (uint32_t i = 0; i < n && status == PD_OK; i++)
        if (buffers[i].bytes > d->properties.limits.maxStorageBufferRange)
            status = PD_RAISE(err, PD_ERR_UNSUPPORTED,
                              "operation %s of %u rows binds %llu bytes, but %s binds at most %u",
                              p->ops[op_index].name, p->desc.max_rows,
                              (unsigned long long)buffers[i].bytes, d->info.name,
                              d->properties.limits.maxStorageBufferRange);
    if (status == PD_OK && p->desc.max_rows > GROUPS_PER_AXIS)
        status = PD_RAISE(err, PD_ERR_UNSUPPORTED,
                          "a chunk of %u rows is more than the %d workgroups of an axis",
                          p->desc.max_rows, GROUPS_PER_AXIS);
    if (status == PD_OK) return PD_OK;
    return pd_error_hint(err, status, "choose smaller prompt chunks");
}

/* `d` has groups, count, access and flops; this adds the pipeline, the arguments and the buffers.
 */
static pd_status emit(pd_program *p, uint32_t op_index, pd_vk_dispatch d, pd_vk_pipeline_desc desc,
                      const void *args, const pd_vk_slice *buffers, pd_error *err) {
    PD_TRY(check_bindings(p, op_index, buffers, desc.n_buffers, err));
    PD_TRY(pd_vk_pipeline_declare(p->backend->pipelines, &desc, &d.pipeline, err));
    d.op_index = op_index;
    d.indirect = -1;
    d.n_buffers = desc.n_buffers;
    memcpy(d.buffers, buffers, desc.n_buffers * sizeof *buffers);
    memcpy(d.push, args, desc.push_bytes);
    pd_vk_dispatch *to = add_dispatch(p);
    if (!to) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the dispatch list");
    *to = d;
    return PD_OK;
}

static const pd_vk_matrix *find_matrix(const pd_program *p, const pd_tensor *const *parts,
                                       uint32_t n, pd_vk_join join) {
    return pd_vk_weights_find(p->backend->weights, parts, n, join);
}

static const pd_vk_matrix *find_vector(const pd_program *p, const pd_tensor *const *vector) {
    return find_matrix(p, vector, 1, PD_VK_STACKED);
}

static pd_status raise_unloaded(const pd_tensor *t, pd_error *err) {
    return PD_RAISE(err, PD_ERR_INTERNAL, "the weights of %s were not loaded", t->name);
}

/* ---- embed ---------------------------------------------------------------------------------- */

static pd_status lower_embed(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_embed *op = &p->ops[i].embed;
    const pd_vk_matrix *m = find_matrix(p, &op->table, 1, PD_VK_STACKED);
    if (!m) return raise_unloaded(op->table, err);
    for (uint32_t s = 0; s < m->n_slices; s++) {
        const pd_vk_matrix_slice *slice = &m->slices[s];
        bool copies = op->given != PD_BUF_NONE && s == 0;
        struct pd_args_embed args = {m->n_blocks, slice->first_row, slice->n_rows, copies,
                                     op->scale};
        pd_vk_slice out = buf_slice(p, op->out),
                    given = copies ? buf_slice(p, op->given) : slice->q;
        pd_vk_slice buffers[] = {step_slice(p), out, slice->q, slice->s, slice->h, given};
        /* slices write different rows: `reads` is left out so that they need no barriers between */
        pd_vk_dispatch d = {.groups = {1, 1, 1},
                            .count = PD_VK_COUNT_ROWS,
                            .axis = 0,
                            .per_group = 1,
                            .writes = {buf_range(p, op->out)}};
        PD_TRY(
            emit(p, i, d, pd_vk_choose_embed(p->backend->device, m->wtype), &args, buffers, err));
    }
    return PD_OK;
}

/* ---- norm ----------------------------------------------------------------------------------- */

static pd_status lower_norm(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_norm *op = &p->ops[i].norm;
    bool residual = op->residual != PD_BUF_NONE;
    uint32_t width = p->bufs[op->x].width;
    const pd_vk_matrix *w = find_vector(p, &op->weight);
    const pd_vk_matrix *post = residual ? find_vector(p, &op->post_weight) : w;
    if (!w || !post) return raise_unloaded(op->weight, err);
    struct pd_args_norm args = {width / 4, 1.0f / (float)width, op->eps};
    pd_buf_id h = residual ? op->residual : op->x; /* not touched without a residual */
    pd_vk_slice buffers[] = {buf_slice(p, op->x), buf_slice(p, h), buf_slice(p, op->out),
                             post->slices[0].q, w->slices[0].q};
    pd_vk_dispatch d = {.groups = {1, 1, 1},
                        .count = buf_count(p, op->x),
                        .axis = 0,
                        .per_group = 1,
                        .reads = {buf_range(p, op->x), buf_range(p, h)},
                        .writes = {buf_range(p, op->out)}};
    if (residual) d.writes[1] = buf_range(p, h);
    pd_vk_pipeline_desc desc =
        pd_vk_choose_norm(p->backend->device, width, residual, p->formats[op->out]);
    return emit(p, i, d, desc, &args, buffers, err);
}

static pd_status lower_layernorm(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_layernorm *op = &p->ops[i].layernorm;
    uint32_t width = (uint32_t)op->weight->ne[0], stride = p->bufs[op->out].width;
    const pd_vk_matrix *w = find_vector(p, &op->weight), *bias = find_vector(p, &op->bias);
    if (!w || !bias) return raise_unloaded(op->weight, err);
    struct pd_args_layernorm args = {width / 4, stride / 4, 1.0f / (float)width, op->eps};
    pd_vk_slice buffers[] = {buf_slice(p, op->x), buf_slice(p, op->out), w->slices[0].q,
                             bias->slices[0].q};
    pd_vk_dispatch d = {.groups = {1, 1, 1},
                        .count = buf_count(p, op->x),
                        .axis = 0,
                        .per_group = 1,
                        .reads = {buf_range(p, op->x)},
                        .writes = {buf_range(p, op->out)}};
    pd_vk_pipeline_desc desc =
        pd_vk_choose_layernorm(p->backend->device, stride, p->formats[op->out]);
    return emit(p, i, d, desc, &args, buffers, err);
}

static pd_status lower_pool_norm(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_pool_norm *op = &p->ops[i].pool_norm;
    uint32_t width = (uint32_t)op->weight->ne[0], stride = p->bufs[op->out].width;
    const pd_vk_matrix *w = find_vector(p, &op->weight);
    if (!w) return raise_unloaded(op->weight, err);
    struct pd_args_pool_norm args = {.values4 = width / 4,
                                     .stride4 = stride / 4,
                                     .grid = op->grid,
                                     .pool = op->pool,
                                     .inv_width = 1.0f / (float)width,
                                     .inv_count = 1.0f / (float)(op->pool * op->pool),
                                     .eps = op->eps};
    pd_vk_slice buffers[] = {buf_slice(p, op->x), buf_slice(p, op->out), w->slices[0].q};
    pd_vk_dispatch d = {.groups = {1, 1, 1},
                        .count = PD_VK_COUNT_OUTS,
                        .axis = 0,
                        .per_group = 1,
                        .reads = {buf_range(p, op->x)},
                        .writes = {buf_range(p, op->out)}};
    pd_vk_pipeline_desc desc =
        pd_vk_choose_pool_norm(p->backend->device, stride, p->formats[op->out]);
    return emit(p, i, d, desc, &args, buffers, err);
}

/* ---- matmul --------------------------------------------------------------------------------- */

/* Workgroups in x and y for n of them, when z or y is the row axis. */
static void spread(uint32_t n, uint32_t *x, uint32_t *y) {
    *y = pd_div_up(n, GROUPS_PER_AXIS);
    *x = pd_div_up(n, *y);
}

/* Into how many dispatches work is cut, of which no piece is smaller than one of n. */
static uint32_t count_cuts(const pd_program *p, double flops, uint32_t n) {
    double cuts = ceil(flops / pd_vk_submission_flops(p->backend));
    uint32_t most = n < MAX_CUTS ? n : MAX_CUTS;
    return cuts < 1 ? 1 : cuts < most ? (uint32_t)cuts : most;
}

/* A large product, cut along the weight rows. */
static pd_status emit_tiles(pd_program *p, uint32_t i, pd_vk_dispatch d, pd_vk_pipeline_desc desc,
                            struct pd_args_matmul args, const pd_vk_slice *buffers, pd_error *err) {
    uint32_t n = d.groups[0], per_cut = pd_div_up(n, count_cuts(p, d.flops, n));
    d.flops = d.flops * per_cut / n;
    for (uint32_t first = 0; first < n; first += per_cut) {
        args.first_tile = first;
        d.groups[0] = n - first < per_cut ? n - first : per_cut;
        PD_TRY(emit(p, i, d, desc, &args, buffers, err));
    }
    return PD_OK;
}

static uint32_t epilogue_of(const pd_op_matmul *op) {
    static const uint32_t of[] = {[PD_EPILOGUE_NONE] = PD_E_NONE,
                                  [PD_EPILOGUE_GEGLU] = PD_E_GEGLU,
                                  [PD_EPILOGUE_BIAS] = PD_E_BIAS,
                                  [PD_EPILOGUE_BIAS_GELU] = PD_E_BIAS_GELU,
                                  [PD_EPILOGUE_BIAS_ADD] = PD_E_BIAS_ADD};
    return of[op->epilogue];
}

/* Columns behind the last slice of the last weight that have to be zero. What is added to has its
 * zeros already. */
static uint32_t count_zeros(const pd_program *p, const pd_op_matmul *op, uint32_t end) {
    uint32_t width = p->bufs[op->out].width;
    bool is_last = end == pd_op_matmul_width(op);
    return is_last && op->epilogue != PD_EPILOGUE_BIAS_ADD ? width - end : 0;
}

static pd_vk_product choose_kernel(const pd_program *p, const pd_op_matmul *op,
                                   const pd_vk_matrix *m, const pd_vk_matrix_slice *slice,
                                   uint32_t epilogue) {
    pd_vk_product_shape shape = {.wtype = m->wtype,
                                 .n_weight_rows = slice->n_rows,
                                 .n_blocks = m->n_blocks,
                                 .max_rows = buf_rows(p, op->out),
                                 .epilogue = epilogue,
                                 .x_format = p->formats[op->x],
                                 .y_format = p->formats[op->out]};
    return pd_vk_choose_product(p->backend->device, &shape);
}

/* Where a draw's logits are a product just made by matvec, its workgroups know the best of theirs:
 * how many values that is, the same for all. 0: the draw has to look for itself. */
static uint32_t known_part(const pd_program *p, uint32_t draw) {
    const pd_op *product = draw > 0 ? &p->ops[draw - 1] : NULL;
    if (!product || product->kind != PD_OP_MATMUL) return 0;
    const pd_op_matmul *op = &product->matmul;
    if (op->out != p->ops[draw].draw.x || op->epilogue != PD_EPILOGUE_NONE || op->n_weights > 1)
        return 0;
    const pd_vk_matrix *m = find_matrix(p, op->weights, 1, PD_VK_STACKED);
    if (!m || m->n_rows != p->bufs[op->out].width) return 0;
    uint32_t part = 0;
    for (uint32_t s = 0; s < m->n_slices; s++) {
        pd_vk_product k = choose_kernel(p, op, m, &m->slices[s], PD_E_BEST);
        if (s == 0) part = k.tile_m;
        if (!k.is_matvec || k.tile_m != part || m->slices[s].first_row % part) return 0;
    }
    return part;
}

static bool tells_best(const pd_program *p, uint32_t i) {
    return i + 1 < p->n_ops && p->ops[i + 1].kind == PD_OP_DRAW && known_part(p, i + 1) > 0;
}

static pd_status emit_matrix(pd_program *p, uint32_t i, const pd_vk_matrix *m, uint32_t s,
                             uint32_t out_first, pd_error *err) {
    const pd_op_matmul *op = &p->ops[i].matmul;
    const pd_vk_matrix_slice *slice = &m->slices[s];
    bool geglu = op->epilogue == PD_EPILOGUE_GEGLU;
    uint32_t max_rows = buf_rows(p, op->out);
    uint32_t first = out_first + slice->first_row / (geglu ? 2 : 1);
    uint32_t end = first + slice->n_rows / (geglu ? 2 : 1);
    struct pd_args_matmul args = {.n_weight_rows = slice->n_rows,
                                  .n_zeros = count_zeros(p, op, end),
                                  .n_blocks = m->n_blocks,
                                  .n_rows = max_rows,
                                  .out_stride = p->bufs[op->out].width,
                                  .out_first = first};
    pd_vk_slice bias = slice->q; /* something to bind when there is none */
    if (op->epilogue >= PD_EPILOGUE_BIAS) {
        const pd_vk_matrix *b = find_matrix(p, op->biases, op->n_weights, PD_VK_CHAINED);
        if (!b) return raise_unloaded(op->biases[0], err);
        bias = b->slices[0].q;
    }
    bool best = tells_best(p, i);
    pd_vk_slice out = buf_slice(p, op->out), parts = best ? partial_slice(p) : out;
    pd_vk_slice buffers[] = {buf_slice(p, op->x), out, slice->q, slice->s, slice->h, bias, parts};
    pd_vk_dispatch d = {.groups = {1, 1, 1},
                        .count = buf_count(p, op->out),
                        .flops = 64.0 * slice->n_rows * m->n_blocks * max_rows,
                        .reads = {buf_range(p, op->x)},
                        .writes = {buf_range(p, op->out)}};
    if (op->epilogue == PD_EPILOGUE_BIAS_ADD) d.reads[1] = buf_range(p, op->out);
    if (best) d.writes[1] = partial_range(p);
    pd_vk_product k = choose_kernel(p, op, m, slice, best ? PD_E_BEST : epilogue_of(op));
    d.axis = k.is_matvec ? 2 : 1;
    d.per_group = k.tile_n;
    d.groups[0] = pd_div_up(slice->n_rows + args.n_zeros, k.tile_m);
    if (!k.is_matvec) return emit_tiles(p, i, d, k.desc, args, buffers, err);
    spread(d.groups[0], &d.groups[0], &d.groups[1]);
    return emit(p, i, d, k.desc, &args, buffers, err);
}

static pd_status lower_matmul(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_matmul *op = &p->ops[i].matmul;
    bool geglu = op->epilogue == PD_EPILOGUE_GEGLU;
    uint32_t out_first = 0;
    for (uint32_t w = 0, n; w < op->n_weights; w += n) {
        n = pd_vk_matrix_run(op, w);
        const pd_vk_matrix *m =
            find_matrix(p, &op->weights[w], n, geglu ? PD_VK_INTERLEAVED : PD_VK_STACKED);
        if (!m) return raise_unloaded(op->weights[w], err);
        for (uint32_t s = 0; s < m->n_slices; s++) PD_TRY(emit_matrix(p, i, m, s, out_first, err));
        out_first += m->n_rows;
    }
    return PD_OK;
}

/* ---- qkv_rope_store ------------------------------------------------------------------------- */

static bool rotates(const pd_op *op) {
    return op->kind == PD_OP_QKV_ROPE_STORE && op->qkv.q_weight;
}

static bool same_rotation(const pd_op *a, const pd_op *b) {
    return a->qkv.rope_base == b->qkv.rope_base && a->qkv.angle_scale == b->qkv.angle_scale;
}

uint32_t pd_vk_rotation_index(const pd_program *p, uint32_t op_index, uint32_t *count) {
    uint32_t found = 0, n = 0;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        if (!rotates(&p->ops[i])) continue;
        uint32_t first = 0;
        while (!rotates(&p->ops[first]) || !same_rotation(&p->ops[first], &p->ops[i])) first++;
        if (first != i) continue; /* not the first of its kind */
        if (op_index < p->n_ops && same_rotation(&p->ops[op_index], &p->ops[i])) found = n;
        n++;
    }
    if (count) *count = n;
    return found;
}

/* Turns per position of pair j, as a 64-bit fraction: base^(-2j / head_dim) * scale / (2 pi) *
 * 2^64. */
void pd_vk_fill_rotations(const pd_program *p, uint32_t *words) {
    uint32_t half = p->desc.kv.head_dim / 2;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        if (!rotates(&p->ops[i])) continue;
        uint32_t *to = words + 2ull * half * pd_vk_rotation_index(p, i, NULL);
        for (uint32_t j = 0; j < half; j++) {
            long double exponent = -(long double)j / (long double)half;
            long double turns = powl((long double)p->ops[i].qkv.rope_base, exponent) *
                                (long double)p->ops[i].qkv.angle_scale / 6.283185307179586476925L;
            uint64_t fraction = (uint64_t)ldexpl(turns - floorl(turns), 64);
            to[2 * j] = (uint32_t)(fraction >> 32);
            to[2 * j + 1] = (uint32_t)fraction;
        }
    }
}

static uint32_t table_at(const pd_program *p, uint32_t layer) {
    return p->layout.tables_at + (p->kv->layer_is_global[layer] ? 0 : p->layout.max_pages);
}

static pd_status lower_rope(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_qkv_rope_store *op = &p->ops[i].qkv;
    const pd_kv_shape *shape = &p->desc.kv;
    const pd_tensor *norms[2] = {op->q_weight, op->k_weight};
    const pd_vk_matrix *m = op->q_weight ? find_matrix(p, norms, 2, PD_VK_STACKED) : NULL;
    if (op->q_weight && !m) return raise_unloaded(op->q_weight, err);
    uint32_t layer = op->kv_layer;
    for (uint32_t s = p->kv->first_slice[layer]; s < p->kv->first_slice[layer + 1]; s++) {
        const pd_vk_kv_slice *kv = &p->kv->slices[s];
        uint32_t n_q = kv->first_head == 0 ? shape->n_heads : 0; /* with the first slice */
        struct pd_args_rope args = {
            .n_heads = shape->n_heads,
            .n_kv_heads = shape->n_kv_heads,
            .n_q = n_q,
            .kv_first = kv->first_head,
            .n_kv = kv->n_heads,
            .table_at = table_at(p, layer),
            .table_stride = p->layout.table_stride,
            .rope_first = m ? pd_vk_rotation_index(p, i, NULL) * shape->head_dim / 2 : 0,
            .eps = op->eps,
            .q_scale = op->q_scale};
        pd_vk_slice constants = {p->constants.handle, 0, p->constants.bytes};
        pd_vk_slice buffers[] = {step_slice(p),
                                 buf_slice(p, op->qkv),
                                 buf_slice(p, op->out),
                                 kv->k,
                                 kv->v,
                                 m ? m->slices[0].q : kv->k, /* plain: bound, not read */
                                 m ? constants : kv->k};
        pd_vk_dispatch d = {.groups = {n_q + 2 * kv->n_heads, 1, 1},
                            .count = PD_VK_COUNT_ROWS,
                            .axis = 1,
                            .per_group = 1,
                            .reads = {buf_range(p, op->qkv)},
                            .writes = {buf_range(p, op->out)}};
        PD_TRY(emit(p, i, d, pd_vk_choose_rope(p->backend->device, shape->head_dim, shape->f32, !m),
                    &args, buffers, err));
    }
    return PD_OK;
}

/* ---- attention ------------------------------------------------------------------------------ */

/* Most positions that a row can see. */
static uint32_t max_visible(const pd_program *p, const pd_op_attention *op) {
    bool windowed = op->window && op->window < p->desc.max_positions;
    return windowed ? op->window : p->desc.max_positions;
}

static pd_vk_attention attention_kernel(const pd_program *p, const pd_op_attention *op) {
    const pd_kv_shape *s = &p->desc.kv;
    uint32_t visible = max_visible(p, op);
    pd_vk_attention_shape shape = {.head_dim = s->head_dim,
                                   .group = s->n_heads / s->n_kv_heads,
                                   .kv_f32 = s->f32,
                                   .max_rows = p->desc.max_rows,
                                   .max_visible = visible,
                                   .y_format = p->formats[op->out]};
    return pd_vk_choose_attention(p->backend->device, &shape);
}

static pd_status emit_merge(pd_program *p, uint32_t i, uint32_t n_splits, pd_error *err) {
    const pd_op_attention *op = &p->ops[i].attention;
    struct pd_args_merge args = {p->desc.kv.n_heads, n_splits, p->bufs[op->out].width / 4};
    pd_vk_slice buffers[] = {partial_slice(p), buf_slice(p, op->out)};
    pd_vk_dispatch d = {.groups = {p->desc.kv.n_heads, 1, 1},
                        .count = PD_VK_COUNT_ROWS,
                        .axis = 1,
                        .per_group = 1,
                        .reads = {partial_range(p)},
                        .writes = {buf_range(p, op->out)}};
    pd_vk_pipeline_desc desc =
        pd_vk_choose_merge(p->backend->device, p->desc.kv.head_dim, p->formats[op->out]);
    return emit(p, i, d, desc, &args, buffers, err);
}

/* Attention over many positions, cut along the rows. */
static pd_status emit_query_tiles(pd_program *p, uint32_t i, pd_vk_dispatch d,
                                  pd_vk_pipeline_desc desc, struct pd_args_attention args,
                                  const pd_vk_slice *buffers, pd_error *err) {
    uint32_t n = pd_div_up(p->desc.max_rows, p->tile_rows);
    if (p->desc.max_seqs > 1) n = p->desc.max_rows; /* sequences begin tiles of their own */
    uint32_t cuts = count_cuts(p, d.flops, n), per_cut = pd_div_up(n, cuts);
    d.flops /= cuts;
    for (uint32_t first = 0; first < n; first += per_cut) {
        args.first_tile = d.first = first;
        d.most = cuts > 1 ? per_cut : 0;
        PD_TRY(emit(p, i, d, desc, &args, buffers, err));
    }
    return PD_OK;
}

static pd_status lower_attention(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_attention *op = &p->ops[i].attention;
    const pd_kv_shape *shape = &p->desc.kv;
    pd_vk_attention k = attention_kernel(p, op);
    uint32_t visible = max_visible(p, op);
    uint32_t layer = op->kv_layer;
    for (uint32_t s = p->kv->first_slice[layer]; s < p->kv->first_slice[layer + 1]; s++) {
        const pd_vk_kv_slice *kv = &p->kv->slices[s];
        struct pd_args_attention args = {.n_heads = shape->n_heads,
                                         .group = shape->n_heads / shape->n_kv_heads,
                                         .kv_first = kv->first_head,
                                         .n_kv = kv->n_heads,
                                         .tiles_at = p->layout.tiles_at,
                                         .table_at = table_at(p, layer),
                                         .table_stride = p->layout.table_stride,
                                         .window = op->window,
                                         .n_splits = k.n_splits,
                                         .n_head_groups = k.n_head_groups,
                                         .out_stride4 = p->bufs[op->out].width / 4};
        pd_vk_slice buffers[] = {step_slice(p), buf_slice(p, op->q), buf_slice(p, op->out), kv->k,
                                 kv->v,         partial_slice(p),    arrived_slice(p)};
        pd_vk_dispatch d = {.groups = {1, kv->n_heads * k.n_head_groups, k.n_splits},
                            .count = PD_VK_COUNT_TILES,
                            .axis = 0,
                            .per_group = 1,
                            .flops = 4.0 * p->desc.max_rows * visible * kv->n_heads * args.group *
                                     shape->head_dim,
                            .reads = {buf_range(p, op->q)},
                            .writes = {buf_range(p, op->out)}};
        if (k.n_splits > 1) d.writes[1] = partial_range(p);
        PD_TRY(emit_query_tiles(p, i, d, k.desc, args, buffers, err));
    }
    return k.n_splits > 1 && !k.merges ? emit_merge(p, i, k.n_splits, err) : PD_OK;
}

/* ---- outputs -------------------------------------------------------------------------------- */

static pd_status lower_gather(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_gather *op = &p->ops[i].gather;
    pd_vk_pipeline_desc desc = pd_vk_choose_gather(p->backend->device);
    uint32_t units = p->bufs[op->x].width / 4;
    if (p->formats[op->x] != PD_X_F32)
        units = p->bufs[op->x].width / 32 * pd_vk_block_units(p->formats[op->x]);
    struct pd_args_gather args = {units, p->layout.outs_at};
    pd_vk_slice buffers[] = {step_slice(p), buf_slice(p, op->x), buf_slice(p, op->out)};
    pd_vk_dispatch d = {.groups = {pd_div_up(args.units, desc.constants[0]), 1, 1},
                        .count = PD_VK_COUNT_OUTS,
                        .axis = 1,
                        .per_group = 1,
                        .reads = {buf_range(p, op->x)},
                        .writes = {buf_range(p, op->out)}};
    return emit(p, i, d, desc, &args, buffers, err);
}

static uint32_t draw_part(const pd_program *p, uint32_t i) {
    uint32_t known = known_part(p, i);
    return known ? known : DRAW_PART;
}

static uint64_t draw_partial_bytes(const pd_program *p, uint32_t i) {
    pd_buf_id x = p->ops[i].draw.x;
    return 8ull * pd_div_up(p->bufs[x].width, draw_part(p, i)) * buf_rows(p, x);
}

static pd_status emit_draw_parts(pd_program *p, uint32_t i, const struct pd_args_draw *args,
                                 pd_error *err) {
    pd_buf_id x = p->ops[i].draw.x;
    pd_vk_pipeline_desc desc = pd_vk_choose_draw_parts(p->backend->device, DRAW_PART);
    uint32_t parts_per_group = desc.constants[0] / desc.constants[2];
    pd_vk_slice buffers[] = {buf_slice(p, x), partial_slice(p)};
    pd_vk_dispatch d = {.groups = {pd_div_up(args->n_parts, parts_per_group), 1, 1},
                        .count = PD_VK_COUNT_OUTS,
                        .axis = 1,
                        .per_group = 1,
                        .reads = {buf_range(p, x)},
                        .writes = {partial_range(p)}};
    return emit(p, i, d, desc, args, buffers, err);
}

static pd_status lower_draw(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_draw *op = &p->ops[i].draw;
    uint32_t part = draw_part(p, i), n = p->bufs[op->x].width;
    struct pd_args_draw args = {
        .n_values = n, .n_parts = pd_div_up(n, part), .draws_at = p->layout.draws_at};
    if (!known_part(p, i)) PD_TRY(emit_draw_parts(p, i, &args, err));
    pd_vk_slice out = buf_slice(p, op->out);
    pd_vk_slice state = {p->step.handle, 4 * PD_STEP_STATE,
                         4ull * (p->layout.n_words - PD_STEP_STATE)};
    pd_vk_slice ring = p->ring.handle ? (pd_vk_slice){p->ring.handle, 0, p->ring.bytes} : out;
    pd_vk_slice buffers[] = {partial_slice(p), buf_slice(p, op->x), out, state, ring};
    pd_vk_dispatch d = {.groups = {1, 1, 1},
                        .count = PD_VK_COUNT_OUTS,
                        .axis = 1,
                        .per_group = 1,
                        .reads = {partial_range(p), buf_range(p, op->x)},
                        .writes = {buf_range(p, op->out), step_range()}};
    return emit(p, i, d, pd_vk_choose_draw(p->backend->device, part), &args, buffers, err);
}

static pd_status lower_log_prob(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_log_prob *op = &p->ops[i].log_prob;
    struct pd_args_log_prob args = {p->bufs[op->x].width, p->layout.outs_at};
    pd_vk_slice buffers[] = {step_slice(p), buf_slice(p, op->x), buf_slice(p, op->out)};
    pd_vk_dispatch d = {.groups = {1, 1, 1},
                        .count = PD_VK_COUNT_OUTS,
                        .axis = 0,
                        .per_group = 1,
                        .reads = {buf_range(p, op->x), step_range()},
                        .writes = {buf_range(p, op->out)}};
    return emit(p, i, d, pd_vk_choose_log_prob(p->backend->device), &args, buffers, err);
}

/* ---- all of them ---------------------------------------------------------------------------- */

uint64_t pd_vk_partial_bytes(const pd_program *p) {
    uint64_t most = 256;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        uint64_t bytes = 0;
        if (p->ops[i].kind == PD_OP_ATTENTION) {
            uint32_t splits = attention_kernel(p, &p->ops[i].attention).n_splits;
            if (splits > 1)
                bytes = (uint64_t)p->desc.max_rows * p->desc.kv.n_heads * splits *
                        (p->desc.kv.head_dim + 4) * 4;
        } else if (p->ops[i].kind == PD_OP_DRAW) {
            bytes = draw_partial_bytes(p, i);
        }
        if (bytes > most) most = bytes;
    }
    return pd_round_up(most, 256);
}

uint64_t pd_vk_arrived_bytes(const pd_program *p) {
    const pd_kv_shape *s = &p->desc.kv;
    uint64_t n = s->n_kv_heads ? (uint64_t)p->desc.max_rows * s->n_heads : 1; /* at most */
    return pd_round_up(4 * n, 256);
}

pd_status pd_vk_lower(pd_program *p, pd_error *err) {
    static pd_status (*const lower[PD_OP_KIND_COUNT])(pd_program *, uint32_t, pd_error *) = {
        [PD_OP_EMBED] = lower_embed,         [PD_OP_NORM] = lower_norm,
        [PD_OP_LAYERNORM] = lower_layernorm, [PD_OP_MATMUL] = lower_matmul,
        [PD_OP_QKV_ROPE_STORE] = lower_rope, [PD_OP_ATTENTION] = lower_attention,
        [PD_OP_GATHER] = lower_gather,       [PD_OP_POOL_NORM] = lower_pool_norm,
        [PD_OP_DRAW] = lower_draw,           [PD_OP_LOG_PROB] = lower_log_prob,
    };
    for (uint32_t i = 0; i < p->n_ops; i++) PD_TRY(lower[p->ops[i].kind](p, i, err));
    return PD_OK;
}
