/* What a device may be off by, and what a comparison comes to.  SPDX-License-Identifier: MIT */
#include <math.h>

#include "measure/compare.h"

/* Sums in 32-bit floats make 1e-10 at most of inputs with random signs (tests/ops); values that
 * are rounded relative to the largest of 32, each by up to u of that, make 32 u^2 at most, when one
 * of them stands for all of the 32. K and V have no scale in common, and two that round alike
 * differ by one unit at most, where what is rounded lies close to the middle between two halves.
 * All that counts relative to what is summed; where large parts cancel each other out, as a trained
 * model's may, the sum is smaller: up to eight times here. */
double pd_compare_bound(const pd_check_op *op) {
    bool is_page = op->part[0] == 'K' || op->part[0] == 'V';
    const double sums = 1e-10, rounding = op->rounding * op->rounding;
    return 8 * (sums + (is_page ? rounding : 32 * rounding));
}

/* What the classes promise of the logits: docs/precision.md. */
static double promised_error(pd_precision precision) {
    return precision == PD_PRECISION_EXACT ? 1e-3 : precision == PD_PRECISION_F16 ? 1e-2 : 3e-2;
}

const pd_compare_op *pd_compare_first_fault(const pd_compare_ops *ops) {
    for (uint32_t i = 0; i < ops->n; i++)
        if (!pd_compare_op_holds(&ops->list[i])) return &ops->list[i];
    return NULL;
}

pd_compare_summary pd_compare_summarise(const pd_compare_forced *f, pd_precision precision) {
    pd_compare_summary s = {.error_bound = promised_error(precision)};
    double nll = 0, reference_nll = 0, error = 0, squares = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        const pd_compare_position *p = &f->list[i];
        error += p->error;
        squares += p->squares;
        s.kl_mean += p->kl / f->n;
        s.kl_max = fmax(s.kl_max, p->kl);
        s.same_best += p->best == p->id ? 1.0 / f->n : 0;
        s.worst_rank = p->rank > s.worst_rank ? p->rank : s.worst_rank;
        s.change = fmax(s.change, p->change);
        nll -= p->log_prob / f->n;
        reference_nll -= p->reference_log_prob / f->n;
    }
    s.error = squares > 0 ? sqrt(error / squares) : 0;
    s.perplexity = exp(nll);
    s.reference_perplexity = exp(reference_nll);
    return s;
}
