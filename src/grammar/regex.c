/* See regex.h. Recursive descent with a limit; groups become nodes at once, so that nothing is kept
 * but the tree. ^ and $ are facts about an alternative of the whole pattern, not nodes: they are
 * taken where an alternative begins and ends, also within a group that is the whole alternative,
 * and refused elsewhere.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/regex.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "grammar/node_list.h"
#include "grammar/regex_reader.h"

enum { MAX_DEPTH = 200, MAX_REPEAT = 1 << 16 };

/* What an alternative of the whole pattern may have around it; 0 within groups and for patterns
 * that match the whole text. */
typedef struct surroundings {
    bool is_top; /* ^ and $ are allowed */
    bool anywhere;
} surroundings;

pd_status pd_regex_place(const pd_regex_reader *g, pd_status status) {
    unsigned place = 0;
    for (size_t at = 0; at < g->at; place++) pd_utf8_next(g->text, g->n, &at);
    return pd_error_before(g->err, status,
                           "the regular expression, up to its character %u: ", place);
}

/* ---- repetitions ----------------------------------------------------------------------------- */

static pd_status read_number(pd_regex_reader *g, uint32_t *out) {
    size_t begin = g->at;
    *out = 0;
    for (; g->at < g->n && isdigit((unsigned char)g->text[g->at]); g->at++) {
        *out = 10 * *out + (uint32_t)(g->text[g->at] - '0');
        if (*out > MAX_REPEAT)
            return PD_REGEX_REFUSE(g, "a repetition of more than %d is too large", MAX_REPEAT);
    }
    return g->at > begin ? PD_OK
                         : PD_REGEX_REFUSE(g, "a { needs a number behind it, or a \\ before");
}

static pd_status read_bounds(pd_regex_reader *g, uint32_t *min, uint32_t *max) {
    PD_TRY(read_number(g, min));
    *max = *min;
    if (pd_regex_take(g, ',')) {
        *max = PD_REPEAT_ANY;
        if (!pd_regex_is_at(g, '}')) PD_TRY(read_number(g, max));
    }
    if (*max < *min)
        return PD_REGEX_REFUSE(g, "a repetition from %u to %u has its bounds the wrong way round",
                               *min, *max);
    return pd_regex_take(g, '}') ? PD_OK : PD_REGEX_REFUSE(g, "a repetition has no } at its end");
}

static bool is_quantifier(const pd_regex_reader *g) {
    return g->at < g->n && g->text[g->at] != 0 && strchr("*+?{", g->text[g->at]);
}

