/* See profile.h. Percentages of time are of the operations' sum. The sum is more than a step takes,
 * since each operation is waited for before the next one starts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/profile.h"

#include <string.h>

/* The row of that name, made when it is new; NULL when there is no room for it. */
static cli_profile_kind *find_kind(cli_profile *p, const char *name) {
    for (uint32_t i = 0; i < p->n; i++)
        if (!strcmp(p->kinds[i].name, name)) return &p->kinds[i];
    if (p->n == CLI_MAX_KINDS) return NULL;
    cli_profile_kind *k = &p->kinds[p->n++];
    snprintf(k->name, sizeof k->name, "%s", name);
    return k;
}

void cli_profile_add(cli_profile *p, const pd_profile_op *op) {
    cli_profile_kind *k = find_kind(p, op->kind);
    p->total_ns += op->ns;
    if (!k) return;
    k->n_ops++;
    k->ns += op->ns;
    k->bytes += op->bytes;
    k->flops += op->flops;
}

double cli_copy_percent(const pd_device_speed *speed, const cli_profile_kind *k) {
    double at_best_ns = speed->copy_gb_s > 0 ? (double)k->bytes / speed->copy_gb_s : 0;
    return k->ns ? 100 * at_best_ns / (double)k->ns : 0;
}

double cli_peak_percent(const pd_device_speed *speed, const cli_profile_kind *k) {
    double peak = speed->gflop_s[speed->best];
    return k->ns && peak > 0 ? 100 * k->flops / peak / (double)k->ns : 0;
}

static void print_kind(const pd_device_speed *speed, const cli_profile_kind *k, uint64_t total_ns) {
    double ns = (double)k->ns;
    fprintf(stderr, "  %-12s %4u %10.3f ms %5.1f %%", k->name, k->n_ops, ns / 1e6,
            100.0 * ns / (double)(total_ns ? total_ns : 1));
    if (k->ns)
        fprintf(stderr, " %9.2f GB/s %5.1f %%", (double)k->bytes / ns, cli_copy_percent(speed, k));
    if (k->flops > 0 && k->ns)
        fprintf(stderr, " %10.2f GFLOP/s %5.1f %%", k->flops / ns, cli_peak_percent(speed, k));
    fputc('\n', stderr);
}

void cli_profile_print(const cli_profile *p, const pd_device_speed *s, const char *what) {
    fflush(stdout);
    fprintf(stderr,
            "%s, operation by operation: %.3f ms; the device copies %.2f GB/s, does %.2f GFLOP/s "
            "(%s), dispatches in %.2f us\n",
            what, (double)p->total_ns / 1e6, s->copy_gb_s, s->gflop_s[s->best],
            pd_peak_name(s->best), s->dispatch_us);
    bool cached = false;
    cli_profile_kind sum = {.name = "all", .ns = p->total_ns};
    for (uint32_t i = 0; i < p->n; i++) {
        print_kind(s, &p->kinds[i], p->total_ns);
        cached |= cli_copy_percent(s, &p->kinds[i]) > 100;
        sum.n_ops += p->kinds[i].n_ops;
        sum.bytes += p->kinds[i].bytes;
        sum.flops += p->kinds[i].flops;
    }
    print_kind(s, &sum, p->total_ns);
    if (cached) fprintf(stderr, "  above 100 %%: out of caches, which are faster than memory\n");
}
