/* Two files setting by setting and tensor by tensor. Tensors are compared by their names and
 * decoded values, so that a file and its quantised copy show what that cost: the root mean square
 * difference relative to A's root mean square, and the worst single difference.
 *
 * SPDX-License-Identifier: MIT
 */
#include "pack/compare.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

double compare_rms(const compare_sums *s) {
    if (s->n_differ == 0) return 0;
    return s->sum_a_sq > 0 ? sqrt(s->sum_diff_sq / s->sum_a_sq) : (double)INFINITY;
}

bool compare_values_same(const pd_gguf_value *a, const pd_gguf_value *b) {
    return a->kind == b->kind && (a->kind != PD_GGUF_ARRAY || a->item_kind == b->item_kind) &&
           a->count == b->count && a->n_bytes == b->n_bytes &&
           memcmp(a->data, b->data, (size_t)a->n_bytes) == 0;
}

const pd_gguf_value *compare_find_value(const pd_gguf *g, const pd_gguf_value *v) {
    for (uint64_t i = 0; i < pd_gguf_value_count(g); i++) {
        const pd_gguf_value *other = pd_gguf_value_at(g, i);
        if (other->key.n == v->key.n && memcmp(other->key.data, v->key.data, v->key.n) == 0)
            return other;
    }
    return NULL;
}

static bool shapes_equal(const pd_tensor *a, const pd_tensor *b) {
    return memcmp(a->ne, b->ne, sizeof a->ne) == 0;
}

static pd_status pair_tensors(comparison *c, pd_error *err) {
    uint64_t n_a = pd_gguf_tensor_count(c->a), n_b = pd_gguf_tensor_count(c->b);
    c->tensors = pd_alloc(n_a + n_b, sizeof *c->tensors);
    if (!c->tensors) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a list");
    for (uint64_t i = 0; i < n_a; i++) {
        compare_tensor *t = &c->tensors[c->n_tensors++];
        t->a = pd_gguf_tensor_at(c->a, i);
        t->b = pd_gguf_find_tensor(c->b, t->a->name);
        t->same_shape = t->b && shapes_equal(t->a, t->b);
    }
    for (uint64_t i = 0; i < n_b; i++) {
        const pd_tensor *b = pd_gguf_tensor_at(c->b, i);
        if (!pd_gguf_find_tensor(c->a, b->name)) c->tensors[c->n_tensors++].b = b;
    }
    return PD_OK;
}

pd_status compare_files(comparison *c, pd_error *err) {
    PD_TRY(pair_tensors(c, err));
    return compare_read(c, err);
}

void compare_free(comparison *c) {
    pd_free(c->tensors);
    pd_gguf_close(c->a);
    pd_gguf_close(c->b);
}

/* ---- for others ----------------------------------------------------------------------------- */

typedef struct report {
    pd_comparison out; /* first: pd_comparison_free gets a pointer to it */
    comparison in;
    pd_compared_tensor *tensors;
} report;

static pd_compared_tensor report_tensor(const compare_tensor *t) {
    const compare_sums *s = &t->sums;
    return (pd_compared_tensor){.name = (t->a ? t->a : t->b)->name,
                                .type_a = t->a ? pd_type_name((uint32_t)t->a->type) : NULL,
                                .type_b = t->b ? pd_type_name((uint32_t)t->b->type) : NULL,
                                .n_bytes_a = t->a ? t->a->n_bytes : 0,
                                .n_bytes_b = t->b ? t->b->n_bytes : 0,
                                .same_shape = t->same_shape,
                                .same_bytes = compare_is_same(t),
                                .n_values = s->n,
                                .n_differ = s->n_differ,
                                .rms = t->same_shape ? compare_rms(s) : 0,
                                .worst = s->worst,
                                .worst_at = s->worst_at};
}

static uint64_t count_settings(const comparison *c) {
    uint64_t n = 0;
    for (uint64_t i = 0; i < pd_gguf_value_count(c->a); i++) {
        const pd_gguf_value *a = pd_gguf_value_at(c->a, i), *b = compare_find_value(c->b, a);
        n += !b || !compare_values_same(a, b);
    }
    for (uint64_t i = 0; i < pd_gguf_value_count(c->b); i++)
        n += !compare_find_value(c->a, pd_gguf_value_at(c->b, i));
    return n;
}

static pd_status make_report(report *r, const char *a, const char *b, pd_error *err) {
    PD_TRY(pd_gguf_open(a, &r->in.a, err));
    PD_TRY(pd_gguf_open(b, &r->in.b, err));
    PD_TRY(compare_files(&r->in, err));
    r->tensors = pd_alloc(r->in.n_tensors, sizeof *r->tensors);
    if (!r->tensors) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a list");
    for (uint64_t i = 0; i < r->in.n_tensors; i++) {
        r->tensors[i] = report_tensor(&r->in.tensors[i]);
        r->out.n_tensors_differ += !r->tensors[i].same_bytes;
    }
    r->out.tensors = r->tensors;
    r->out.n_tensors = r->in.n_tensors;
    r->out.n_settings_differ = count_settings(&r->in);
    return PD_OK;
}

pd_status pd_files_compare(const char *a, const char *b, const pd_files_work *work,
                           pd_comparison **out, pd_error *err) {
    static const pd_files_work none;
    PD_NEED(err, out);
    *out = NULL;
    PD_NEED(err, a);
    PD_NEED(err, b);
    report *r = pd_alloc(1, sizeof *r);
    if (!r) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a list");
    r->in.work = work ? work : &none;
    pd_status status = make_report(r, a, b, err);
    if (status == PD_OK)
        *out = &r->out;
    else
        pd_comparison_free(&r->out);
    return status;
}

void pd_comparison_free(pd_comparison *c) {
    report *r = (report *)c;
    if (!r) return;
    compare_free(&r->in);
    pd_free(r->tensors);
    pd_free(r);
}
