/* Drawing the next token from logits.
 *
 * Order of the filters: temperature, top-k, top-p, min-p (peridot.h has the settings). Equal logits
 * go by lower id everywhere. Ids that are never text are never drawn: 262144 and above (padding),
 * and in a full vocabulary the image markers 255999 and 256000.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SAMPLE_SAMPLER_H
#define PD_SAMPLE_SAMPLER_H

#include "base/error.h"

/* Working memory of draws, made once; one draw at a time may use it. */
typedef struct pd_sampler_scratch pd_sampler_scratch;

pd_status pd_sampler_scratch_create(uint32_t n_vocab, pd_sampler_scratch **out, pd_error *err);
void pd_sampler_scratch_destroy(pd_sampler_scratch *scratch); /* NULL is allowed */

/* Draws from logits [n_vocab]; n_vocab is at most the scratch's. Nothing is allocated. A greedy
 * sampler (temp 0) does not advance the counter. Errors: NUMERIC (a NaN or +infinity, or no finite
 * logit at all; -infinity means never), ARGUMENT (n_vocab too large). */
pd_status pd_sampler_draw(pd_sampler *s, pd_sampler_scratch *scratch, const float *logits,
                          uint32_t n_vocab, uint32_t *id, pd_error *err);

/* Is this id one that a sampler may draw from a vocabulary of this size? */
bool pd_sampler_may_draw(uint32_t id, uint32_t n_vocab);

/* The generator: Philox 4x32 with 10 rounds, out = philox(counter, key). */
void pd_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
