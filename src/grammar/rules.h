/* What a constrained answer may be, as a tree over characters: built by the readers of GBNF,
 * regular expressions and JSON schemas, compiled by grammar/automaton.h.
 *
 * A node is an index. Building cannot fail in the middle: what goes wrong (memory, a tree that is
 * too large) is kept in pd_rules.status, nodes made afterwards mean nothing, and who asked for the
 * tree looks once, at the end.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_RULES_H
#define PD_GRAMMAR_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef uint32_t pd_node;

/* first..last, both included. Characters are Unicode's scalar values: surrogates are none. */
typedef struct pd_char_range {
    uint32_t first, last;
} pd_char_range;

#define PD_CHAR_MAX   UINT32_C(0x10ffff)
#define PD_REPEAT_ANY UINT32_MAX /* as max: without an end */

typedef enum pd_node_kind {
    PD_NODE_SET,    /* one character of [n] ranges, which ascend and do not touch */
    PD_NODE_SEQ,    /* [n] nodes one after the other; n 0: nothing, which is always there */
    PD_NODE_ALT,    /* one of [n] nodes; n 0: what cannot be */
    PD_NODE_REPEAT, /* a node min to max times */
    PD_NODE_RULE    /* the node that a rule was given */
} pd_node_kind;

typedef struct pd_node_info {
    pd_node_kind kind;
    uint32_t first, n; /* SET: in pd_rules.ranges; SEQ, ALT: in .children; REPEAT: its node, -;
                          RULE: the rule's number, - */
    uint32_t min, max; /* REPEAT */
} pd_node_info;

typedef struct pd_rules {
    pd_node_info *nodes;
    pd_char_range *ranges;
    pd_node *children;
    pd_node *rules; /* [n_rules] what each is; PD_NO_NODE: not given yet */
    uint32_t n_nodes, n_ranges, n_children, n_rules;
    uint32_t cap_nodes, cap_ranges, cap_children, cap_rules;
    pd_status status; /* OK, MEMORY_HOST, ARGUMENT: too large */
} pd_rules;

#define PD_NO_NODE UINT32_MAX
enum { PD_RULES_MAX = 1 << 20 }; /* nodes, ranges, children, rules: of each */

void pd_rules_free(pd_rules *r); /* r: zero at first */

/* Of a SEQ or ALT; NULL where there are none at all. */
static inline const pd_node *pd_rules_children(const pd_rules *r, const pd_node_info *info) {
    return r->children ? r->children + info->first : NULL;
}
/* Of a SET. */
static inline const pd_char_range *pd_rules_ranges(const pd_rules *r, const pd_node_info *info) {
    return r->ranges ? r->ranges + info->first : NULL;
}

/* Ranges in any order, which may overlap; surrogates are left out. With `others`: all characters
 * but those. */
pd_node pd_rules_set(pd_rules *r, const pd_char_range *ranges, uint32_t n, bool others);
pd_node pd_rules_char(pd_rules *r, uint32_t c);
/* n bytes of UTF-8, which must be well-formed. */
pd_node pd_rules_text(pd_rules *r, const char *text, size_t n);
pd_node pd_rules_seq(pd_rules *r, const pd_node *nodes, uint32_t n);
pd_node pd_rules_alt(pd_rules *r, const pd_node *nodes, uint32_t n);
pd_node pd_rules_repeat(pd_rules *r, pd_node node, uint32_t min, uint32_t max);
static inline pd_node pd_rules_optional(pd_rules *r, pd_node node) {
    return pd_rules_repeat(r, node, 0, 1);
}

/* A rule's number, for nodes that mean it before it is given: recursion. */
uint32_t pd_rules_new(pd_rules *r);
void pd_rules_give(pd_rules *r, uint32_t rule, pd_node node);
pd_node pd_rules_use(pd_rules *r, uint32_t rule);

#endif
