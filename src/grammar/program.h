/* A grammar's tree as instructions of a pushdown automaton, each with what follows it.
 *
 *     SET    one character of a set, then next
 *     FORK   any of several
 *     CALL   a rule's instructions, then next: next goes on the stack
 *     ENTER  a counted repetition: a counter of 0 goes on the stack, then the body
 *     LOOP   behind the body: counts; again, or next, which takes the counter from the stack
 *     RETURN goes on with what lies on the stack, or is the end
 *
 * A rule that is called at the end of another one leaves nothing on the stack, so that lists
 * written as rules that end with themselves do not fill it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_PROGRAM_H
#define PD_GRAMMAR_PROGRAM_H

#include "grammar/char_classes.h"

typedef enum pd_insn_kind {
    PD_INSN_SET,
    PD_INSN_FORK,
    PD_INSN_CALL,
    PD_INSN_ENTER,
    PD_INSN_LOOP,
    PD_INSN_RETURN
} pd_insn_kind;

typedef struct pd_insn {
    pd_insn_kind kind;
    uint32_t next;
    uint32_t
        first; /* SET: the set; FORK: first of [n] targets; CALL: the rule; ENTER, LOOP: the body */
    uint32_t n;
    uint32_t min, max;   /* ENTER, LOOP: how often; max PD_REPEAT_ANY: without an end */
    uint32_t min_bytes;  /* of UTF-8, from here to the RETURN */
    uint32_t body_bytes; /* LOOP: least of one round */
} pd_insn;

/* min_bytes of what is longer than anybody will wait for. */
#define PD_MIN_BYTES_MANY UINT32_C(0x40000000)

typedef struct pd_insns {
    pd_insn *list;
    uint32_t *targets;
    uint32_t *rules; /* [n_rules] where each begins */
    uint32_t n, cap, n_targets, cap_targets, n_rules;
    uint32_t start;
} pd_insns;

/* Errors: ARGUMENT (left recursion, nothing can be written, too large or too deep), MEMORY_HOST. */
pd_status pd_insns_make(const pd_rules *r, pd_node root, const pd_char_classes *classes,
                        pd_insns *out, pd_error *err);
void pd_insns_free(pd_insns *p);

#endif
