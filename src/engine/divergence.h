/* Two distributions over the same ids, given by their logits: their Kullback-Leibler divergence in
 * one pass over the ids, in any order and in pieces.
 *
 *     p = softmax(a), q = softmax(b)
 *     KL(p || q) = sum_i p_i (a_i - b_i) - log sum_i exp a_i + log sum_i exp b_i
 *
 * All sums of exponentials are in double over a running maximum.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_ENGINE_DIVERGENCE_H
#define PD_ENGINE_DIVERGENCE_H

#include <stdint.h>

typedef struct pd_divergence {
    double max_a, sum_a; /* sum of exp(a - max_a) */
    double difference;   /* sum of exp(a - max_a) (a - b) */
    double max_b, sum_b;
    uint32_t best_a, best_b; /* the lowest id where values are equal, if ids ascend */
} pd_divergence;

pd_divergence pd_divergence_none(void);
void pd_divergence_add(pd_divergence *d, uint32_t id, double a, double b);
/* What was added to `from` is in d as well. */
void pd_divergence_merge(pd_divergence *d, pd_divergence from);
/* In nats; NaN or infinite when a logit was. */
double pd_divergence_kl(const pd_divergence *d);
double pd_divergence_log_sum_a(const pd_divergence *d); /* log sum_i exp a_i */
double pd_divergence_log_sum_b(const pd_divergence *d);

#endif
