/* JSON schemas, draft 2020-12 and the spelling of draft 7, to the tree of what an answer may be.
 *
 * Every text that the tree allows is valid; where not all that are valid can be written as a tree,
 * it allows fewer. What is not understood is refused, never ignored: the table in
 * docs/constrained.md says what is. Strings in the schema end where cJSON ends them: at U+0000.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_SCHEMA_H
#define PD_GRAMMAR_SCHEMA_H

#include <cjson/cJSON.h>

#include "grammar/rules.h"

/* Errors: ARGUMENT (which keyword, at which JSON pointer, or that nothing can meet it),
 * MEMORY_HOST. */
pd_status pd_schema_read(pd_rules *r, const cJSON *schema, pd_node *out, pd_error *err);

/* The same of a schema's text, in which \u0000 is refused. */
pd_status pd_schema_parse(pd_rules *r, const char *text, size_t n, pd_node *out, pd_error *err);

/* Any JSON value, or any object. */
pd_node pd_schema_any_value(pd_rules *r);
pd_node pd_schema_any_object(pd_rules *r);

#endif
