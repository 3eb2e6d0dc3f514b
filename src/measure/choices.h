/* Multiple choice, as lm-evaluation-harness scores it.
 *
 * An item is a line of JSON: {"query": "...", "choices": [" one", " two"], "gold": 1}. A choice's
 * score is the sum of ln P of the tokens that it adds to the query's, blanks at the query's end
 * counted to the choice, since a vocabulary has its words with the blank before them. The answer is
 * the choice of the highest score, or of the highest score per byte ("normalised"): long choices
 * are improbable for their length alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MEASURE_CHOICES_H
#define PD_MEASURE_CHOICES_H

#include "peridot_measure.h"

enum { PD_MAX_CHOICES = 64 };

typedef struct pd_choice_score {
    double log_prob;
    uint32_t n_ids, first; /* ids[first + 1 ..] are the choice's */
    size_t n_bytes;        /* of the choice */
} pd_choice_score;

/* Gets every choice: its number, whether it is the right one, the ids of query and choice. */
typedef pd_status (*pd_choice_fn)(void *ctx, uint32_t choice, bool gold,
                                  const pd_choice_score *score, const uint32_t *ids, pd_error *err);

typedef struct pd_choices {
    const pd_model *model;
    pd_session *session; /* with all_logits */
    uint32_t n_ctx;      /* of the session */
    pd_choice_fn fn;     /* NULL: nobody is told */
    void *fn_ctx;
    pd_progress_fn progress; /* gets the bytes behind each line; false: CANCELLED; may be NULL */
    void *progress_ctx;
    uint32_t n_items, n_choices, n_right, n_right_normalised; /* so far */
    uint32_t *ids;                                            /* [n_ctx] scratch during the call */
    float *log_probs;                                         /* [n_ctx] the same */
} pd_choices;

/* Scores the item of each line of a text, empty ones aside, and counts them. Errors: FORMAT (no
 * item; names the line), ARGUMENT (a choice without a token, an item longer than n_ctx, no item at
 * all), MEMORY_HOST, CANCELLED, those of the session and of fn. */
pd_status pd_choices_score(pd_choices *c, const char *text, size_t n_bytes, pd_error *err);

typedef struct pd_share {
    double share, error; /* its standard error */
} pd_share;
pd_share pd_share_of(uint32_t n, uint32_t all); /* all > 0 */

#endif
