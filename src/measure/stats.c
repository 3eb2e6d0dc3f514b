/* See stats.h.  SPDX-License-Identifier: MIT */
#include "measure/stats.h"

#include <math.h>
#include <stdlib.h>

pd_stats pd_stats_of(pd_value_fn value, const void *ctx, uint32_t n) {
    double sum = 0, squares = 0, deviations = 0;
    for (uint32_t i = 0; i < n; i++) {
        double v = value(ctx, i);
        sum += v;
        squares += v * v;
    }
    double mean = sum / n;
    for (uint32_t i = 0; i < n; i++) deviations += pow(value(ctx, i) - mean, 2);
    double variance = n > 1 ? deviations / (n - 1) : 0;
    return (pd_stats){.mean = mean,
                      .rms = sqrt(squares / n),
                      .stddev = sqrt(variance),
                      .error = sqrt(variance / n)};
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void pd_sort_doubles(double *values, uint32_t n) {
    qsort(values, n, sizeof *values, compare_doubles);
}

double pd_quantile(const double *sorted, uint32_t n, double share) {
    uint32_t rank = (uint32_t)ceil(share * n);
    return sorted[rank > 0 ? rank - 1 : 0];
}
