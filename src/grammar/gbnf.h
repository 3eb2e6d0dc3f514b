/* GBNF, the grammars that llama.cpp reads: rules `name ::= ...` of "texts", [character classes],
 * `.`, groups, alternatives, and the repetitions * + ? {m} {m,} {m,n}; # comments. The answer is
 * `root`.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_GBNF_H
#define PD_GRAMMAR_GBNF_H

#include "grammar/rules.h"

/* Errors: ARGUMENT (what is wrong, in which line), MEMORY_HOST. */
pd_status pd_gbnf_read(pd_rules *r, const char *text, size_t n, pd_node *root, pd_error *err);

#endif
