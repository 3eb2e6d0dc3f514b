/* Which tokens may follow in a state of an automaton: exactly those whose characters the automaton
 * takes.
 *
 * The masks of the states asked for last are kept. Where the answer must come to its end in few
 * tokens, only tokens are allowed behind which the end is near enough.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_TOKEN_MASKS_H
#define PD_GRAMMAR_TOKEN_MASKS_H

#include "grammar/automaton.h"
#include "grammar/token_tree.h"

typedef struct pd_token_masks pd_token_masks;

#define PD_NO_LIMIT UINT32_MAX

/* Both are kept. Errors: MEMORY_HOST. */
pd_status pd_token_masks_create(pd_automaton *a, const pd_token_tree *t, pd_token_masks **out,
                                pd_error *err);
void pd_token_masks_destroy(pd_token_masks *m);

/* Ors the tokens into words [n_words]. max_bytes: fewest bytes that may lie between what is behind
 * the token and an end; PD_NO_LIMIT. Errors: as pd_automaton_step. */
pd_status pd_token_masks_get(pd_token_masks *m, uint32_t state, uint32_t max_bytes, uint32_t *words,
                             pd_error *err);
/* The same in the middle of a character, of which `n` bytes are there (0: before one): tokens of a
 * byte. */
pd_status pd_token_masks_bytes(pd_token_masks *m, uint32_t state, const uint8_t *begun, uint32_t n,
                               uint32_t max_bytes, uint32_t *words, pd_error *err);

#endif
