/* Two devices through the same step, operation by operation.
 *
 * Both run an operation; what they wrote is shown; then the reference's result takes the place of
 * the device's, so that the next operation has the same inputs on both and an error does not go on
 * into what follows. The same is done to K and V, which lie in pages: first to those of the
 * positions before the step, then, layer by layer, to those that the step writes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/check.h"

#include <math.h>
#include <string.h>

#include "engine/profile.h"
#include "file/quant.h"

/* What an operation wrote: copies of what trace showed. */
typedef struct written {
    const pd_check_side *side; /* whose */
    uint32_t n;
    struct {
        pd_buf_id buf;
        uint32_t n_rows, width;
        double rounding;
        float *values; /* [n_rows, width] */
    } views[PD_OP_MAX_WRITES];
    pd_profile_op profile;
    bool failed; /* no memory */
} written;

typedef struct check {
    const pd_check_side *side, *reference;
    pd_check_fn fn;
    void *ctx;
    bool go_on;
    uint8_t *pages[2]; /* the device's and the reference's: a page of either kind */
    float *rows[2][2]; /* K and V of all rows of each, [n_rows, n_kv_heads * head_dim] */
    pd_buf_id logits;  /* that a sample operation reads; PD_BUF_NONE: there is none */
    float *drawn_from; /* [n_outs, width of logits] the reference's, once they are computed */
    double logits_rounding;
} check;

/* ---- results -------------------------------------------------------------------------------- */

static bool keep_view(void *ctx, const pd_trace_view *v) {
    written *w = ctx;
    uint64_t n = (uint64_t)v->n_rows * v->width;
    float *values = pd_alloc(n, sizeof *values);
    w->failed = !values;
    if (!values) return false;
    memcpy(values, v->data, n * sizeof *values);
    if (w->n == 0) w->profile = pd_profile_of(w->side->plan, w->side->step, v);
    w->views[w->n].buf = v->buf;
    w->views[w->n].n_rows = v->n_rows;
    w->views[w->n].width = v->width;
    w->views[w->n].rounding = (double)v->rounding;
    w->views[w->n++].values = values;
    return true;
}

static pd_status run_op(const pd_check_side *s, uint32_t i, written *w, pd_error *err) {
    PD_TRY(s->backend->v->trace(s->program, s->step, (pd_op_range){i, i + 1}, keep_view, w, err));
    if (!w->failed) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to check %s", s->plan->ops[i].name);
}

static void free_written(written *w) {
    for (uint32_t i = 0; i < w->n; i++) pd_free(w->views[i].values);
}

static bool has_heads(const pd_op *op) {
    return op->kind == PD_OP_ATTENTION || op->kind == PD_OP_QKV_ROPE_STORE;
}

/* ---- one operation's buffers ---------------------------------------------------------------- */

/* [n_rows, 2] in place of pd_sample_result's words: the drawn ids, by what their logits are on the
 * reference, since a device may find another one the best where the two are closer than the logits
 * need be; and the highest value that it tells. got = expected + the difference, with the row's
 * root mean square in place of expected, so that it counts beside all of them. */
static void take_ids(const check *c, float *got, float *expected, uint32_t n_rows, uint32_t width) {
    uint32_t n_vocab = c->side->plan->bufs[c->logits].width;
    for (uint32_t r = 0; r < n_rows; r++) {
        const float *logits = c->drawn_from + (size_t)r * n_vocab;
        pd_sample_result found, right;
        memcpy(&found, got + (size_t)r * width, sizeof found);
        memcpy(&right, expected + (size_t)r * width, sizeof right);
        double squares = 0;
        for (uint32_t i = 0; i < n_vocab; i++) squares += (double)logits[i] * (double)logits[i];
        double rms = sqrt(squares / n_vocab);
        bool exists = found.id < n_vocab && right.id < n_vocab;
        double apart = exists ? (double)logits[found.id] - (double)logits[right.id] : NAN;
        expected[2 * r] = expected[2 * r + 1] = (float)rms;
        got[2 * r] = (float)(rms + apart);
        got[2 * r + 1] = (float)(rms + (double)found.best_value - (double)right.best_value);
    }
}

