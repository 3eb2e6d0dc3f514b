/* What is known of the nodes of a grammar's tree before it is compiled.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_NODE_FACTS_H
#define PD_GRAMMAR_NODE_FACTS_H

#include "grammar/char_classes.h"

/* [n_nodes] fewest bytes of UTF-8 that a node is written in: 0: it may be empty; PD_NEVER: it
 * cannot be written at all. */
typedef struct pd_node_facts {
    uint32_t *min_bytes;
} pd_node_facts;

#define PD_NEVER UINT32_MAX

/* Errors: ARGUMENT (a rule that was not given; one that begins with itself), MEMORY_HOST. */
pd_status pd_node_facts_make(const pd_rules *r, pd_node root, const pd_char_classes *classes,
                             pd_node_facts *out, pd_error *err);
void pd_node_facts_free(pd_node_facts *f);

#endif
