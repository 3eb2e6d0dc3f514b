/* What the parts of the reader of regular expressions share: regex.c the structure, regex_class.c
 * characters, escapes and classes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_GRAMMAR_REGEX_READER_H
#define PD_GRAMMAR_REGEX_READER_H

#include "base/bytes.h"
#include "grammar/regex.h"

typedef struct pd_regex_reader {
    pd_rules *r;
    const char *text;
    size_t n, at;
    uint32_t depth;
    bool in_json;
    pd_error *err;
} pd_regex_reader;

/* Raises ARGUMENT, naming the place. */
#define PD_REGEX_REFUSE(g, ...)                                                                    \
    pd_regex_place((g), pd_error_raise((g)->err, __FILE__, __LINE__, PD_ERR_ARGUMENT, __VA_ARGS__))
pd_status pd_regex_place(const pd_regex_reader *g, pd_status status);

static inline bool pd_regex_is_at(const pd_regex_reader *g, char c) {
    return g->at < g->n && g->text[g->at] == c;
}
static inline bool pd_regex_take(pd_regex_reader *g, char c) {
    if (!pd_regex_is_at(g, c)) return false;
    g->at++;
    return true;
}

/* Ranges of a set that is being read. */
typedef struct pd_regex_set {
    pd_bytes ranges;
    bool others; /* all characters but those */
} pd_regex_set;

/* The set as a node; it is freed. */
pd_node pd_regex_set_end(pd_regex_reader *g, pd_regex_set *set);

/* Behind a backslash that is not in a class. */
pd_status pd_regex_read_escape(pd_regex_reader *g, pd_node *out);
/* Behind [ . */
pd_status pd_regex_read_class(pd_regex_reader *g, pd_node *out);
pd_node pd_regex_dot(pd_regex_reader *g);
pd_node pd_regex_one(pd_regex_reader *g, uint32_t c);
pd_node pd_regex_any(pd_regex_reader *g); /* any character, line breaks too */

#endif
