/* Nodes that a reader collects for a sequence or for alternatives.  SPDX-License-Identifier: MIT */
#ifndef PD_GRAMMAR_NODE_LIST_H
#define PD_GRAMMAR_NODE_LIST_H

#include "base/bytes.h"
#include "grammar/rules.h"

typedef struct pd_node_list {
    pd_bytes bytes; /* of pd_node */
} pd_node_list;

static inline void pd_node_list_add(pd_node_list *l, pd_node node) {
    pd_bytes_write(&l->bytes, &node, sizeof node);
}

static inline uint32_t pd_node_list_count(const pd_node_list *l) {
    return (uint32_t)(l->bytes.n / sizeof(pd_node));
}

static inline const pd_node *pd_node_list_nodes(const pd_node_list *l) {
    return (const pd_node *)(const void *)l->bytes.data;
}

/* The last one, which is replaced by what is made of it. */
static inline pd_node *pd_node_list_last(pd_node_list *l) {
    return (pd_node *)(void *)l->bytes.data + pd_node_list_count(l) - 1;
}

/* What the list makes, and frees it. */
static inline pd_node pd_node_list_end(pd_rules *r, pd_node_list *l, bool are_alternatives) {
    if (l->bytes.failed && r->status == PD_OK) r->status = PD_ERR_MEMORY_HOST;
    uint32_t n = l->bytes.failed ? 0 : pd_node_list_count(l);
    const pd_node *nodes = pd_node_list_nodes(l);
    pd_node node = are_alternatives ? pd_rules_alt(r, nodes, n) : pd_rules_seq(r, nodes, n);
    pd_bytes_free(&l->bytes);
    *l = (pd_node_list){0};
    return node;
}

#endif
