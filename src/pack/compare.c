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
#include "pack/setting.h"

/* Root of the mean square difference over that of a; 0 when they are equal. */
static double relative_rms(const compare_sums *s) {
    if (s->n_differ == 0) return 0;
    return s->sum_a_sq > 0 ? sqrt(s->sum_diff_sq / s->sum_a_sq) : (double)INFINITY;
}

static bool values_same(const pd_gguf_value *a, const pd_gguf_value *b) {
    return a->kind == b->kind && (a->kind != PD_GGUF_ARRAY || a->item_kind == b->item_kind) &&
           a->count == b->count && a->n_bytes == b->n_bytes &&
           memcmp(a->data, b->data, (size_t)a->n_bytes) == 0;
}

/* The setting of that key in the other file, or NULL. */
static const pd_gguf_value *find_value(const pd_gguf *g, const pd_gguf_value *v) {
    for (uint64_t i = 0; i < pd_gguf_value_count(g); i++) {
        const pd_gguf_value *other = pd_gguf_value_at(g, i);
        if (other->key.n == v->key.n && memcmp(other->key.data, v->key.data, v->key.n) == 0)
            return other;
    }
    return NULL;
}

static bool is_same(const compare_tensor *t) {
    return t->a && t->b && t->same_shape && t->sums.same_bytes;
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

static pd_status compare_files(comparison *c, pd_error *err) {
    PD_TRY(pair_tensors(c, err));
    return compare_read(c, err);
}

static void compare_free(comparison *c) {
    pd_free(c->tensors);
    pd_gguf_close(c->a);
    pd_gguf_close(c->b);
}

/* ---- the report ----------------------------------------------------------------------------- */

typedef struct report {
    pd_comparison out; /* first: pd_comparison_free gets a pointer to it */
    comparison in;
    pd_compared_tensor *tensors;
    pd_compared_setting *settings;
    pd_arena arena; /* of the settings */
} report;

static pd_compared_tensor report_tensor(const compare_tensor *t) {
    const compare_sums *s = &t->sums;
    pd_compared_tensor out = {.name = (t->a ? t->a : t->b)->name,
                              .type_a = t->a ? pd_type_name((uint32_t)t->a->type) : NULL,
                              .type_b = t->b ? pd_type_name((uint32_t)t->b->type) : NULL,
                              .n_bytes_a = t->a ? t->a->n_bytes : 0,
                              .n_bytes_b = t->b ? t->b->n_bytes : 0,
                              .same_shape = t->same_shape,
                              .same_bytes = is_same(t),
                              .n_values = s->n,
                              .n_differ = s->n_differ,
                              .rms = t->same_shape ? relative_rms(s) : 0,
                              .worst = s->worst,
                              .worst_at = s->worst_at};
    for (int i = 0; i < PD_GGUF_MAX_DIMS; i++) {
        if (t->a) out.shape_a[i] = t->a->ne[PD_GGUF_MAX_DIMS - 1 - i];
        if (t->b) out.shape_b[i] = t->b->ne[PD_GGUF_MAX_DIMS - 1 - i];
    }
    return out;
}

/* a, b: NULL where the file lacks it */
static bool report_setting(report *r, const pd_gguf_value *a, const pd_gguf_value *b) {
    if (a && b && values_same(a, b)) return true;
    pd_compared_setting *s = &r->settings[r->out.n_settings_differ++];
    s->key = pack_setting_key(a ? a : b, &r->arena);
    return s->key && (!a || pack_setting(a, &r->arena, &s->a)) &&
           (!b || pack_setting(b, &r->arena, &s->b));
}

/* Those of a in its order, then those of b alone. */
static pd_status report_settings(report *r, pd_error *err) {
    const pd_gguf *a = r->in.a, *b = r->in.b;
    uint64_t n_a = pd_gguf_value_count(a), n_b = pd_gguf_value_count(b);
    r->out.settings = r->settings = pd_arena_alloc(&r->arena, n_a + n_b, sizeof *r->settings);
    bool good = r->settings != NULL;
    for (uint64_t i = 0; good && i < n_a; i++)
        good = report_setting(r, pd_gguf_value_at(a, i), find_value(b, pd_gguf_value_at(a, i)));
    for (uint64_t i = 0; good && i < n_b; i++)
        if (!find_value(a, pd_gguf_value_at(b, i)))
            good = report_setting(r, NULL, pd_gguf_value_at(b, i));
    return good ? PD_OK : PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a list");
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
    return report_settings(r, err);
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
    pd_arena_destroy(&r->arena);
    pd_free(r->tensors);
    pd_free(r);
}
