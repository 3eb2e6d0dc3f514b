/* What scores come to.  SPDX-License-Identifier: MIT */
#include <math.h>

#include "base/memory.h"
#include "measure/score.h"

static const pd_score_item *item_at(const void *items, uint32_t i) {
    return (const pd_score_item *)items + i;
}
static double nll(const void *items, uint32_t i) {
    return -(double)item_at(items, i)->log_prob;
}
static double reference_nll(const void *items, uint32_t i) {
    return -(double)item_at(items, i)->reference_log_prob;
}
static double nll_change(const void *items, uint32_t i) {
    return nll(items, i) - reference_nll(items, i);
}
static double is_best(const void *items, uint32_t i) {
    return item_at(items, i)->id == item_at(items, i)->best;
}
static double same_best(const void *items, uint32_t i) {
    return item_at(items, i)->best == item_at(items, i)->reference_best;
}
static double kl(const void *items, uint32_t i) {
    return item_at(items, i)->kl;
}
static double probability_change(const void *items, uint32_t i) {
    return exp(-nll(items, i)) - exp(-reference_nll(items, i));
}

static pd_perplexity perplexity_of(pd_value_fn value, const pd_score_item *items, uint32_t n) {
    pd_stats s = pd_stats_of(value, items, n);
    return (pd_perplexity){.value = exp(s.mean), .error = exp(s.mean) * s.error, .nll = s};
}

static void find_quantiles(const pd_score_item *items, uint32_t n, double *out) {
#define QUANTILE_SHARE(share, name, key) share,
    static const double shares[PD_SCORE_N_QUANTILES] = {PD_SCORE_QUANTILES(QUANTILE_SHARE)};
#undef QUANTILE_SHARE
    double *sorted = pd_alloc(n, sizeof *sorted);
    for (uint32_t i = 0; sorted && i < n; i++) sorted[i] = items[i].kl;
    if (sorted) pd_sort_doubles(sorted, n);
    for (uint32_t q = 0; q < PD_SCORE_N_QUANTILES; q++)
        out[q] = sorted ? pd_quantile(sorted, n, shares[q]) : (double)NAN;
    pd_free(sorted);
}

pd_score_summary pd_score_summarise(const pd_score_item *items, uint32_t n, bool has_reference) {
    pd_score_summary s = {.perplexity = perplexity_of(nll, items, n),
                          .is_best = pd_stats_of(is_best, items, n)};
    if (!has_reference) return s;
    s.reference = perplexity_of(reference_nll, items, n);
    s.ratio = perplexity_of(nll_change, items, n);
    s.same_best = pd_stats_of(same_best, items, n);
    s.kl = pd_stats_of(kl, items, n);
    s.probability_change = pd_stats_of(probability_change, items, n);
    find_quantiles(items, n, s.kl_quantiles);
    return s;
}
