/* Matrix products to dispatches: one per slice of a matrix, and more where it is large.
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>

#include "args.h"
#include "backend/vulkan/program/lower.h"

/* A large product, cut along the weight rows. */
static pd_status emit_tiles(pd_program *p, uint32_t i, pd_vk_dispatch d, pd_vk_pipeline_desc desc,
                            struct pd_args_matmul args, const pd_vk_binding *bindings,
                            pd_error *err) {
    uint32_t n = d.groups[0], per_cut = pd_div_up(n, pd_vk_count_cuts(p, d.flops, n));
    d.flops = d.flops * per_cut / n;
    for (uint32_t first = 0; first < n; first += per_cut) {
        args.first_tile = first;
        d.groups[0] = n - first < per_cut ? n - first : per_cut;
        PD_TRY(pd_vk_emit(p, i, d, desc, &args, bindings, err));
    }
    return PD_OK;
}

static_assert((int)PD_EPILOGUE_NONE == PD_VK_EPILOGUE_NONE &&
                  (int)PD_EPILOGUE_GEGLU == PD_VK_EPILOGUE_GEGLU &&
                  (int)PD_EPILOGUE_BIAS == PD_VK_EPILOGUE_BIAS &&
                  (int)PD_EPILOGUE_BIAS_GELU == PD_VK_EPILOGUE_BIAS_GELU &&
                  (int)PD_EPILOGUE_BIAS_ADD == PD_VK_EPILOGUE_BIAS_ADD,
              "plans and shaders number epilogues alike");

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
                                 .max_rows = pd_vk_buf_rows(p, op->out),
                                 .epilogue = epilogue,
                                 .x_format = p->formats[op->x],
                                 .y_format = p->formats[op->out]};
    return pd_vk_choose_product(p->backend->device, &shape);
}

uint32_t pd_vk_known_part(const pd_program *p, uint32_t sample) {
    const pd_op *product = sample > 0 ? &p->ops[sample - 1] : NULL;
    if (!product || product->kind != PD_OP_MATMUL) return 0;
    const pd_op_matmul *op = &product->matmul;
    if (op->out != p->ops[sample].sample.x || op->epilogue != PD_EPILOGUE_NONE || op->n_weights > 1)
        return 0;
    const pd_vk_matrix *m = pd_vk_find_matrix(p, op->weights, 1, PD_VK_STACKED);
    if (!m || m->n_rows != p->bufs[op->out].width) return 0;
    uint32_t part = 0;
    for (uint32_t s = 0; s < m->n_slices; s++) {
        pd_vk_product k = choose_kernel(p, op, m, &m->slices[s], PD_VK_EPILOGUE_BEST);
        if (s == 0) part = k.tile_m;
        if (!k.is_matvec || k.tile_m != part || m->slices[s].first_row % part) return 0;
    }
    return part;
}

static bool tells_best(const pd_program *p, uint32_t i) {
    return i + 1 < p->n_ops && p->ops[i + 1].kind == PD_OP_SAMPLE && pd_vk_known_part(p, i + 1) > 0;
}

static pd_status emit_matrix(pd_program *p, uint32_t i, const pd_vk_matrix *m, uint32_t s,
                             uint32_t out_first, pd_error *err) {
    const pd_op_matmul *op = &p->ops[i].matmul;
    const pd_vk_matrix_slice *slice = &m->slices[s];
    bool geglu = op->epilogue == PD_EPILOGUE_GEGLU;
    uint32_t max_rows = pd_vk_buf_rows(p, op->out);
    uint32_t first = out_first + slice->first_row / (geglu ? 2 : 1);
    uint32_t end = first + slice->n_rows / (geglu ? 2 : 1);
    struct pd_args_matmul args = {.n_weight_rows = slice->n_rows,
                                  .n_zeros = count_zeros(p, op, end),
                                  .n_blocks = m->n_blocks,
                                  .n_rows = max_rows,
                                  .out_stride = p->bufs[op->out].width,
                                  .out_first = first};
    pd_vk_slice bias = slice->q; /* something to bind when there is none */
    if (pd_epilogue_has_bias(op->epilogue)) {
        const pd_vk_matrix *b = pd_vk_find_matrix(p, op->biases, op->n_weights, PD_VK_CHAINED);
        if (!b) return pd_vk_raise_unloaded(op->biases[0], err);
        bias = b->slices[0].q;
    }
    bool best = tells_best(p, i);
    bool adds = op->epilogue == PD_EPILOGUE_BIAS_ADD;
    pd_vk_binding out = adds ? pd_vk_updates(p, op->out) : pd_vk_writes(p, op->out);
    pd_vk_binding bindings[] = {pd_vk_reads(p, op->x),
                                out,
                                pd_vk_keeps(slice->q),
                                pd_vk_keeps(slice->s),
                                pd_vk_keeps(slice->h),
                                pd_vk_keeps(bias),
                                best ? pd_vk_partial(p, PD_VK_WRITTEN) : pd_vk_keeps(out.slice)};
    pd_vk_dispatch d = {.groups = {1, 1, 1},
                        .count = pd_vk_buf_count(p, op->out),
                        .flops = 64.0 * slice->n_rows * m->n_blocks * max_rows};
    pd_vk_product k = choose_kernel(p, op, m, slice, best ? PD_VK_EPILOGUE_BEST : op->epilogue);
    d.axis = k.is_matvec ? 2 : 1;
    d.per_group = k.tile_n;
    d.groups[0] = pd_div_up(slice->n_rows + args.n_zeros, k.tile_m);
    if (!k.is_matvec) return emit_tiles(p, i, d, k.desc, args, bindings, err);
    pd_vk_spread(d.groups[0], &d.groups[0], &d.groups[1]);
    return pd_vk_emit(p, i, d, k.desc, &args, bindings, err);
}

pd_status pd_vk_lower_matmul(pd_program *p, uint32_t i, pd_error *err) {
    const pd_op_matmul *op = &p->ops[i].matmul;
    bool geglu = op->epilogue == PD_EPILOGUE_GEGLU;
    uint32_t out_first = 0;
    for (uint32_t w = 0, n; w < op->n_weights; w += n) {
        n = pd_vk_matrix_run(op, w);
        const pd_vk_matrix *m =
            pd_vk_find_matrix(p, &op->weights[w], n, geglu ? PD_VK_INTERLEAVED : PD_VK_STACKED);
        if (!m) return pd_vk_raise_unloaded(op->weights[w], err);
        for (uint32_t s = 0; s < m->n_slices; s++) PD_TRY(emit_matrix(p, i, m, s, out_first, err));
        out_first += m->n_rows;
    }
    return PD_OK;
}
