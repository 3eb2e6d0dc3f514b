/* A grammar for the tokens of a vocabulary, followed by any number of answers.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_GRAMMAR_H
#define PD_GRAMMAR_GRAMMAR_H

#include "grammar/token_masks.h"
#include "peridot_grammar.h"

/* The tree is kept. Errors: as pd_grammar_create. */
pd_status pd_grammar_make(const pd_token_tree *t, pd_grammar_kind kind, const char *text, size_t n,
                          pd_grammar **out, pd_error *err);
void pd_grammar_free(pd_grammar *g);

/* Words of a mask of all tokens: what pd_sample_params.mask has. */
uint32_t pd_grammar_mask_words(const pd_grammar *g);
/* Whether anything may follow: then no mask is needed any more. Errors: MEMORY_HOST. */
pd_status pd_grammar_is_free(pd_grammar *g, const pd_grammar_place *place, bool *out,
                             pd_error *err);
/* The tokens that may follow. n_left: how many are left for the answer, this one included and the
 * one that ends it; UINT32_MAX: it has no end. Errors: ARGUMENT (the answer has ended, or is too
 * ambiguous), MEMORY_HOST, UNSUPPORTED (no token of the vocabulary goes on). */
pd_status pd_grammar_get_mask(pd_grammar *g, const pd_grammar_place *place, uint32_t n_left,
                              uint32_t *words, pd_error *err);
/* A token was drawn. Errors: ARGUMENT (it may not follow), MEMORY_HOST. */
pd_status pd_grammar_take(pd_grammar *g, pd_grammar_place *place, uint32_t id, pd_error *err);
/* What a step takes of what is forced, beside the token before it. */
enum { PD_MAX_FORCED = 63 };
/* Tokens that follow whatever the model says: up to n_max that write what alone may come next.
 * What might be written in another way together with what follows is left out. */
pd_status pd_grammar_get_forced(pd_grammar *g, const pd_grammar_place *place, uint32_t *ids,
                                uint32_t n_max, uint32_t *n, pd_error *err);

#endif
