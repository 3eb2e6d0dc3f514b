/* Where a step's time goes: the last step again, operation by operation.
 *
 * Bytes and multiply-adds are what an operation cannot do without: each weight read once, K and V
 * of every visible position once. A prompt's rows share both.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "engine/session.h"

typedef struct profile {
    const pd_session *session;
    pd_profile_row *rows;
    uint32_t cap, n;
} profile;

/* "l03.gate_up" -> "gate_up" */
static const char *kind_name(const pd_op *op) {
    const char *dot = op->layer >= 0 ? strchr(op->name, '.') : NULL;
    return dot ? dot + 1 : op->name;
}

/* The row of that name, made when it is new; NULL when there is no room for it. */
static pd_profile_row *find_row(profile *p, const char *name) {
    uint32_t stored = p->n < p->cap ? p->n : p->cap;
    for (uint32_t i = 0; i < stored; i++)
        if (!strcmp(p->rows[i].op, name)) return &p->rows[i];
    if (p->n++ >= p->cap) return NULL;
    pd_profile_row *row = &p->rows[p->n - 1];
    *row = (pd_profile_row){0};
    snprintf(row->op, sizeof row->op, "%s", name);
    return row;
}

static void add_matmul(const pd_op_matmul *m, uint32_t n_rows, pd_profile_row *row) {
    for (uint32_t i = 0; i < m->n_weights; i++) {
        const pd_tensor *w = m->weights[i];
        row->bytes += w->n_bytes;
        row->flops += 2.0 * (double)w->ne[0] * (double)w->ne[1] * n_rows;
    }
}

static void add_attention(const profile *p, uint32_t window, pd_profile_row *row) {
    const pd_session *s = p->session;
    const pd_config *c = &s->model->config;
    const pd_step_row *rows = s->last_step.rows;
    uint32_t value_bytes = s->desc.precision == PD_PRECISION_EXACT ? 4 : 2;
    uint32_t n = s->last_step.n_rows, first = rows[0].pos;
    uint32_t begin = window && first + 1 > window ? first + 1 - window : 0;
    row->bytes += 2ull * (rows[n - 1].end - begin) * c->n_kv_heads * c->head_dim * value_bytes;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t seen = window && rows[i].end > window ? window : rows[i].end;
        row->flops += 4.0 * seen * c->n_heads * c->head_dim;
    }
}

static bool add_view(void *ctx, const pd_trace_view *v) {
    profile *p = ctx;
    if (v->buf != pd_op_get_access(v->op).writes[0]) return true; /* shown for the second time */
    pd_profile_row *row = find_row(p, kind_name(v->op));
    if (!row) return true;
    row->n_ops++;
    row->ns += v->ns;
    if (v->op->kind == PD_OP_MATMUL) add_matmul(&v->op->matmul, v->n_rows, row);
    if (v->op->kind == PD_OP_ATTENTION) add_attention(p, v->op->attention.window, row);
    return true;
}

pd_status pd_session_profile(pd_session *s, pd_profile_row *rows, uint32_t cap, uint32_t *n_rows,
                             pd_error *err) {
    *n_rows = 0;
    uint32_t length = pd_kv_length(s->kv, 0), n = s->last_step.n_rows;
    if (!s->last_stage || n == 0 || length != s->last_step.rows[n - 1].pos + 1)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the session has no last step to profile");
    profile p = {.session = s, .rows = rows, .cap = cap};
    pd_page_table table = pd_kv_table(s->kv, 0);
    pd_step step = s->last_step;
    step.tables = &table;
    PD_TRY(s->model->backend->v->trace(s->last_stage->program, &step, add_view, &p, err));
    *n_rows = p.n;
    return PD_OK;
}
