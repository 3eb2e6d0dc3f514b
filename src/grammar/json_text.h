/* How values and texts of JSON are written in an answer: one way for each character.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_JSON_TEXT_H
#define PD_GRAMMAR_JSON_TEXT_H

#include "grammar/rules.h"

/* One character of a set as it stands in a JSON string: itself, or \" \\ \b \f \n \r \t, or \u00XX
 * for the other control characters. Nothing else is escaped, so that each text is written in one
 * way only. */
pd_node pd_json_char(pd_rules *r, const pd_char_range *ranges, uint32_t n, bool others);
/* The same of a text's characters, one after the other, without the quotes around. */
pd_node pd_json_text(pd_rules *r, const char *text, size_t n);
/* Between the tokens of JSON: nothing, a space, or a line break and up to 20 spaces. */
pd_node pd_json_space(pd_rules *r);

#endif
