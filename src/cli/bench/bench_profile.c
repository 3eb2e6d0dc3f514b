/* `peridot bench --profile` and `--trace`: where a test's last step went.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/bench/bench.h"

typedef struct taking {
    pd_kind_profile *profile;
    pd_trace *trace;
} taking;

static bool take_op(void *ctx, const pd_profile_op *op) {
    taking *t = ctx;
    pd_profile_add(t->profile, op);
    if (t->trace) pd_trace_add(t->trace, op);
    return !cli_interrupted();
}

pd_status bench_take_profile(bench_context *c, pd_session *session, bench_row *row, pd_error *err) {
    char name[64];
    pd_bench_name(&row->test, name);
    row->profile = (pd_kind_profile){0};
    taking t = {&row->profile, c->trace};
    if (c->trace) pd_trace_begin(c->trace, name);
    PD_TRY(pd_session_profile(session, take_op, &t, err));
    if (cli_interrupted()) return PD_RAISE(err, PD_ERR_CANCELLED, "stopped on request");
    return PD_OK;
}

void bench_print_profile(const bench_context *c, const bench_row *row) {
    char name[64], what[96];
    pd_bench_name(&row->test, name);
    snprintf(what, sizeof what, "last step of %s", name);
    cli_print_profile(&row->profile, &c->speed, what);
}