static void show_view(check *c, const pd_op *op, const written *got, const written *expected,
                      uint32_t k) {
    const pd_step *step = c->side->step;
    pd_check_op out = {.op = got->profile, .part = "output", .first = step->rows[0].pos};
    if (c->side->plan->bufs[got->views[k].buf].rows_of == PD_ROWS_OUTPUTS)
        out.first = step->rows[step->out_rows[0]].pos;
    out.n_rows = got->views[k].n_rows;
    out.width = got->views[k].width;
    out.rounding = fmax(got->views[k].rounding, expected->views[k].rounding);
    out.got = got->views[k].values;
    out.expected = expected->views[k].values;
    if (k > 0) {
        out.part = "residual";
        out.op.ns = out.op.bytes = 0;
        out.op.flops = 0;
    }
    if (has_heads(op)) out.head_dim = c->side->plan->desc.kv.head_dim;
    if (op->kind == PD_OP_SAMPLE) {
        if (!c->drawn_from) return; /* made by a program of its own */
        take_ids(c, got->views[k].values, expected->views[k].values, out.n_rows, out.width);
        out.part = "token";
        out.width = 2;
        out.rounding = c->logits_rounding;
    }
    c->go_on = c->fn(c->ctx, &out);
}

/* The reference's logits stay for the operation that draws from them. */
static void keep_logits(check *c, written *expected, double rounding) {
    for (uint32_t k = 0; k < expected->n; k++) {
        if (expected->views[k].buf != c->logits) continue;
        pd_free(c->drawn_from);
        c->drawn_from = expected->views[k].values;
        expected->views[k].values = NULL;
        c->logits_rounding = rounding;
    }
}

static pd_status check_views(check *c, const pd_op *op, const written *got, const written *expected,
                             pd_error *err) {
    const pd_check_side *s = c->side;
    for (uint32_t k = 0; k < got->n && c->go_on; k++) {
        show_view(c, op, got, expected, k);
        if (op->kind == PD_OP_SAMPLE) continue; /* nothing reads it */
        uint64_t bytes = 4ull * expected->views[k].n_rows * expected->views[k].width;
        PD_TRY(s->backend->v->write(s->program, got->views[k].buf, 0, bytes,
                                    expected->views[k].values, err));
    }
    return PD_OK;
}

/* ---- K and V -------------------------------------------------------------------------------- */

static uint32_t page_of(const pd_check_side *s, bool global, uint32_t index) {
    const pd_page_table *t = &s->step->tables[0];
    if (index >= t->n_pages) return PD_NO_PAGE;
    return (global ? t->global_pages : t->local_pages)[index];
}

/* Reads the page that both have at that place of their tables; *found: there is one. */
static pd_status read_pages(check *c, bool global, uint32_t index, bool *found, pd_error *err) {
    const pd_check_side *sides[2] = {c->side, c->reference};
    *found = true;
    for (int i = 0; i < 2; i++) *found &= page_of(sides[i], global, index) != PD_NO_PAGE;
    for (int i = 0; i < 2 && *found; i++) {
        pd_backend *b = sides[i]->backend;
        PD_TRY(b->v->kv_read(b, sides[i]->store, global, page_of(sides[i], global, index),
                             c->pages[i], err));
    }
    return PD_OK;
}

static pd_status replace_page(check *c, bool global, uint32_t index, pd_error *err) {
    const pd_check_side *s = c->side;
    return s->backend->v->kv_write(s->backend, s->store, global, page_of(s, global, index),
                                   c->pages[1], err);
}

/* What is in the pages before the step's first position. */
static pd_status replace_past(check *c, pd_error *err) {
    uint32_t n = pd_div_up(c->side->step->rows[0].pos, PD_PAGE_POSITIONS);
    for (uint32_t index = 0; index < n; index++) {
        for (int global = 0; global < 2; global++) {
            bool found;
            if (pd_kv_page_bytes(&c->side->plan->desc.kv, global) == 0) continue;
            PD_TRY(read_pages(c, global, index, &found, err));
            if (found) PD_TRY(replace_page(c, global, index, err));
        }
    }
    return PD_OK;
}

/* Where a layer lies among those of its kind. */
static uint32_t layer_in_page(const pd_kv_shape *kv, uint32_t layer) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < layer; i++) n += kv->layer_is_global[i] == kv->layer_is_global[layer];
    return n;
}

