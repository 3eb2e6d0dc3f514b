/* Grammars over texts: what is accepted, what is the beginning of something, what is refused.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TESTS_SUPPORT_GRAMMAR_H
#define PD_TESTS_SUPPORT_GRAMMAR_H

#include <string.h>

#include "base/bytes.h"
#include "grammar/automaton.h"

typedef enum grammar_verdict { REFUSED, BEGINNING, ACCEPTED } grammar_verdict;

static inline grammar_verdict follow_text(pd_automaton *a, const char *text) {
    uint32_t state = PD_STATE_START;
    pd_error err;
    for (size_t at = 0, n = strlen(text); at < n;) {
        if (pd_automaton_step(a, state, pd_utf8_next(text, n, &at), &state, &err) != PD_OK)
            return REFUSED;
        if (state == PD_STATE_DEAD) return REFUSED;
    }
    return pd_automaton_may_end(a, state) ? ACCEPTED : BEGINNING;
}

#endif
