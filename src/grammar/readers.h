/* The notations that a grammar may come in.  SPDX-License-Identifier: MIT */
#ifndef PD_GRAMMAR_READERS_H
#define PD_GRAMMAR_READERS_H

#include "grammar/rules.h"
#include "peridot_grammar.h"

/* Errors: ARGUMENT (what of it is not understood), MEMORY_HOST. */
pd_status pd_grammar_read(pd_rules *r, pd_grammar_kind kind, const char *text, size_t n,
                          pd_node *root, pd_error *err);

#endif
