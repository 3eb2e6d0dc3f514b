/* What an answer with tools may be: calls that fit the tools' schemas, or words.
 *
 *     call:    {"name": "NAME", "parameters": ARGUMENTS}
 *     calls:   a call; several: [call, call, ...]
 *     answer:  calls; where none is needed also any text that does not begin like one, or nothing
 *
 * What stands between the arguments is written in one way, so that a reader of answers needs to
 * look at a few characters only to know where it is (server/tool_calls.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_TOOLS_H
#define PD_GRAMMAR_TOOLS_H

#include "grammar/rules.h"

enum { PD_TOOLS_MAX_CALLS = 16 }; /* in one answer */

/* text: {"tools": [{"name": ..., "parameters": SCHEMA}, ...], "required": true, "parallel": true};
 * without a schema, or with an empty one, arguments are any object. Errors: ARGUMENT (which tool,
 * and what of its schema), MEMORY_HOST. */
pd_status pd_tools_parse(pd_rules *r, const char *text, size_t n, pd_node *root, pd_error *err);

#endif