/* K (part 0) or V (1) of a position, all heads behind each other. */
static void take_row(const pd_kv_shape *kv, const uint8_t *page, uint32_t layer, uint32_t part,
                     uint32_t slot, float *out) {
    const uint32_t hd = kv->head_dim, bytes = kv->f32 ? 4 : 2;
    for (uint32_t h = 0; h < kv->n_kv_heads; h++, out += hd) {
        uint64_t row = ((uint64_t)layer * 2 + part) * kv->n_kv_heads + h;
        const uint8_t *from = page + (row * PD_PAGE_POSITIONS + slot) * hd * bytes;
        if (kv->f32)
            memcpy(out, from, hd * sizeof *out);
        else
            for (uint32_t i = 0; i < hd; i++) {
                uint16_t half;
                memcpy(&half, from + 2 * i, sizeof half);
                out[i] = pd_f16_to_f32(half);
            }
    }
}

/* Reads what the step's rows have in their pages, K and V of both sides, and replaces the pages. */
static pd_status read_rows(check *c, uint32_t layer, pd_error *err) {
    const pd_kv_shape *kv = &c->side->plan->desc.kv;
    const pd_step *step = c->side->step;
    const uint32_t width = kv->n_kv_heads * kv->head_dim, in_page = layer_in_page(kv, layer);
    bool global = kv->layer_is_global[layer], found = false;
    for (uint32_t r = 0; r < step->n_rows; r++) {
        uint32_t pos = step->rows[r].pos, slot = pos % PD_PAGE_POSITIONS;
        uint32_t index = pos / PD_PAGE_POSITIONS;
        if (r == 0 || slot == 0) PD_TRY(read_pages(c, global, index, &found, err));
        for (int i = 0; i < 4 && found; i++)
            take_row(kv, c->pages[i % 2], in_page, (uint32_t)i / 2, slot,
                     c->rows[i % 2][i / 2] + (size_t)r * width);
        bool is_last = r + 1 == step->n_rows || slot == PD_PAGE_POSITIONS - 1;
        if (is_last && found) PD_TRY(replace_page(c, global, index, err));
    }
    return PD_OK;
}

static pd_status check_pages(check *c, const pd_op *op, const pd_profile_op *profile,
                             pd_error *err) {
    const pd_kv_shape *kv = &c->side->plan->desc.kv;
    PD_TRY(read_rows(c, op->qkv_rope_store.kv_layer, err));
    for (int part = 0; part < 2 && c->go_on; part++) {
        pd_check_op out = {.op = *profile, .first = c->side->step->rows[0].pos};
        out.op.ns = out.op.bytes = 0;
        out.op.flops = 0;
        out.part = part == 0 ? "K" : "V";
        out.n_rows = c->side->step->n_rows;
        out.width = kv->n_kv_heads * kv->head_dim;
        out.head_dim = kv->head_dim;
        out.rounding = kv->f32 ? 0 : 0x1p-11;
        out.got = c->rows[0][part];
        out.expected = c->rows[1][part];
        c->go_on = c->fn(c->ctx, &out);
    }
    return PD_OK;
}

/* ---- the step ------------------------------------------------------------------------------- */

static pd_status check_op(check *c, uint32_t i, pd_error *err) {
    const pd_op *op = &c->side->plan->ops[i];
    written got = {.side = c->side}, expected = {.side = c->reference};
    pd_status status = run_op(c->reference, i, &expected, err);
    if (status == PD_OK) status = run_op(c->side, i, &got, err);
    if (status == PD_OK) status = check_views(c, op, &got, &expected, err);
    if (status == PD_OK && got.n > 0)
        keep_logits(c, &expected, fmax(got.views[0].rounding, expected.views[0].rounding));
    free_written(&got);
    free_written(&expected);
    if (status == PD_OK && c->go_on && op->kind == PD_OP_QKV_ROPE_STORE)
        status = check_pages(c, op, &got.profile, err);
    return status;
}

