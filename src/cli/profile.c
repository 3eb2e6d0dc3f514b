/* A profile as a table. Percentages of time are of the operations' sum. The sum is more than a step
 * takes, since each operation is waited for before the next one starts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/commands.h"

static void print_kind(const pd_device_speed *speed, const pd_profile_kind *k, uint64_t total_ns) {
    double ns = (double)k->ns;
    fprintf(stderr, "  %-12s %4u %10.3f ms %5.1f %%", k->name, k->n_ops, ns / 1e6,
            100.0 * ns / (double)(total_ns ? total_ns : 1));
    if (k->ns)
        fprintf(stderr, " %9.2f GB/s %5.1f %%", (double)k->bytes / ns,
                pd_profile_copy_percent(speed, k));
    if (k->flops > 0 && k->ns)
        fprintf(stderr, " %10.2f GFLOP/s %5.1f %%", k->flops / ns,
                pd_profile_peak_percent(speed, k));
    fputc('\n', stderr);
}

bool cli_profile_add(void *ctx, const pd_profile_op *op) {
    cli_profile *p = ctx;
    pd_profile_add(p->kinds, op);
    if (p->trace) pd_trace_add(p->trace, op);
    return !cli_interrupted();
}

void cli_print_profile(const pd_kind_profile *p, const pd_device_speed *s, const char *what) {
    fflush(stdout);
    fprintf(stderr,
            "%s, operation by operation: %.3f ms; the device copies %.2f GB/s, does %.2f GFLOP/s "
            "(%s), dispatches in %.2f us\n",
            what, cli_ms(p->total_ns), s->copy_gb_s, s->gflop_s[s->best], pd_peak_name(s->best),
            s->dispatch_us);
    bool cached = false;
    for (uint32_t i = 0; i < p->n; i++) {
        print_kind(s, &p->kinds[i], p->total_ns);
        cached |= pd_profile_copy_percent(s, &p->kinds[i]) > 100;
    }
    pd_profile_kind sum = pd_profile_sum(p);
    print_kind(s, &sum, p->total_ns);
    if (cached) fprintf(stderr, "  above 100 %%: out of caches, which are faster than memory\n");
}
