/* Drawing the next token from logits, on the host: the definition that devices follow.
 *
 * The arithmetic is shaders/sampling.h's; here are the settings in the form that it works with, and
 * the steps of a draw over an array of candidates. Ids that are never text are never candidates:
 * 262144 and above (padding), and the image markers 255999 and 256000; nor are values that are not
 * finite, nor ids that a mask leaves out.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_PLAN_SAMPLE_H
#define PD_PLAN_SAMPLE_H

#include <stdbool.h>

#include "base/error.h"
#include "sampling.h"

/* How one token is sampled. As the shaders see it, nine words (PD_SAMPLE_K and what follows). */
typedef struct pd_sample_params {
    uint32_t k;     /* candidates: the k highest, at most PD_SAMPLE_MAX_K; 0 or 1: the highest */
    float scale;    /* pd_sample_scale(temp) */
    uint32_t top_p; /* in units of 2^-32; 0: off */
    uint32_t min_p; /* in units of 2^-31 */
    uint64_t seed, counter;
    /* [PD_SAMPLE_END / 32], of which a smaller vocabulary's are read: bit i % 32 of word i / 32 is
     * set where token i may be drawn. NULL: all may. Lives until the step has run. */
    const uint32_t *mask;
} pd_sample_params;

/* What a sample operation says of a row of logits, as the shaders write it. A mask is for the drawn
 * id alone: the rest tells of the logits as they are. PD_SAMPLE_NO_ID: there is no candidate. */
typedef struct pd_sample_result {
    uint32_t best; /* id of the highest value, of those that are ever drawn */
    float best_value;
    uint32_t n_nonfinite; /* values that are not finite */
    uint32_t id;          /* drawn; the best where the step does not say how */
} pd_sample_result;

float pd_sample_scale(float temp); /* temp > 0 */
uint32_t pd_sample_top_p(float p); /* 0 and 1: off */
uint32_t pd_sample_min_p(float p); /* 0 to 1 */
uint32_t pd_sample_random(uint64_t seed, uint64_t counter);

bool pd_sample_may(uint32_t id, uint32_t n_vocab); /* may this id ever be drawn? */
/* Of one that may: does a mask let it? NULL does. */
static inline bool pd_sample_is_in(const uint32_t *mask, uint32_t id) {
    return !mask || (mask[id / 32] >> id % 32 & 1) != 0;
}
/* Errors: NUMERIC, always: there is no candidate. */
pd_status pd_sample_raise_none(pd_error *err);

typedef struct pd_candidate {
    uint32_t key, id; /* pd_sample_key of the logit */
    uint32_t weight;
} pd_candidate;

/* All candidates by id, without weights; returns how many. */
uint32_t pd_candidates_all(pd_candidate *items, const float *logits, uint32_t n_vocab,
                           const uint32_t *mask);
/* The k highest, best first, without weights; items: [k]. */
uint32_t pd_candidates_top_k(pd_candidate *items, const float *logits, uint32_t n_vocab,
                             const uint32_t *mask, uint32_t k);
void pd_candidates_weigh(pd_candidate *items, uint32_t n, uint32_t highest_key, float scale);
/* The next two leave their survivors in front and return how many; at least one survives. */
uint32_t pd_candidates_top_p(pd_candidate *sorted, uint32_t n, uint32_t top_p);
uint32_t pd_candidates_min_p(pd_candidate *items, uint32_t n, uint32_t min_p);
/* Sorts the best that top-p can need to the front of items in any order: returns how many. */
uint32_t pd_candidates_sort_for_top_p(pd_candidate *items, uint32_t n, uint32_t top_p);
uint32_t pd_candidates_pick(const pd_candidate *items, uint32_t n, uint32_t random);

/* A whole draw; PD_SAMPLE_NO_ID when there is no candidate. */
uint32_t pd_sample_token(const pd_sample_params *d, const float *logits, uint32_t n_vocab);

#endif
