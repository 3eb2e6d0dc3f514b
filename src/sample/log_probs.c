/* See log_probs.h.  SPDX-License-Identifier: MIT */
#include "sample/log_probs.h"

#include <assert.h>
#include <math.h>

#include "plan/sample.h"

double pd_log_sum_exp(const float *logits, uint32_t n) {
    double highest = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < n; i++) highest = fmax(highest, (double)logits[i]);
    for (uint32_t i = 0; i < n; i++) sum += exp((double)logits[i] - highest);
    return highest + log(sum);
}

uint32_t pd_top_log_probs(const float *logits, uint32_t n_vocab, double log_sum, uint32_t n_max,
                          pd_log_prob *top) {
    pd_candidate items[PD_MAX_TOP_LOG_PROBS];
    assert(n_max <= PD_MAX_TOP_LOG_PROBS);
    uint32_t n = n_max ? pd_candidates_top_k(items, logits, n_vocab, NULL, n_max) : 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = items[i].id;
        top[i] = (pd_log_prob){id, (float)((double)logits[id] - log_sum)};
    }
    return n;
}
