/* A profile as a table. Percentages of time are of the operations' sum. The sum is more than a step
 * takes, since each operation is waited for before the next one starts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/commands.h"

/* Share of the memory's speed: of what it reads, where that was measured. */
static double memory_percent(const pd_device_speed *speed, const pd_profile_kind *k) {
    return speed->read_gb_s > 0 ? pd_profile_read_percent(speed, k)
                                : pd_profile_copy_percent(speed, k);
}

static void print_speed(const pd_device_speed *s) {
    if (s->read_gb_s > 0) {
        fprintf(stderr, "the device reads %.2f GB/s", s->read_gb_s);
    } else {
        fprintf(stderr, "the device copies %.2f GB/s", s->copy_gb_s);
    }
    for (int i = 0; i < PD_PEAK_COUNT; i++)
        if (s->gflop_s[i] > 0)
            fprintf(stderr, ", %s %.2f GFLOP/s", pd_peak_name((pd_peak)i), s->gflop_s[i]);
    fprintf(stderr, "; dispatches in %.2f us\n", s->dispatch_us);
}

static void print_kind(const pd_device_speed *speed, const pd_profile_kind *k, uint64_t total_ns) {
    double ns = (double)k->ns;
    fprintf(stderr, "  %-12s %4u %10.3f ms %5.1f %%", k->name, k->n_ops, ns / 1e6,
            100.0 * ns / (double)(total_ns ? total_ns : 1));
    if (k->ns)
        fprintf(stderr, " %9.2f GB/s %5.1f %%", (double)k->bytes / ns, memory_percent(speed, k));
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
    fprintf(stderr, "%s, operation by operation: %.3f ms; ", what, cli_ms(p->total_ns));
    print_speed(s);
    bool cached = false;
    for (uint32_t i = 0; i < p->n; i++) {
        print_kind(s, &p->kinds[i], p->total_ns);
        cached |= memory_percent(s, &p->kinds[i]) > 100;
    }
    pd_profile_kind sum = pd_profile_sum(p);
    print_kind(s, &sum, p->total_ns);
    if (cached) fprintf(stderr, "  above 100 %%: out of caches, which are faster than memory\n");
}
