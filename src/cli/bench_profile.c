/* `peridot bench --profile`: where a test's last step went, by kind of operation, on standard
 * error.
 *
 * Percentages are of the operations' sum. The sum is more than a step takes, since each operation
 * is waited for before the next one starts.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "cli/bench.h"

enum { MAX_ROWS = 32 };

static void print_row(const pd_profile_row *r, uint64_t total_ns) {
    double ns = (double)r->ns;
    fprintf(stderr, "  %-12s %4u %10.3f ms %5.1f %%", r->op, r->n_ops, ns / 1e6,
            100.0 * ns / (double)(total_ns ? total_ns : 1));
    if (r->bytes && r->ns) fprintf(stderr, " %9.2f GB/s", (double)r->bytes / ns);
    if (r->flops > 0 && r->ns) fprintf(stderr, " %10.2f GFLOP/s", r->flops / ns);
    fputc('\n', stderr);
}

pd_status bench_print_profile(pd_session *session, const char *test_name, pd_error *err) {
    pd_profile_row rows[MAX_ROWS];
    uint32_t n = 0;
    uint64_t total_ns = 0;
    PD_TRY(pd_session_profile(session, rows, MAX_ROWS, &n, err));
    if (n > MAX_ROWS) n = MAX_ROWS;
    for (uint32_t i = 0; i < n; i++) total_ns += rows[i].ns;
    fprintf(stderr, "last step of %s, operation by operation: %.3f ms\n", test_name,
            (double)total_ns / 1e6);
    for (uint32_t i = 0; i < n; i++) print_row(&rows[i], total_ns);
    return PD_OK;
}
