/* `peridot inspect A B`: two files setting by setting and tensor by tensor. Tensors are compared by
 * their names and decoded values, so that a file and its quantised copy show what that cost: the
 * root mean square difference relative to A's root mean square, and the worst single difference.
 *
 * The exit code is 0 whatever the answer: it is in the text.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>

#include "cli/inspect/compare.h"

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
    cli_progress bar;
    const pd_files_work work = cli_work_begin(o, "comparing", &bar);
    comparison c = {.work = &work};
    pd_status status = pd_gguf_open(a, &c.a, err);
    if (status == PD_OK) status = pd_gguf_open(b, &c.b, err);
    if (status == PD_OK) status = compare_files(&c, err);
    cli_progress_end(&bar);
    if (status == PD_OK && cli_given(o, OPT_JSON)) {
        status = compare_print_json(&c, err);
    } else if (status == PD_OK) {
        print_text(&c);
    }
    compare_free(&c);
    return status;
}
