/* A pushdown automaton over characters that follows a grammar.
 *
 * A state stands for everything that may come next. States are numbered as they are met; equal ones
 * have the same number, so that what was found out about a state is found out once. State
 * PD_STATE_DEAD is the one that nothing leads on from. From every other state the end can be
 * reached: alternatives that cannot end are left out when the grammar is compiled.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_AUTOMATON_H
#define PD_GRAMMAR_AUTOMATON_H

#include "grammar/rules.h"

typedef struct pd_automaton pd_automaton;
enum { PD_STATE_DEAD = 0, PD_STATE_START = 1 };

/* Errors: ARGUMENT (left recursion, nothing can be written, too large), MEMORY_HOST. `r` is not
 * kept. */
pd_status pd_automaton_create(const pd_rules *r, pd_node root, pd_automaton **out, pd_error *err);
void pd_automaton_destroy(pd_automaton *a);

/* The state behind a character. Errors: MEMORY_HOST; ARGUMENT: an ambiguous grammar has too many
 * ways. */
pd_status pd_automaton_step(pd_automaton *a, uint32_t state, uint32_t c, uint32_t *out,
                            pd_error *err);
bool pd_automaton_may_end(const pd_automaton *a, uint32_t state);

#endif
