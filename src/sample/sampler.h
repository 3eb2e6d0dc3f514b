/* Drawing the next token from logits.
 *
 * Order of the filters: temperature, top-k, top-p, min-p (peridot.h has the settings). Equal logits
 * go by lower id everywhere. Ids that are never text are never drawn (plan/sample.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SAMPLE_SAMPLER_H
#define PD_SAMPLE_SAMPLER_H

#include "base/error.h"
#include "plan/sample.h"

/* Working memory of draws, made once; one draw at a time may use it. */
typedef struct pd_sampler_scratch pd_sampler_scratch;

pd_status pd_sampler_scratch_create(uint32_t n_vocab, pd_sampler_scratch **out, pd_error *err);
void pd_sampler_scratch_destroy(pd_sampler_scratch *scratch); /* NULL is allowed */

/* What pd_sampler_init refuses, for a sampler that did not come from it. */
pd_status pd_sampler_check(const pd_sampler_desc *desc, pd_error *err);

/* Draws from logits [n_vocab]; n_vocab is at most the scratch's. Nothing is allocated. A greedy
 * sampler (temp 0) does not advance the counter. Errors: NUMERIC (a NaN or +infinity, or no finite
 * logit at all; -infinity means never), ARGUMENT (n_vocab too large). */
pd_status pd_sampler_pick(pd_sampler *s, pd_sampler_scratch *scratch, const float *logits,
                          uint32_t n_vocab, uint32_t *id, pd_error *err);

/* The sampler's next draw in the form that devices take. False: they do not draw like that, because
 * the candidates are too many (top_k 0, or above PD_SAMPLE_MAX_K). */
bool pd_sampler_to_params(const pd_sampler *s, pd_sample_params *out);

/* The generator: Philox 4x32 with 10 rounds, out = philox(counter, key). */
void pd_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
