/* Log-probabilities of the next token, by the logits as they are.  SPDX-License-Identifier: MIT */
#ifndef PD_SAMPLE_LOG_PROBS_H
#define PD_SAMPLE_LOG_PROBS_H

#include "base/error.h"

/* The logarithm of the sum of all exp(logits[i]), in double. */
double pd_log_sum_exp(const float *logits, uint32_t n);

/* The most probable ones of those that can be drawn, best first, equal ones by id; returns how many
 * there are, at most n_max <= PD_MAX_TOP_LOG_PROBS. */
uint32_t pd_top_log_probs(const float *logits, uint32_t n_vocab, double log_sum, uint32_t n_max,
                          pd_log_prob *top);

#endif
