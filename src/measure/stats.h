/* Figures of a list of values.  SPDX-License-Identifier: MIT */
#ifndef PD_MEASURE_STATS_H
#define PD_MEASURE_STATS_H

#include <stdint.h>

typedef struct pd_stats {
    double mean, rms;
    double stddev; /* of the values, by n - 1; 0 of a single one */
    double error;  /* of the mean: stddev / sqrt(n) */
} pd_stats;

/* The i-th value of what ctx points to. */
typedef double (*pd_value_fn)(const void *ctx, uint32_t i);

pd_stats pd_stats_of(pd_value_fn value, const void *ctx, uint32_t n); /* n > 0 */
/* The smallest value that such a share of the n does not exceed; sorted: ascending. */
double pd_quantile(const double *sorted, uint32_t n, double share);
void pd_sort_doubles(double *values, uint32_t n);

#endif
