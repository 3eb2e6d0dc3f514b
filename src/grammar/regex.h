/* Regular expressions as ECMA-262 writes them (which JSON schemas have), with the Unicode flag:
 * what a grammar can follow. No lookaround, backreferences, word borders and lazy quantifiers'
 * preference (they match the same); ^ and $ at the ends of alternatives alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_REGEX_H
#define PD_GRAMMAR_REGEX_H

#include "grammar/rules.h"

typedef struct pd_regex_options {
    /* It may match anywhere, as schemas' patterns do: what has no ^ or $ may have any characters
     * before or behind it. false: it matches the whole text. */
    bool anywhere;
    /* Each character as it stands within a JSON string: see json_text.h. */
    bool in_json;
} pd_regex_options;

/* Errors: ARGUMENT: what of it is not understood, and where; MEMORY_HOST. */
pd_status pd_regex_parse(pd_rules *r, const char *text, size_t n, const pd_regex_options *options,
                         pd_node *out, pd_error *err);

#endif