/* Rows that the host wrote: images. */
static pd_status replace_inputs(check *c, pd_error *err) {
    const pd_check_side *s = c->side, *ref = c->reference;
    for (uint32_t i = 0; i < s->plan->n_bufs; i++) {
        const pd_buf *b = &s->plan->bufs[i];
        if (b->role != PD_BUF_INPUT || b->rows_of != PD_ROWS_TOKENS) continue;
        uint64_t bytes = 4ull * s->step->n_rows * b->width;
        void *values = pd_alloc(bytes, 1);
        if (!values) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to check %s", b->name);
        pd_status status = ref->backend->v->read(ref->program, (pd_buf_id)i, 0, bytes, values, err);
        if (status == PD_OK)
            status = s->backend->v->write(s->program, (pd_buf_id)i, 0, bytes, values, err);
        pd_free(values);
        PD_TRY(status);
    }
    return PD_OK;
}

static bool have_same_shapes(const pd_plan *a, const pd_plan *b) {
    const pd_kv_shape *k = &a->desc.kv, *l = &b->desc.kv;
    bool same = a->n_ops == b->n_ops && a->n_bufs == b->n_bufs && k->n_layers == l->n_layers &&
                k->n_kv_heads == l->n_kv_heads && k->head_dim == l->head_dim && k->f32 == l->f32;
    for (uint32_t i = 0; same && i < a->n_ops; i++)
        same = strcmp(a->ops[i].name, b->ops[i].name) == 0;
    for (uint32_t i = 0; same && i < a->n_bufs; i++)
        same = a->bufs[i].width == b->bufs[i].width && a->bufs[i].rows_of == b->bufs[i].rows_of;
    for (uint32_t i = 0; same && i < k->n_layers; i++)
        same = k->layer_is_global[i] == l->layer_is_global[i];
    return same;
}

static bool are_alike(const pd_check_side *a, const pd_check_side *b) {
    bool same = a->step->n_rows == b->step->n_rows && a->step->n_outs == b->step->n_outs &&
                a->step->n_seqs == 1 && b->step->n_seqs == 1 && have_same_shapes(a->plan, b->plan);
    for (uint32_t r = 0; same && r < a->step->n_rows; r++)
        same = a->step->rows[r].token == b->step->rows[r].token &&
               a->step->rows[r].pos == b->step->rows[r].pos;
    return same;
}

static pd_buf_id find_logits(const pd_plan *p) {
    for (uint32_t i = 0; i < p->n_ops; i++)
        if (p->ops[i].kind == PD_OP_SAMPLE) return p->ops[i].sample.x;
    return PD_BUF_NONE;
}

static pd_status take_memory(check *c, pd_error *err) {
    const pd_kv_shape *kv = &c->side->plan->desc.kv;
    uint64_t global = pd_kv_page_bytes(kv, true), local = pd_kv_page_bytes(kv, false);
    uint64_t row = (uint64_t)kv->n_kv_heads * kv->head_dim;
    bool complete = true;
    for (int i = 0; i < 2; i++) {
        c->pages[i] = pd_alloc(global > local ? global : local, 1);
        complete &= c->pages[i] != NULL;
        for (int part = 0; part < 2; part++) {
            c->rows[i][part] = pd_alloc(row * c->side->step->n_rows, sizeof *c->rows[i][part]);
            complete &= c->rows[i][part] != NULL;
        }
    }
    return complete ? PD_OK : PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to check a step");
}

pd_status pd_check_step(const pd_check_side *side, const pd_check_side *reference, pd_check_fn fn,
                        void *ctx, pd_error *err) {
    check c = {.side = side, .reference = reference, .fn = fn, .ctx = ctx, .go_on = true};
    if (!are_alike(side, reference))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "what is to be compared has not run the same step");
    c.logits = find_logits(side->plan);
    pd_status status = take_memory(&c, err);
    if (status == PD_OK) status = replace_past(&c, err);
    if (status == PD_OK) status = replace_inputs(&c, err);
    for (uint32_t i = 0; i < side->plan->n_ops && c.go_on && status == PD_OK; i++)
        status = check_op(&c, i, err);
    if (status == PD_OK && !c.go_on)
        status = PD_RAISE(err, PD_ERR_CANCELLED, "a comparison was stopped on request");
    for (int i = 0; i < 2; i++) {
        pd_free(c.pages[i]);
        for (int part = 0; part < 2; part++) pd_free(c.rows[i][part]);
    }
    pd_free(c.drawn_from);
    return status;
}
