/* See divergence.h.  SPDX-License-Identifier: MIT */
#include "engine/divergence.h"

#include <math.h>
#include <stdbool.h>

pd_divergence pd_divergence_none(void) {
    return (pd_divergence){.max_a = -INFINITY, .max_b = -INFINITY};
}

static void raise_a(pd_divergence *d, double max, uint32_t best) {
    double scale = exp(d->max_a - max);
    d->sum_a *= scale;
    d->difference *= scale;
    d->max_a = max;
    d->best_a = best;
}

static void raise_b(pd_divergence *d, double max, uint32_t best) {
    d->sum_b *= exp(d->max_b - max);
    d->max_b = max;
    d->best_b = best;
}

void pd_divergence_add(pd_divergence *d, uint32_t id, double a, double b) {
    if (a > d->max_a) raise_a(d, a, id);
    if (b > d->max_b) raise_b(d, b, id);
    double e = exp(a - d->max_a);
    d->sum_a += e;
    d->difference += e * (a - b);
    d->sum_b += exp(b - d->max_b);
}

static bool is_before(double value, uint32_t id, double other, uint32_t other_id) {
    return value > other || (value == other && id < other_id);
}

void pd_divergence_merge(pd_divergence *d, pd_divergence from) {
    if (from.sum_a == 0) return; /* nothing was added */
    if (d->sum_a == 0) {
        *d = from;
        return;
    }
    if (is_before(from.max_a, from.best_a, d->max_a, d->best_a))
        raise_a(d, from.max_a, from.best_a);
    else
        raise_a(&from, d->max_a, d->best_a);
    if (is_before(from.max_b, from.best_b, d->max_b, d->best_b))
        raise_b(d, from.max_b, from.best_b);
    else
        raise_b(&from, d->max_b, d->best_b);
    d->sum_a += from.sum_a;
    d->difference += from.difference;
    d->sum_b += from.sum_b;
}

double pd_divergence_log_sum_a(const pd_divergence *d) {
    return d->max_a + log(d->sum_a);
}

double pd_divergence_log_sum_b(const pd_divergence *d) {
    return d->max_b + log(d->sum_b);
}

double pd_divergence_kl(const pd_divergence *d) {
    return d->difference / d->sum_a - pd_divergence_log_sum_a(d) + pd_divergence_log_sum_b(d);
}
