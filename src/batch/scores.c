/* See scores.h.  SPDX-License-Identifier: MIT */
#include "batch/scores.h"

#include <string.h>

#include "base/memory.h"
#include "sample/log_probs.h"

pd_status pd_scores_create(pd_scores *s, uint32_t n_rows, uint32_t n_vocab, uint32_t n_top,
                           pd_error *err) {
    *s = (pd_scores){.n_max = n_rows, .n_vocab = n_vocab, .n_top = n_top > 1 ? n_top : 0};
    s->log_probs = pd_alloc(n_rows, sizeof *s->log_probs);
    s->best = pd_alloc(n_rows, sizeof *s->best);
    s->best_log_probs = pd_alloc(n_rows, sizeof *s->best_log_probs);
    if (s->n_top) s->top = pd_alloc((size_t)n_rows * s->n_top, sizeof *s->top);
    if (s->log_probs && s->best && s->best_log_probs && (s->top || !s->n_top)) return PD_OK;
    pd_scores_destroy(s);
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for log-probabilities of %u tokens",
                    n_rows);
}

void pd_scores_destroy(pd_scores *s) {
    pd_free(s->log_probs);
    pd_free(s->best);
    pd_free(s->best_log_probs);
    pd_free(s->top);
    *s = (pd_scores){0};
}

void pd_scores_copy(pd_scores *s, const pd_scores *from, uint32_t n) {
    memcpy(s->log_probs, from->log_probs, n * sizeof *s->log_probs);
    memcpy(s->best, from->best, n * sizeof *s->best);
    memcpy(s->best_log_probs, from->best_log_probs, n * sizeof *s->best_log_probs);
    for (uint32_t i = 0; i < n && s->n_top; i++)
        memcpy(s->top + (size_t)i * s->n_top, from->top + (size_t)i * from->n_top,
               s->n_top * sizeof *s->top);
    s->n = n;
}

/* The most probable ones of rows pos ..., as logits: what to subtract is known behind the step. */
static pd_status take_logits(void *ctx, uint32_t pos, uint32_t n, const float *logits,
                             pd_error *err) {
    const pd_scores *s = ctx;
    (void)err;
    for (uint32_t i = 0; i < n; i++) {
        pd_log_prob *top = s->top + (size_t)(pos + i) * s->n_top;
        uint32_t n_found =
            pd_top_log_probs(logits + (size_t)i * s->n_vocab, s->n_vocab, 0, s->n_top, top);
        while (n_found < s->n_top) top[n_found++] = (pd_log_prob){PD_SAMPLE_NO_ID, 0};
    }
    return PD_OK;
}

pd_score pd_scores_want(pd_scores *s, uint32_t n) {
    return (pd_score){.first = s->n,
                      .n = n,
                      .fn = s->n_top ? take_logits : NULL,
                      .fn_ctx = s,
                      .log_probs = s->log_probs + s->n,
                      .best = s->best + s->n,
                      .best_log_probs = s->best_log_probs + s->n};
}

void pd_scores_take(pd_scores *s, uint32_t end) {
    for (uint32_t row = s->n; row < end && s->n_top; row++) {
        pd_log_prob *top = s->top + (size_t)row * s->n_top;
        float log_sum = top[0].log_prob - s->best_log_probs[row];
        for (uint32_t i = 0; i < s->n_top; i++) top[i].log_prob -= log_sum;
    }
    s->n = end;
}

uint32_t pd_scores_get(const pd_scores *s, uint32_t row, pd_log_prob *token, pd_log_prob *top,
                       uint32_t n_max) {
    uint32_t n = s->n_top ? s->n_top : 1;
    if (n > n_max) n = n_max;
    token->log_prob = s->log_probs[row];
    if (!s->n_top && n) top[0] = (pd_log_prob){s->best[row], s->best_log_probs[row]};
    if (s->n_top) memcpy(top, s->top + (size_t)row * s->n_top, n * sizeof *top);
    while (n > 0 && top[n - 1].id == PD_SAMPLE_NO_ID) n--;
    for (uint32_t i = 0; i < n; i++)
        if (top[i].id == token->id) top[i].log_prob = token->log_prob;
    return n;
}
