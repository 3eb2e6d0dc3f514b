/* What operations may be off by, the list of them, and what a comparison comes to.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "measure/compare.h"

/* Sums in 32-bit floats make 1e-10 at most of inputs with random signs (tests/ops); values that
 * are rounded relative to the largest of 32, each by up to u of that, make 32 u^2 at most, when one
 * of them stands for all of the 32. K and V have no scale in common, and two that round alike
 * differ by one unit at most, where what is rounded lies close to the middle between two halves.
 * Between two tokens of which a device finds the wrong one the best lie two logits' errors, which
 * may each be some times as large as the root of the mean square: 64 times of the square.
 * All that counts relative to what is summed; where large parts cancel each other out, as a trained
 * model's may, the sum is smaller: up to eight times here. */
double pd_compare_bound(const pd_check_op *op) {
    bool is_page = op->part[0] == 'K' || op->part[0] == 'V', is_token = op->part[0] == 't';
    const double sums = 1e-10, rounding = op->rounding * op->rounding;
    return (is_token ? 512 : 8) * (sums + (is_page ? rounding : 32 * rounding));
}

/* What the classes promise of the logits: docs/precision.md. */
static double promised_error(pd_precision precision) {
    return precision == PD_PRECISION_EXACT ? 1e-3 : precision == PD_PRECISION_F16 ? 1e-2 : 3e-2;
}

/* A new entry at the end; NULL: no memory. */
static pd_compare_op *add_entry(pd_compare_ops *ops) {
    if (ops->n == ops->cap) {
        uint32_t cap = ops->cap ? 2 * ops->cap : 256;
        pd_compare_op *list = pd_alloc(cap, sizeof *list);
        if (!list) return NULL;
        if (ops->n) memcpy(list, ops->list, ops->n * sizeof *list);
        pd_free(ops->list);
        ops->list = list;
        ops->cap = cap;
    }
    return &ops->list[ops->n++];
}

static pd_compare_op *entry_of(pd_compare_ops *ops, const pd_check_op *op, bool is_image) {
    for (uint32_t i = 0; i < ops->n; i++) {
        pd_compare_op *e = &ops->list[i];
        if (e->is_image == is_image && !strcmp(e->name, op->op.name) && !strcmp(e->part, op->part))
            return e;
    }
    pd_compare_op *e = add_entry(ops);
    if (!e) return NULL;
    *e = (pd_compare_op){.layer = op->op.layer, .is_image = is_image, .head_dim = op->head_dim};
    snprintf(e->name, sizeof e->name, "%s", op->op.name);
    snprintf(e->kind, sizeof e->kind, "%s", op->op.kind);
    snprintf(e->part, sizeof e->part, "%s", op->part);
    e->bound = pd_compare_bound(op);
    return e;
}

bool pd_compare_ops_add(pd_compare_ops *ops, const pd_check_op *op, bool is_image) {
    pd_compare_op *e = entry_of(ops, op, is_image);
    if (!e) return false;
    pd_deviation d = pd_deviation_of(op->got, op->expected, op->n_rows, op->width);
    double bound =
        pd_compare_bound(op); /* a device may compute few rows in another way than many */
    if (d.row_nmse / bound <= e->deviation.row_nmse / e->bound) return true;
    e->deviation = d;
    e->bound = bound;
    e->first = op->first;
    return true;
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
