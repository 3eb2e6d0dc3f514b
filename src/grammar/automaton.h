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

#include "grammar/char_classes.h"

typedef struct pd_automaton pd_automaton;
enum { PD_STATE_DEAD = 0, PD_STATE_START = 1 };

/* Errors: ARGUMENT (left recursion, nothing can be written, too large), MEMORY_HOST. `r` is not
 * kept. */
pd_status pd_automaton_create(const pd_rules *r, pd_node root, pd_automaton **out, pd_error *err);
void pd_automaton_destroy(pd_automaton *a);

/* The state behind a character. Errors: MEMORY_HOST; ARGUMENT: there are too many ways to read the
 * answer so far, or states. */
pd_status pd_automaton_step(pd_automaton *a, uint32_t state, uint32_t c, uint32_t *out,
                            pd_error *err);
bool pd_automaton_may_end(const pd_automaton *a, uint32_t state);
/* Fewest bytes of UTF-8 from here to an end. */
uint32_t pd_automaton_min_bytes(const pd_automaton *a, uint32_t state);
/* The one character that may follow; PD_NO_CHAR: there are several, or the answer may end. */
pd_status pd_automaton_only_char(pd_automaton *a, uint32_t state, uint32_t *out, pd_error *err);
/* Whether any character may follow for ever, and the end at any time. */
pd_status pd_automaton_is_free(pd_automaton *a, uint32_t state, bool *out, pd_error *err);
/* Whether the answer can only end. */
bool pd_automaton_is_last(const pd_automaton *a, uint32_t state);
/* Fewest bytes to an end behind any of the characters first..last; PD_NEVER_ENDS: none of them may
 * follow. */
pd_status pd_automaton_nearest_end(pd_automaton *a, uint32_t state, uint32_t first, uint32_t last,
                                   uint32_t *out, pd_error *err);
#define PD_NEVER_ENDS UINT32_MAX
uint64_t pd_automaton_bytes(const pd_automaton *a); /* of memory */

/* ---- by classes, for those who ask often ----------------------------------------------------- */

const pd_char_classes *pd_automaton_classes(const pd_automaton *a);
/* [states][n_classes] the state behind each: PD_STATE_UNKNOWN until pd_automaton_next is asked,
 * which may move the table. */
const uint32_t *pd_automaton_table(const pd_automaton *a);
pd_status pd_automaton_next(pd_automaton *a, uint32_t state, uint32_t class, uint32_t *out,
                            pd_error *err);
#define PD_STATE_UNKNOWN UINT32_MAX

#endif
