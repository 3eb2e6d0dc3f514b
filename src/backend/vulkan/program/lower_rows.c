/* Operations on single rows to dispatches: embed, the norms, gather.  SPDX-License-Identifier: MIT
 */
#include "args.h"
#include "backend/vulkan/program/activation.h"
#include "backend/vulkan/program/lower.h"

pd_status pd_vk_lower_embed(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_embed *op = &p->ops[i].embed;
    const pd_vk_matrix *m = pd_vk_find_matrix(p, &op->table, 1, PD_VK_STACKED);
    if (!m) return pd_vk_raise_unloaded(op->table, err);
    for (uint32_t s = 0; s < m->n_slices; s++) {
        const pd_vk_matrix_slice *slice = &m->slices[s];
        bool copies = op->embeddings != PD_BUF_NONE && s == 0;
        struct pd_args_embed args = {m->n_blocks, slice->first_row, slice->n_rows, copies,
                                     op->scale};
        pd_vk_binding bindings[PD_EMBED_BINDINGS] = {
            [PD_BIND_EMBED_STEP] = pd_vk_step(p, PD_VK_KEPT),
            [PD_BIND_EMBED_OUT] = pd_vk_writes(p, op->out),
            [PD_BIND_EMBED_WEIGHT_Q] = pd_vk_keeps(slice->q),
            [PD_BIND_EMBED_WEIGHT_S] = pd_vk_keeps(slice->s),
            [PD_BIND_EMBED_WEIGHT_H] = pd_vk_keeps(slice->h),
            [PD_BIND_EMBED_EMBEDDINGS] =
                copies ? pd_vk_reads(p, op->embeddings) : pd_vk_keeps(slice->q)};
        pd_vk_dispatch d = {
            .groups = {1, 1, 1}, .count = PD_VK_COUNT_ROWS, .axis = 0, .per_group = 1};
        PD_TRY(pd_vk_emit(p, i, d, pd_vk_choose_embed(m->wtype), &args, bindings, err));
    }
    return PD_OK;
}

pd_status pd_vk_lower_norm(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_norm *op = &p->ops[i].norm;
    bool residual = op->residual != PD_BUF_NONE;
    uint32_t width = p->bufs[op->x].width;
    const pd_vk_matrix *w = pd_vk_find_vector(p, &op->weight);
    const pd_vk_matrix *post = residual ? pd_vk_find_vector(p, &op->post_weight) : w;
    if (!w || !post) return pd_vk_raise_unloaded(op->weight, err);
    struct pd_args_norm args = {width / 4, 1.0f / (float)width, op->eps};
    pd_buf_id h = residual ? op->residual : op->x; /* not touched without a residual */
    pd_vk_binding bindings[PD_NORM_BINDINGS] = {
        [PD_BIND_NORM_X] = pd_vk_reads(p, op->x),
        [PD_BIND_NORM_RESIDUAL] = residual ? pd_vk_updates(p, h) : pd_vk_reads(p, h),
        [PD_BIND_NORM_OUT] = pd_vk_writes(p, op->out),
        [PD_BIND_NORM_POST] = pd_vk_keeps(post->slices[0].q),
        [PD_BIND_NORM_WEIGHT] = pd_vk_keeps(w->slices[0].q)};
    pd_vk_dispatch d = {
        .groups = {1, 1, 1}, .count = pd_vk_buf_count(p, op->x), .axis = 0, .per_group = 1};
    pd_vk_pipeline_desc desc =
        pd_vk_choose_norm(&p->backend->device->caps, width, residual, p->formats[op->out]);
    return pd_vk_emit(p, i, d, desc, &args, bindings, err);
}

pd_status pd_vk_lower_layernorm(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_layernorm *op = &p->ops[i].layernorm;
    uint32_t width = (uint32_t)op->weight->ne[0], stride = p->bufs[op->out].width;
    const pd_vk_matrix *w = pd_vk_find_vector(p, &op->weight),
                       *bias = pd_vk_find_vector(p, &op->bias);
    if (!w || !bias) return pd_vk_raise_unloaded(op->weight, err);
    struct pd_args_layernorm args = {width / 4, stride / 4, 1.0f / (float)width, op->eps};
    pd_vk_binding bindings[PD_LAYERNORM_BINDINGS] = {
        [PD_BIND_LAYERNORM_X] = pd_vk_reads(p, op->x),
        [PD_BIND_LAYERNORM_OUT] = pd_vk_writes(p, op->out),
        [PD_BIND_LAYERNORM_WEIGHT] = pd_vk_keeps(w->slices[0].q),
        [PD_BIND_LAYERNORM_BIAS] = pd_vk_keeps(bias->slices[0].q)};
    pd_vk_dispatch d = {
        .groups = {1, 1, 1}, .count = pd_vk_buf_count(p, op->x), .axis = 0, .per_group = 1};
    pd_vk_pipeline_desc desc =
        pd_vk_choose_layernorm(&p->backend->device->caps, stride, p->formats[op->out]);
    return pd_vk_emit(p, i, d, desc, &args, bindings, err);
}

pd_status pd_vk_lower_pool_norm(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_pool_norm *op = &p->ops[i].pool_norm;
    uint32_t width = (uint32_t)op->weight->ne[0], stride = p->bufs[op->out].width;
    const pd_vk_matrix *w = pd_vk_find_vector(p, &op->weight);
    if (!w) return pd_vk_raise_unloaded(op->weight, err);
    struct pd_args_pool_norm args = {.values4 = width / 4,
                                     .stride4 = stride / 4,
                                     .grid = op->grid,
                                     .pool = op->pool,
                                     .inv_width = 1.0f / (float)width,
                                     .inv_count = 1.0f / (float)(op->pool * op->pool),
                                     .eps = op->eps};
    pd_vk_binding bindings[PD_POOL_NORM_BINDINGS] = {
        [PD_BIND_POOL_NORM_X] = pd_vk_reads(p, op->x),
        [PD_BIND_POOL_NORM_OUT] = pd_vk_writes(p, op->out),
        [PD_BIND_POOL_NORM_WEIGHT] = pd_vk_keeps(w->slices[0].q)};
    pd_vk_dispatch d = {.groups = {1, 1, 1}, .count = PD_VK_COUNT_OUTS, .axis = 0, .per_group = 1};
    pd_vk_pipeline_desc desc =
        pd_vk_choose_pool_norm(&p->backend->device->caps, stride, p->formats[op->out]);
    return pd_vk_emit(p, i, d, desc, &args, bindings, err);
}

pd_status pd_vk_lower_gather(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_gather *op = &p->ops[i].gather;
    pd_vk_pipeline_desc desc = pd_vk_choose_gather();
    uint32_t units = p->bufs[op->x].width / 4;
    if (p->formats[op->x] != PD_ACT_F32)
        units = p->bufs[op->x].width / 32 * pd_vk_block_units(p->formats[op->x]);
    struct pd_args_gather args = {units, p->layout.outs_at};
    pd_vk_binding bindings[PD_GATHER_BINDINGS] = {[PD_BIND_GATHER_STEP] = pd_vk_step(p, PD_VK_KEPT),
                                                  [PD_BIND_GATHER_X] = pd_vk_reads(p, op->x),
                                                  [PD_BIND_GATHER_OUT] = pd_vk_writes(p, op->out)};
    pd_vk_dispatch d = {.groups = {pd_div_up(args.units, desc.constants[PD_WORKGROUP]), 1, 1},
                        .count = PD_VK_COUNT_OUTS,
                        .axis = 1,
                        .per_group = 1};
    return pd_vk_emit(p, i, d, desc, &args, bindings, err);
}
