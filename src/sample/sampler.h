/* Drawing the next token from logits.
 *
 * Order: bias and penalties (adjust.c), temperature, top-k, top-p, min-p; peridot.h has the
 * settings. Equal logits go by lower id everywhere. Ids that are never text are never drawn
 * (plan/sample.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SAMPLE_SAMPLER_H
#define PD_SAMPLE_SAMPLER_H

#include "base/error.h"
#include "plan/sample.h"

/* Working memory of draws, made once; one draw at a time may use it. */
typedef struct pd_sampler_scratch {
    uint32_t n_max;
    uint32_t *counts; /* [n_max] how often a token was seen; all zero between draws */
    float *adjusted;  /* [n_max] */
    uint32_t *mask;   /* of a grammar: pd_sampler_mask_words */
    pd_candidate items[];
} pd_sampler_scratch;

pd_status pd_sampler_scratch_create(uint32_t n_vocab, pd_sampler_scratch **out, pd_error *err);
void pd_sampler_scratch_destroy(pd_sampler_scratch *scratch); /* NULL is allowed */

/* What pd_sampler_init refuses, for a sampler that did not come from it, and a bias of an id that
 * is not below n_vocab. */
pd_status pd_sampler_check(const pd_sampler_desc *desc, uint32_t n_vocab, pd_error *err);

/* ---- grammars -------------------------------------------------------------------------------- */

/* Room for a mask of all tokens. */
uint32_t pd_sampler_mask_words(uint32_t n_vocab);
/* The tokens that may follow in the sampler's grammar; *mask: words, or NULL where there is none.
 * n_left: tokens that are left for the answer, UINT32_MAX: there is no end. Errors: as
 * pd_grammar_get_mask. */
pd_status pd_sampler_get_mask(const pd_sampler *s, uint32_t n_left, uint32_t *words,
                              const uint32_t **mask, pd_error *err);
/* Whether there is a grammar that still has something to say. */
bool pd_sampler_is_bound(const pd_sampler *s);
/* A token was drawn: the grammar goes on behind it. */
pd_status pd_sampler_take(pd_sampler *s, uint32_t id, pd_error *err);

/* ---- drawing --------------------------------------------------------------------------------- */

/* Whether there is a bias or a penalty. */
bool pd_sampler_adjusts(const pd_sampler_desc *desc);
/* The logits with bias and penalties, for pd_sampler_pick: the scratch's, or `logits` where nothing
 * is to be adjusted. ids [n_ids]: the sequence so far, PD_TOKEN_EMBEDDED where an image's row is.
 * Finite logits stay so, but for tokens that are forbidden. */
const float *pd_sampler_adjust(const pd_sampler_desc *desc, pd_sampler_scratch *scratch,
                               const float *logits, uint32_t n_vocab, const uint32_t *ids,
                               uint32_t n_ids);

/* Draws from logits [n_vocab]; n_vocab is at most the scratch's. mask: pd_sample_params', NULL: all
 * may be drawn. Nothing is allocated. A greedy sampler (temp 0) does not advance the counter.
 * Errors: NUMERIC (a NaN or +infinity, masked or not, or no finite logit of those that may be
 * drawn; -infinity means never), ARGUMENT (n_vocab too large). */
pd_status pd_sampler_pick(pd_sampler *s, pd_sampler_scratch *scratch, const float *logits,
                          uint32_t n_vocab, const uint32_t *mask, uint32_t *id, pd_error *err);

/* The sampler's next draw in the form that devices take, without a mask. False: they do not draw
 * like that, because the candidates are too many (top_k 0, or above PD_SAMPLE_MAX_K) or their
 * logits are adjusted. */
bool pd_sampler_to_params(const pd_sampler *s, pd_sample_params *out);

/* The generator: Philox 4x32 with 10 rounds, out = philox(counter, key). */
void pd_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