/* Behind a term; a ? after it asks for the shortest match, which allows the same texts. */
static pd_status read_repeat(pd_regex_reader *g, pd_node *term) {
    uint32_t min = 0, max = PD_REPEAT_ANY;
    if (!is_quantifier(g)) return PD_OK;
    char c = g->text[g->at++];
    if (c == '+') min = 1;
    if (c == '?') max = 1;
    if (c == '{') PD_TRY(read_bounds(g, &min, &max));
    pd_regex_take(g, '?');
    *term = pd_rules_repeat(g->r, *term, min, max);
    return is_quantifier(g)
               ? PD_REGEX_REFUSE(g, "there is nothing before %c to repeat", g->text[g->at])
               : PD_OK;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static pd_status read_alternatives(pd_regex_reader *g, surroundings around, pd_node *out);

static pd_status skip_name(pd_regex_reader *g) {
    size_t begin = g->at;
    while (g->at < g->n && (isalnum((unsigned char)g->text[g->at]) || g->text[g->at] == '_' ||
                            g->text[g->at] == '$'))
        g->at++;
    if (g->at > begin && pd_regex_take(g, '>')) return PD_OK;
    return PD_REGEX_REFUSE(g, "a group's name has no > at its end");
}

/* What stands between ( and the group's alternatives. */
static pd_status read_group_kind(pd_regex_reader *g) {
    if (!pd_regex_take(g, '?') || pd_regex_take(g, ':')) return PD_OK;
    bool behind = pd_regex_take(g, '<');
    if (pd_regex_is_at(g, '=') || pd_regex_is_at(g, '!'))
        return PD_REGEX_REFUSE(g, "looking %s is not supported", behind ? "behind" : "ahead");
    if (behind) return skip_name(g);
    return PD_REGEX_REFUSE(g,
                           "a group that begins with (? and neither : nor <name> is not supported");
}

/* Behind ( . */
static pd_status read_group(pd_regex_reader *g, surroundings around, pd_node *out) {
    if (g->depth == MAX_DEPTH)
        return PD_REGEX_REFUSE(g, "groups are nested more than %d deep", MAX_DEPTH);
    g->depth++;
    PD_TRY(read_group_kind(g));
    PD_TRY(read_alternatives(g, around, out));
    g->depth--;
    return pd_regex_take(g, ')') ? PD_OK : PD_REGEX_REFUSE(g, "a group has no ) at its end");
}

/* Where the group that begins at `at` is closed; n: nowhere. */
static size_t find_close(const pd_regex_reader *g, size_t at) {
    uint32_t depth = 0;
    bool in_class = false;
    for (; at < g->n; at++) {
        char c = g->text[at];
        if (c == '\\')
            at++;
        else if (in_class)
            in_class = c != ']';
        else if (c == '[')
            in_class = true;
        else if (c == '(')
            depth++;
        else if (c == ')' && --depth == 0)
            return at;
    }
    return g->n;
}

/* Whether the alternative that begins here is one group, with nothing before or behind it. */
static bool is_one_group(const pd_regex_reader *g) {
    if (!pd_regex_is_at(g, '(')) return false;
    size_t close = find_close(g, g->at) + 1;
    return close == g->n || (close < g->n && (g->text[close] == '|' || g->text[close] == ')'));
}

/* ---- alternatives ---------------------------------------------------------------------------- */

static pd_status read_term(pd_regex_reader *g, pd_node *out) {
    char c = g->text[g->at];
    if (strchr("*+?{", c) && c)
        return PD_REGEX_REFUSE(g, "there is nothing before %c to repeat", c);
    if (c == '}' || c == ']')
        return PD_REGEX_REFUSE(g, "%c closes nothing; as a character it is \\%c", c, c);
    if (c == '^' || c == '$')
        return PD_REGEX_REFUSE(g, "%c is supported at the %s of the pattern's alternatives alone",
                               c, c == '^' ? "beginning" : "end");
    if (pd_regex_take(g, '(')) return read_group(g, (surroundings){false, false}, out);
    if (pd_regex_take(g, '[')) return pd_regex_read_class(g, out);
    if (pd_regex_take(g, '\\')) return pd_regex_read_escape(g, out);
    *out = pd_regex_take(g, '.') ? pd_regex_dot(g)
                                 : pd_regex_one(g, pd_utf8_next(g->text, g->n, &g->at));
    return PD_OK;
}

static bool is_at_end(const pd_regex_reader *g) {
    return g->at == g->n || g->text[g->at] == '|' || g->text[g->at] == ')';
}

/* Takes a run of the anchor if it is allowed here; *is_anchored: there was one. */
static void take_anchors(pd_regex_reader *g, char anchor, surroundings around, bool *is_anchored) {
    *is_anchored = !around.anywhere;
    while (around.is_top && pd_regex_take(g, anchor)) *is_anchored = true;
}

static bool only_ends_left(pd_regex_reader *g, surroundings around) {
    size_t at = g->at;
    while (around.is_top && pd_regex_take(g, '$')) {
    }
    bool is_end = is_at_end(g);
    g->at = at;
    return is_end;
}

static pd_status read_terms(pd_regex_reader *g, surroundings around, pd_node_list *terms) {
    bool is_begin, is_end;
    take_anchors(g, '^', around, &is_begin);
    if (!is_begin)
        pd_node_list_add(terms, pd_rules_repeat(g->r, pd_regex_any(g), 0, PD_REPEAT_ANY));
    while (!only_ends_left(g, around)) {
        pd_node term;
        PD_TRY(read_term(g, &term));
        PD_TRY(read_repeat(g, &term));
        pd_node_list_add(terms, term);
    }
    take_anchors(g, '$', around, &is_end);
    if (!is_end) pd_node_list_add(terms, pd_rules_repeat(g->r, pd_regex_any(g), 0, PD_REPEAT_ANY));
    return PD_OK;
}

static pd_status read_alternative(pd_regex_reader *g, surroundings around, pd_node *out) {
    pd_node_list terms = {0};
    if (around.is_top && is_one_group(g)) {
        g->at++;
        return read_group(g, around, out);
    }
    pd_status status = read_terms(g, around, &terms);
    *out = pd_node_list_end(g->r, &terms, false);
    return status;
}

static pd_status read_alternatives(pd_regex_reader *g, surroundings around, pd_node *out) {
    pd_node_list alternatives = {0};
    pd_status status = PD_OK;
    do {
        pd_node node;
        status = read_alternative(g, around, &node);
        if (status == PD_OK) pd_node_list_add(&alternatives, node);
    } while (status == PD_OK && pd_regex_take(g, '|'));
    *out = pd_node_list_end(g->r, &alternatives, true);
    return status;
}

pd_status pd_regex_parse(pd_rules *r, const char *text, size_t n, const pd_regex_options *options,
                         pd_node *out, pd_error *err) {
    pd_regex_reader g = {.r = r, .text = text, .n = n, .in_json = options->in_json, .err = err};
    if (pd_utf8_valid_bytes(text, n) != n)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the regular expression is not UTF-8");
    PD_TRY(read_alternatives(&g, (surroundings){true, options->anywhere}, out));
    if (g.at < n) return PD_REGEX_REFUSE(&g, "a ) closes no group");
    if (r->status == PD_OK) return PD_OK;
    return PD_RAISE(err, r->status,
                    r->status == PD_ERR_MEMORY_HOST ? "no memory for a regular expression"
                                                    : "the regular expression is too large");
}
