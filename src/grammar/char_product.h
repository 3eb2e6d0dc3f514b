/* Texts that several automata allow at once, within a length, as a tree of one rule per state.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_CHAR_PRODUCT_H
#define PD_GRAMMAR_CHAR_PRODUCT_H

#include "grammar/automaton.h"

enum { PD_PRODUCT_MAX = 8, PD_PRODUCT_MAX_STATES = 4096 };

typedef struct pd_char_product {
    pd_automaton *automata[PD_PRODUCT_MAX];
    uint32_t n;
    uint32_t min, max; /* characters; max PD_REPEAT_ANY: no limit */
} pd_char_product;

/* The characters are written as in JSON strings, without the quotes. Errors: ARGUMENT: there are
 * too many states; MEMORY_HOST. */
pd_status pd_char_product_make(pd_rules *r, const pd_char_product *p, pd_node *out, pd_error *err);

#endif
