/* Storing K and V, and attention, to dispatches: one per slice of a layer's KV heads.
 * SPDX-License-Identifier: MIT
 */
#include "args.h"
#include "backend/vulkan/program/lower.h"

static uint32_t table_at(const pd_program *p, uint32_t layer) {
    return p->layout.tables_at + (p->kv->layer_is_global[layer] ? 0 : p->layout.max_pages);
}

pd_status pd_vk_lower_qkv_rope_store(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_qkv_rope_store *op = &p->ops[i].qkv_rope_store;
    const pd_kv_shape *shape = &p->desc.kv;
    const pd_tensor *norms[2] = {op->q_weight, op->k_weight};
    const pd_vk_matrix *m = op->q_weight ? pd_vk_find_matrix(p, norms, 2, PD_VK_STACKED) : NULL;
    if (op->q_weight && !m) return pd_vk_raise_unloaded(op->q_weight, err);
    uint32_t layer = op->kv_layer;
    const pd_vk_kv_layer *pages = &p->kv->layers[layer];
    for (uint32_t s = 0; s < pages->n_slices; s++) {
        const pd_vk_kv_slice *kv = &pages->slices[s];
        uint32_t n_q = kv->first_head == 0 ? shape->n_heads : 0; /* with the first slice */
        struct pd_args_rope args = {.n_heads = shape->n_heads,
                                    .n_kv_heads = shape->n_kv_heads,
                                    .n_q = n_q,
                                    .kv_first = kv->first_head,
                                    .n_kv = kv->n_heads,
                                    .table_at = table_at(p, layer),
                                    .table_stride = p->layout.table_stride,
                                    .rope_first = m ? op->rotation * shape->head_dim / 2 : 0,
                                    .eps = op->eps,
                                    .q_scale = op->q_scale};
        pd_vk_slice constants = {p->constants.handle, 0, p->constants.bytes};
        pd_vk_binding bindings[PD_ROPE_BINDINGS] = {
            [PD_BIND_ROPE_STEP] = pd_vk_step(p, PD_VK_KEPT),
            [PD_BIND_ROPE_QKV] = pd_vk_reads(p, op->qkv),
            [PD_BIND_ROPE_Q] = pd_vk_writes(p, op->out),
            [PD_BIND_ROPE_K] = pd_vk_keeps(kv->k),
            [PD_BIND_ROPE_V] = pd_vk_keeps(kv->v),
            [PD_BIND_ROPE_NORMS] = pd_vk_keeps(m ? m->slices[0].q : kv->k), /* plain: not read */
            [PD_BIND_ROPE_TURNS] = pd_vk_keeps(m ? constants : kv->k)};
        pd_vk_dispatch d = {.groups = {n_q + 2 * kv->n_heads, 1, 1},
                            .count = PD_VK_COUNT_ROWS,
                            .axis = 1,
                            .per_group = 1};
        PD_TRY(pd_vk_emit(p, i, d, pd_vk_choose_rope(shape->head_dim, shape->f32, !m), &args,
                          bindings, err));
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
    return pd_vk_choose_attention(&p->backend->device->caps, &shape);
}

static pd_status emit_merge(pd_program *p, uint32_t i, uint32_t n_splits, pd_error *err) {
    const pd_op_attention *op = &p->ops[i].attention;
    struct pd_args_merge args = {p->desc.kv.n_heads, n_splits, p->bufs[op->out].width / 4};
    pd_vk_binding bindings[PD_MERGE_BINDINGS] = {[PD_BIND_MERGE_PARTIAL] =
                                                     pd_vk_partial(p, PD_VK_READ),
                                                 [PD_BIND_MERGE_OUT] = pd_vk_writes(p, op->out)};
    pd_vk_dispatch d = {
        .groups = {p->desc.kv.n_heads, 1, 1}, .count = PD_VK_COUNT_ROWS, .axis = 1, .per_group = 1};
    pd_vk_pipeline_desc desc = pd_vk_choose_merge(p->desc.kv.head_dim, p->formats[op->out]);
    return pd_vk_emit(p, i, d, desc, &args, bindings, err);
}

/* Attention over many positions, cut along the rows. */
static pd_status emit_query_tiles(pd_program *p, uint32_t i, pd_vk_dispatch d,
                                  pd_vk_pipeline_desc desc, struct pd_args_attention args,
                                  const pd_vk_binding *bindings, pd_error *err) {
    uint32_t n = pd_div_up(p->desc.max_rows, p->tile_rows);
    if (p->desc.max_seqs > 1) n = p->desc.max_rows; /* sequences begin tiles of their own */
    uint32_t cuts = pd_vk_count_cuts(p, d.flops, n), per_cut = pd_div_up(n, cuts);
    d.flops /= cuts;
    for (uint32_t first = 0; first < n; first += per_cut) {
        args.first_tile = d.first = first;
        d.most = cuts > 1 ? per_cut : 0;
        PD_TRY(pd_vk_emit(p, i, d, desc, &args, bindings, err));
    }
    return PD_OK;
}

pd_status pd_vk_lower_attention(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_attention *op = &p->ops[i].attention;
    const pd_kv_shape *shape = &p->desc.kv;
    pd_vk_attention k = attention_kernel(p, op);
    uint32_t visible = max_visible(p, op);
    pd_vk_slice arrived = {p->scratch.handle, p->arrived_offset, p->arrived_bytes};
    uint32_t layer = op->kv_layer;
    const pd_vk_kv_layer *pages = &p->kv->layers[layer];
    for (uint32_t s = 0; s < pages->n_slices; s++) {
        const pd_vk_kv_slice *kv = &pages->slices[s];
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
        pd_vk_binding bindings[PD_ATTENTION_BINDINGS] = {
            [PD_BIND_ATTENTION_STEP] = pd_vk_step(p, PD_VK_KEPT),
            [PD_BIND_ATTENTION_Q] = pd_vk_reads(p, op->q),
            [PD_BIND_ATTENTION_OUT] = pd_vk_writes(p, op->out),
            [PD_BIND_ATTENTION_K] = pd_vk_keeps(kv->k),
            [PD_BIND_ATTENTION_V] = pd_vk_keeps(kv->v),
            [PD_BIND_ATTENTION_PARTIAL] =
                pd_vk_partial(p, k.n_splits > 1 ? PD_VK_WRITTEN : PD_VK_KEPT),
            [PD_BIND_ATTENTION_ARRIVED] = pd_vk_keeps(arrived)}; /* in the order of partial */
        pd_vk_dispatch d = {.groups = {1, kv->n_heads * k.n_head_groups, k.n_splits},
                            .count = PD_VK_COUNT_TILES,
                            .axis = 0,
                            .per_group = 1,
                            .flops = 4.0 * p->desc.max_rows * visible * kv->n_heads * args.group *
                                     shape->head_dim};
        PD_TRY(emit_query_tiles(p, i, d, k.desc, args, bindings, err));
    }
    return k.n_splits > 1 && !k.merges ? emit_merge(p, i, k.n_splits, err) : PD_OK;
}

uint64_t pd_vk_attention_partial_bytes(const pd_program *p, uint32_t i) {
    uint32_t splits = attention_kernel(p, &p->ops[i].attention).n_splits;
    if (splits < 2) return 0;
    return (uint64_t)p->desc.max_rows * p->desc.kv.n_heads * splits * (p->desc.kv.head_dim + 4) * 4;
}
