/* `peridot inspect A B`: two files setting by setting and tensor by tensor. Tensors are compared by
 * their names and decoded values, so that a file and its quantised copy show what that cost: the
 * root mean square difference relative to A's root mean square, and the worst single difference.
 *
 * The exit code is 0 whatever the answer: it is in the text.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "pack/compare.h"

/* ---- pairs ---------------------------------------------------------------------------------- */

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

/* ---- as text -------------------------------------------------------------------------------- */

/* The number of settings that differ. */
static uint64_t print_settings(const comparison *c) {
    uint64_t n = 0;
    for (uint64_t i = 0; i < pd_gguf_value_count(c->a); i++) {
        const pd_gguf_value *a = pd_gguf_value_at(c->a, i), *b = compare_find_value(c->b, a);
        if (b && compare_values_same(a, b)) continue;
        inspect_print_value("- ", a);
        if (b) inspect_print_value("+ ", b);
        n++;
    }
    for (uint64_t i = 0; i < pd_gguf_value_count(c->b); i++) {
        const pd_gguf_value *b = pd_gguf_value_at(c->b, i);
        if (compare_find_value(c->a, b)) continue;
        inspect_print_value("+ ", b);
        n++;
    }
    return n;
}

static void print_pair(const compare_tensor *t) {
    char a_bytes[32], b_bytes[32];
    if (!t->a || !t->b) {
        const pd_tensor *only = t->a ? t->a : t->b;
        printf("%s %-36s %-5s %s\n", t->a ? "-" : "+", only->name,
               pd_type_name((uint32_t)only->type), pd_size_text(only->n_bytes, a_bytes));
        return;
    }
    printf("  %-36s %-5s %-5s", t->a->name, pd_type_name((uint32_t)t->a->type),
           pd_type_name((uint32_t)t->b->type));
    if (t->same_shape) {
        const compare_sums *s = &t->sums;
        printf(" %10.3g %10.3g at %-10" PRIu64, compare_rms(s), s->worst, s->worst_at);
    } else {
        printf(" another shape: %" PRIu64 " x %" PRIu64 " and %" PRIu64 " x %" PRIu64 " ",
               t->a->ne[1], t->a->ne[0], t->b->ne[1], t->b->ne[0]);
    }
    printf(" %s, %s\n", pd_size_text(t->a->n_bytes, a_bytes), pd_size_text(t->b->n_bytes, b_bytes));
}

static void print_text(const comparison *c) {
    uint64_t n = 0;
    printf("- %s\n+ %s\n\nsettings that differ\n", pd_gguf_path(c->a), pd_gguf_path(c->b));
    uint64_t n_settings = print_settings(c);
    if (n_settings == 0) printf("  none\n");
    for (uint64_t i = 0; i < c->n_tensors; i++) n += !compare_is_same(&c->tensors[i]);
    printf("\ntensors that differ\n");
    if (n > 0) printf("  %-36s %-5s %-5s %10s %10s\n", "", "-", "+", "rms / rms", "worst");
    for (uint64_t i = 0; i < c->n_tensors; i++)
        if (!compare_is_same(&c->tensors[i])) print_pair(&c->tensors[i]);
    if (n == 0) printf("  none\n");
    printf("\n%s: %" PRIu64 " settings and %" PRIu64 " of %" PRIu64 " tensors differ\n",
           n_settings + n == 0 ? "equal" : "different", n_settings, n, c->n_tensors);
}

pd_status inspect_compare(const cli_options *o, const char *a, const char *b, pd_error *err) {
    comparison c = {.n_threads = cli_u32(o, OPT_THREADS)};
    cli_interrupt_install();
    pd_status status = pd_gguf_open(a, &c.a, err);
    if (status == PD_OK) status = pd_gguf_open(b, &c.b, err);
    if (status == PD_OK) status = pair_tensors(&c, err);
    if (status == PD_OK) status = compare_read(&c, err);
    if (status == PD_OK && cli_given(o, OPT_JSON)) {
        status = compare_print_json(&c, err);
    } else if (status == PD_OK) {
        print_text(&c);
    }
    pd_free(c.tensors);
    pd_gguf_close(c.a);
    pd_gguf_close(c.b);
    return status;
}
