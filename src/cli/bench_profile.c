/* `peridot bench --profile`: where a test's last step went, by kind of operation.
 *
 * Percentages of time are of the operations' sum. The sum is more than a step takes, since each
 * operation is waited for before the next one starts.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "cli/bench.h"

/* ---- taking --------------------------------------------------------------------------------- */

typedef struct taking {
    bench_profile *profile;
    bench_trace *trace;
} taking;

/* The row of that name, made when it is new; NULL when there is no room for it. */
static bench_kind *find_kind(bench_profile *p, const char *name) {
    for (uint32_t i = 0; i < p->n; i++)
        if (!strcmp(p->kinds[i].name, name)) return &p->kinds[i];
    if (p->n == BENCH_MAX_KINDS) return NULL;
    bench_kind *k = &p->kinds[p->n++];
    snprintf(k->name, sizeof k->name, "%s", name);
    return k;
}

static bool take_op(void *ctx, const pd_profile_op *op) {
    taking *t = ctx;
    bench_kind *k = find_kind(t->profile, op->kind);
    t->profile->total_ns += op->ns;
    if (k) {
        k->n_ops++;
        k->ns += op->ns;
        k->bytes += op->bytes;
        k->flops += op->flops;
    }
    if (t->trace) bench_trace_add(t->trace, op);
    return true;
}

pd_status bench_take_profile(bench_context *c, pd_session *session, bench_row *row, pd_error *err) {
    char name[64];
    bench_test_name(row, name);
    row->profile = (bench_profile){0};
    taking t = {&row->profile, c->trace};
    if (c->trace) bench_trace_begin(c->trace, name);
    return pd_session_profile(session, take_op, &t, err);
}

/* ---- showing -------------------------------------------------------------------------------- */

double bench_copy_percent(const bench_context *c, const bench_kind *k) {
    double at_best_ns = c->speed.copy_gb_s > 0 ? (double)k->bytes / c->speed.copy_gb_s : 0;
    return k->ns ? 100 * at_best_ns / (double)k->ns : 0;
}

double bench_peak_percent(const bench_context *c, const bench_kind *k) {
    double peak = c->speed.gflop_s[c->speed.best];
    return k->ns && peak > 0 ? 100 * k->flops / peak / (double)k->ns : 0;
}

static void print_kind(const bench_context *c, const bench_kind *k, uint64_t total_ns) {
    double ns = (double)k->ns;
    fprintf(stderr, "  %-12s %4u %10.3f ms %5.1f %%", k->name, k->n_ops, ns / 1e6,
            100.0 * ns / (double)(total_ns ? total_ns : 1));
    if (k->ns)
        fprintf(stderr, " %9.2f GB/s %5.1f %%", (double)k->bytes / ns, bench_copy_percent(c, k));
    if (k->flops > 0 && k->ns)
        fprintf(stderr, " %10.2f GFLOP/s %5.1f %%", k->flops / ns, bench_peak_percent(c, k));
    fputc('\n', stderr);
}

void bench_print_profile(const bench_context *c, const bench_row *row) {
    const bench_profile *p = &row->profile;
    const pd_device_speed *s = &c->speed;
    char name[64];
    bench_test_name(row, name);
    fflush(stdout);
    fprintf(stderr,
            "last step of %s, operation by operation: %.3f ms; the device copies %.2f GB/s, does "
            "%.2f GFLOP/s (%s), dispatches in %.2f us\n",
            name, (double)p->total_ns / 1e6, s->copy_gb_s, s->gflop_s[s->best],
            pd_peak_name(s->best), s->dispatch_us);
    for (uint32_t i = 0; i < p->n; i++) print_kind(c, &p->kinds[i], p->total_ns);
}
