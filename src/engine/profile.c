/* Where a step's time goes: the last step again, operation by operation.
 *
 * Bytes and multiply-adds are what an operation cannot do without: each weight read once, K and V
 * of every visible position once, its input and output rows once. A prompt's rows share weights and
 * pages.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "engine/session.h"

typedef struct profile {
    const pd_session *session;
    pd_profile_fn fn;
    void *ctx;
} profile;

/* "l03.gate_up" -> "gate_up" */
static const char *kind_name(const pd_op *op) {
    const char *dot = op->layer >= 0 ? strchr(op->name, '.') : NULL;
    return dot ? dot + 1 : op->name;
}

static uint32_t value_bytes(const pd_session *s) {
    return s->desc.precision == PD_PRECISION_EXACT ? 4 : 2;
}

static void add_activations(const profile *p, const pd_op *op, pd_profile_op *out) {
    const pd_buf *bufs = p->session->last_stage->plan.bufs;
    const pd_step *step = &p->session->last_step;
    pd_op_access a = pd_op_get_access(op);
    const pd_buf_id ids[] = {a.reads[0], a.reads[1], a.writes[0], a.writes[1]};
    for (int i = 0; i < 4; i++) {
        if (ids[i] == PD_BUF_NONE) continue;
        const pd_buf *b = &bufs[ids[i]];
        uint64_t rows =
            b->rows_of == PD_ROWS_TOKENS && op->kind != PD_OP_GATHER ? step->n_rows : step->n_outs;
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
    const pd_session *s = p->session;
    const pd_config *c = &s->model->config;
    const pd_step_row *rows = s->last_step.rows;
    uint32_t n = s->last_step.n_rows, first = rows[0].pos;
    uint32_t begin = window && first + 1 > window ? first + 1 - window : 0;
    out->bytes += 2ull * (rows[n - 1].end - begin) * c->n_kv_heads * c->head_dim * value_bytes(s);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t seen = window && rows[i].end > window ? window : rows[i].end;
        out->flops += 4.0 * seen * c->n_heads * c->head_dim;
    }
}

static void add_weights(const profile *p, const pd_op *op, pd_profile_op *out) {
    const pd_config *c = &p->session->model->config;
    switch (op->kind) {
    case PD_OP_EMBED:
        out->bytes += out->n_rows * (op->embed.table->n_bytes / op->embed.table->ne[1]);
        break;
    case PD_OP_MATMUL: add_matmul(&op->matmul, out); break;
    case PD_OP_QKV_ROPE_STORE:
        out->bytes += 2ull * out->n_rows * c->n_kv_heads * c->head_dim * value_bytes(p->session);
        break;
    case PD_OP_ATTENTION: add_attention(p, op->attention.window, out); break;
    default: break;
    }
}

static bool show_op(void *ctx, const pd_trace_view *v) {
    const profile *p = ctx;
    if (v->buf != pd_op_get_access(v->op).writes[0]) return true; /* shown for the second time */
    pd_profile_op out = {.name = v->op->name,
                         .kind = kind_name(v->op),
                         .layer = v->op->layer,
                         .n_rows = v->n_rows,
                         .ns = v->ns};
    add_activations(p, v->op, &out);
    add_weights(p, v->op, &out);
    return p->fn(p->ctx, &out);
}

pd_status pd_session_profile(pd_session *s, pd_profile_fn fn, void *ctx, pd_error *err) {
    uint32_t length = pd_kv_length(s->kv, 0), n = s->last_step.n_rows;
    if (!s->last_stage || n == 0 || length != s->last_step.rows[n - 1].pos + 1)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the session has no last step to profile");
    profile p = {.session = s, .fn = fn, .ctx = ctx};
    pd_page_table table = pd_kv_table(s->kv, 0);
    pd_step step = s->last_step;
    step.tables = &table;
    return s->model->backend->v->trace(s->last_stage->program, &step, show_op, &p, err);
}
