/* See nonfinite.h.  SPDX-License-Identifier: MIT */
#include "engine/nonfinite.h"

#include <math.h>
#include <stdio.h>

typedef struct nonfinite_search {
    char op[32];
} nonfinite_search;

static bool stop_at_nonfinite(void *ctx, const pd_trace_view *v) {
    nonfinite_search *search = ctx;
    if (v->op->kind == PD_OP_SAMPLE) return true; /* words, not values */
    const float *x = v->data;
    for (uint64_t i = 0; i < (uint64_t)v->n_rows * v->width; i++) {
        if (isfinite(x[i])) continue;
        snprintf(search->op, sizeof search->op, "%s", v->op->name);
        return false;
    }
    return true;
}

pd_status pd_raise_nonfinite(pd_backend *b, pd_program *p, const pd_step *step, const char *result,
                             const char *what, pd_error *err) {
    nonfinite_search search;
    snprintf(search.op, sizeof search.op, "%s", result);
    PD_TRY(b->v->trace(p, step, PD_ALL_OPS, stop_at_nonfinite, &search, err));
    return PD_RAISE(err, PD_ERR_NUMERIC, "operation %s made a NaN or an infinity on %s, %s",
                    search.op, b->v->info(b)->name, what);
}
