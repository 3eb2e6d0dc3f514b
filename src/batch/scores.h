/* Log-probabilities of a sequence's rows: each of the token that follows it, and of the most
 * probable ones there. They stay with the sequence, so that who shares its pages need not compute
 * them again.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BATCH_SCORES_H
#define PD_BATCH_SCORES_H

#include "engine/context.h"

typedef struct pd_scores {
    uint32_t n,
        n_max; /* rows that are known; row n - 1's may be of a token that nobody asked for */
    uint32_t n_vocab, n_top; /* n_top 0: the most probable one alone */
    float *log_probs;        /* [n_max] of the token that follows the row */
    uint32_t *best;          /* [n_max] */
    float *best_log_probs;   /* [n_max] */
    pd_log_prob *top;        /* [n_max, n_top] */
} pd_scores;

/* Errors: MEMORY_HOST. */
pd_status pd_scores_create(pd_scores *s, uint32_t n_rows, uint32_t n_vocab, uint32_t n_top,
                           pd_error *err);
void pd_scores_destroy(pd_scores *s); /* all zero is allowed */
/* The first n rows of `from`, which has as many and as many most probable ones. */
void pd_scores_copy(pd_scores *s, const pd_scores *from, uint32_t n);

/* For a step that computes rows from s->n on, of a text of n tokens. */
pd_score pd_scores_want(pd_scores *s, uint32_t n);
/* The step has computed them up to end. */
void pd_scores_take(pd_scores *s, uint32_t end);
/* The token behind a row: fills in token.log_prob for token.id, and the most probable ones in its
 * place, n_max at most; returns how many. A token that is among them has one and the same number.
 */
uint32_t pd_scores_get(const pd_scores *s, uint32_t row, pd_log_prob *token, pd_log_prob *top,
                       uint32_t n_max);

#endif
