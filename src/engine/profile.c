/* Where a step's time goes: the last step again, operation by operation.
 *
 * Bytes and multiply-adds are what an operation cannot do without: each weight read once, K and V
 * of every visible position once, its input and output rows once. A prompt's rows share weights and
 * pages; a draw's logits count as the head's output alone, for a device may know the best of them
 * by the time they are written.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/profile.h"

#include <string.h>

typedef struct profile {
    const pd_plan *plan;
    const pd_step *step;
    pd_profile_fn fn;
    void *ctx;
} profile;

/* "l03.gate_up" -> "gate_up" */
static const char *kind_name(const pd_op *op) {
    const char *dot = op->layer >= 0 ? strchr(op->name, '.') : NULL;
    return dot ? dot + 1 : op->name;
}

static uint64_t position_bytes(const pd_kv_shape *kv) { /* K and V */
    return 2ull * kv->n_kv_heads * kv->head_dim * (kv->f32 ? 4 : 2);
}

static void add_activations(const profile *p, const pd_op *op, pd_profile_op *out) {
    pd_op_access a = pd_op_get_access(op);
    const pd_buf_id ids[] = {a.reads[0], a.reads[1], a.writes[0], a.writes[1]};
    for (int i = 0; i < 4; i++) {
        if (ids[i] == PD_BUF_NONE || (op->kind == PD_OP_SAMPLE && ids[i] == op->sample.x)) continue;
        const pd_buf *b = &p->plan->bufs[ids[i]];
        bool all = b->rows_of == PD_ROWS_TOKENS && op->kind != PD_OP_GATHER;
        uint64_t rows = all ? p->step->n_rows : p->step->n_outs;
        out->bytes += 4 * rows * b->width;
    }
}

static void add_matmul(const pd_op_matmul *m, pd_profile_op *out) {
    for (uint32_t i = 0; i < m->n_weights; i++) {
        const pd_tensor *w = m->weights[i];
        out->bytes += w->n_bytes;
        out->flops += 2.0 * (double)w->ne[0] * (double)w->ne[1] * out->n_rows;
    }
}

static void add_attention(const profile *p, uint32_t window, pd_profile_op *out) {
    const pd_kv_shape *kv = &p->plan->desc.kv;
    const pd_step_row *rows = p->step->rows;
    uint32_t n = p->step->n_rows, begin = pd_window_first(rows[0].pos, window);
    out->bytes += (rows[n - 1].end - begin) * position_bytes(kv);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t seen = window && rows[i].end > window ? window : rows[i].end;
        out->flops += 4.0 * seen * kv->n_heads * kv->head_dim;
    }
}

static void add_weights(const profile *p, const pd_op *op, pd_profile_op *out) {
    switch (op->kind) {
    case PD_OP_EMBED:
        out->bytes += out->n_rows * (op->embed.table->n_bytes / op->embed.table->ne[1]);
        break;
    case PD_OP_MATMUL: add_matmul(&op->matmul, out); break;
    case PD_OP_QKV_ROPE_STORE: out->bytes += out->n_rows * position_bytes(&p->plan->desc.kv); break;
    case PD_OP_ATTENTION: add_attention(p, op->attention.window, out); break;
    default: break;
    }
}

pd_profile_op pd_profile_of(const pd_plan *plan, const pd_step *step, const pd_trace_view *v) {
    const profile p = {.plan = plan, .step = step};
    pd_profile_op out = {.name = v->op->name,
                         .kind = kind_name(v->op),
                         .layer = v->op->layer,
                         .n_rows = v->n_rows,
                         .peak = v->peak,
                         .passes = v->passes,
                         .ns = v->ns};
    add_activations(&p, v->op, &out);
    add_weights(&p, v->op, &out);
    return out;
}

static bool show_op(void *ctx, const pd_trace_view *v) {
    const profile *p = ctx;
    if (v->buf != pd_op_get_access(v->op).writes[0]) return true; /* shown for the second time */
    pd_profile_op out = pd_profile_of(p->plan, p->step, v);
    return p->fn(p->ctx, &out);
}

pd_status pd_profile_step(pd_backend *b, const pd_plan *plan, pd_program *program,
                          const pd_step *step, pd_profile_fn fn, void *ctx, pd_error *err) {
    profile p = {.plan = plan, .step = step, .fn = fn, .ctx = ctx};
    return b->v->trace(program, step, PD_ALL_OPS, show_op, &p, err);
}
