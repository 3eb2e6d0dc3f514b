/* See gbnf.h. Recursive descent; a line break ends a rule, but for one behind ::= or | or in a
 * group. SPDX-License-Identifier: MIT
 */
#include "grammar/gbnf.h"

#include <ctype.h>
#include <string.h>

#include "base/memory.h"
#include "grammar/node_list.h"

enum { MAX_DEPTH = 200, MAX_REPEAT = 1 << 20 };

typedef struct name {
    const char *text;
    size_t n;
    uint32_t rule;
    bool is_given;
} name;

typedef struct reader {
    pd_rules *r;
    const char *text;
    size_t n, at;
    uint32_t depth;
    name *names;
    uint32_t n_names, cap_names;
    pd_error *err;
} reader;

/* ---- characters ------------------------------------------------------------------------------ */

static bool is_at(const reader *g, char c) {
    return g->at < g->n && g->text[g->at] == c;
}

static bool take(reader *g, char c) {
    if (!is_at(g, c)) return false;
    g->at++;
    return true;
}

static uint32_t line_of(const reader *g) {
    uint32_t line = 1;
    for (size_t i = 0; i < g->at && i < g->n; i++) line += g->text[i] == '\n';
    return line;
}

/* Says where. */
#define REFUSE(g, ...)                                                                             \
    pd_error_before((g)->err, PD_RAISE((g)->err, PD_ERR_ARGUMENT, __VA_ARGS__),                    \
                    "line %u of the grammar: ", line_of(g))

/* As it stands there, or by its number. */
static pd_status refuse_char(reader *g) {
    size_t at = g->at;
    uint32_t c = pd_utf8_next(g->text, g->n, &at);
    if (c > 0x20 && c < 0x7f) return REFUSE(g, "\"%c\" is not understood", (int)c);
    return REFUSE(g, "U+%04X is not understood", c);
}

static void skip_space(reader *g, bool breaks) {
    for (; g->at < g->n; g->at++) {
        char c = g->text[g->at];
        if (c == '#') {
            while (g->at < g->n && g->text[g->at] != '\n' && g->text[g->at] != '\r') g->at++;
            g->at--;
        } else if (c != ' ' && c != '\t' && !(breaks && (c == '\n' || c == '\r'))) {
            return;
        }
    }
}

static bool is_in_name(char c) {
    return isalnum((unsigned char)c) || c == '-' || c == '_';
}

static size_t take_name(reader *g) {
    size_t begin = g->at;
    while (g->at < g->n && is_in_name(g->text[g->at])) g->at++;
    return g->at - begin;
}

/* ---- names ----------------------------------------------------------------------------------- */

static pd_status find_name(reader *g, const char *text, size_t n, name **out) {
    for (uint32_t i = 0; i < g->n_names; i++) {
        *out = &g->names[i];
        if ((*out)->n == n && memcmp((*out)->text, text, n) == 0) return PD_OK;
    }
    if (g->n_names == g->cap_names) {
        uint32_t cap = g->cap_names ? 2 * g->cap_names : 64;
        name *names = pd_alloc(cap, sizeof *names);
        if (!names) return PD_RAISE(g->err, PD_ERR_MEMORY_HOST, "no memory for a grammar");
        if (g->n_names) memcpy(names, g->names, g->n_names * sizeof *names);
        pd_free(g->names);
        g->names = names;
        g->cap_names = cap;
    }
    *out = &g->names[g->n_names++];
    **out = (name){text, n, pd_rules_new(g->r), false};
    return PD_OK;
}

/* ---- texts and classes ----------------------------------------------------------------------- */

static pd_status read_hex(reader *g, uint32_t n_digits, uint32_t *out) {
    *out = 0;
    for (uint32_t i = 0; i < n_digits; i++, g->at++) {
        char c = g->at < g->n ? g->text[g->at] : '\0';
        if (!isxdigit((unsigned char)c))
            return REFUSE(g, "an escape needs %u hexadecimal digits", n_digits);
        *out = *out << 4 | (uint32_t)(isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    if (*out > PD_CHAR_MAX || (*out >= 0xd800 && *out < 0xe000))
        return REFUSE(g, "U+%X is no character", *out);
    return PD_OK;
}

static pd_status read_escape(reader *g, uint32_t *out) {
    char c = g->at < g->n ? g->text[g->at++] : '\0';
    switch (c) {
    case 'x': return read_hex(g, 2, out);
    case 'u': return read_hex(g, 4, out);
    case 'U': return read_hex(g, 8, out);
    case 'n': *out = '\n'; return PD_OK;
    case 'r': *out = '\r'; return PD_OK;
    case 't': *out = '\t'; return PD_OK;
    case '\\':
    case '"':
    case '[':
    case ']': *out = (uint32_t)c; return PD_OK;
    default: return REFUSE(g, "\\%c is no escape", isprint((unsigned char)c) ? c : '?');
    }
}

static pd_status read_char(reader *g, uint32_t *out) {
    if (take(g, '\\')) return read_escape(g, out);
    *out = pd_utf8_next(g->text, g->n, &g->at);
    return PD_OK;
}

static pd_status read_text(reader *g, pd_node *out) {
    pd_node_list chars = {0};
    pd_status status = PD_OK;
    uint32_t c;
    while (status == PD_OK && !take(g, '"')) {
        status = g->at == g->n ? REFUSE(g, "a text has no \" at its end") : read_char(g, &c);
        if (status == PD_OK) pd_node_list_add(&chars, pd_rules_char(g->r, c));
    }
    *out = pd_node_list_end(g->r, &chars, false);
    return status;
}

static pd_status read_range(reader *g, pd_char_range *out) {
    PD_TRY(read_char(g, &out->first));
    out->last = out->first;
    if (!is_at(g, '-') || g->at + 1 >= g->n || g->text[g->at + 1] == ']') return PD_OK;
    g->at++;
    PD_TRY(read_char(g, &out->last));
    return out->first <= out->last ? PD_OK
                                   : REFUSE(g, "a range of characters ends before it begins");
}

static pd_status read_class(reader *g, pd_node *out) {
    pd_bytes ranges = {0};
    pd_status status = PD_OK;
    bool others = take(g, '^');
    while (status == PD_OK && !take(g, ']')) {
        pd_char_range range;
        status = g->at == g->n ? REFUSE(g, "a class of characters has no ] at its end")
                               : read_range(g, &range);
        if (status == PD_OK) pd_bytes_write(&ranges, &range, sizeof range);
    }
    if (status == PD_OK && ranges.failed)
        status = PD_RAISE(g->err, PD_ERR_MEMORY_HOST, "no memory for a grammar");
    if (status == PD_OK)
        *out = pd_rules_set(g->r, (const pd_char_range *)(const void *)ranges.data,
                            (uint32_t)(ranges.n / sizeof(pd_char_range)), others);
    pd_bytes_free(&ranges);
    return status;
}

/* ---- repetitions ----------------------------------------------------------------------------- */

static pd_status read_number(reader *g, uint32_t *out) {
    size_t begin = g->at;
    *out = 0;
    for (; g->at < g->n && isdigit((unsigned char)g->text[g->at]); g->at++) {
        *out = 10 * *out + (uint32_t)(g->text[g->at] - '0');
        if (*out > MAX_REPEAT)
            return REFUSE(g, "a repetition of more than %d is too large", MAX_REPEAT);
    }
    return g->at > begin ? PD_OK : REFUSE(g, "a number is missing in { }");
}

static pd_status read_bounds(reader *g, uint32_t *min, uint32_t *max) {
    skip_space(g, false);
    PD_TRY(read_number(g, min));
    *max = *min;
    skip_space(g, false);
    if (take(g, ',')) {
        skip_space(g, false);
        *max = PD_REPEAT_ANY;
        if (!is_at(g, '}')) PD_TRY(read_number(g, max));
        skip_space(g, false);
    }
    if (*max < *min)
        return REFUSE(g, "a repetition from %u to %u has its bounds the wrong way round", *min,
                      *max);
    return take(g, '}') ? PD_OK : REFUSE(g, "a repetition has no } at its end");
}

/* Those behind the last element. */
static pd_status read_repeats(reader *g, pd_node_list *sequence) {
    for (;;) {
        uint32_t min = 0, max = PD_REPEAT_ANY;
        skip_space(g, g->depth > 0);
        if (g->at == g->n || !strchr("*+?{", g->text[g->at])) return PD_OK;
        char c = g->text[g->at];
        if (sequence->bytes.failed)
            return PD_RAISE(g->err, PD_ERR_MEMORY_HOST, "no memory for a grammar");
        if (pd_node_list_count(sequence) == 0)
            return REFUSE(g, "there is nothing before %c to repeat", c);
        g->at++;
        if (c == '+') min = 1;
        if (c == '?') max = 1;
        if (c == '{') PD_TRY(read_bounds(g, &min, &max));
        pd_node *last = pd_node_list_last(sequence);
        *last = pd_rules_repeat(g->r, *last, min, max);
    }
}

/* ---- alternatives ---------------------------------------------------------------------------- */

static pd_status read_alternatives(reader *g, pd_node *out);

static pd_status read_group(reader *g, pd_node *out) {
    if (g->depth == MAX_DEPTH) return REFUSE(g, "groups are nested more than %d deep", MAX_DEPTH);
    g->depth++;
    skip_space(g, true);
    PD_TRY(read_alternatives(g, out));
    g->depth--;
    return take(g, ')') ? PD_OK : REFUSE(g, "a group has no ) at its end");
}

static pd_status read_use(reader *g, pd_node *out) {
    const char *text = g->text + g->at;
    size_t n = take_name(g);
    name *used;
    PD_TRY(find_name(g, text, n, &used));
    *out = pd_rules_use(g->r, used->rule);
    return PD_OK;
}

static pd_status read_element(reader *g, pd_node *out) {
    static const pd_char_range nothing = {1, 0};
    if (take(g, '"')) return read_text(g, out);
    if (take(g, '[')) return read_class(g, out);
    if (take(g, '(')) return read_group(g, out);
    if (take(g, '.')) {
        *out = pd_rules_set(g->r, &nothing, 1, true);
        return PD_OK;
    }
    return read_use(g, out);
}

static bool is_element(const reader *g) {
    return g->at < g->n && (strchr("\"[(.", g->text[g->at]) || is_in_name(g->text[g->at]));
}

static pd_status read_elements(reader *g, pd_node_list *sequence) {
    PD_TRY(read_repeats(g, sequence)); /* of nothing: refused */
    while (is_element(g)) {
        pd_node node;
        PD_TRY(read_element(g, &node));
        pd_node_list_add(sequence, node);
        PD_TRY(read_repeats(g, sequence));
    }
    return PD_OK;
}

static pd_status read_sequence(reader *g, pd_node *out) {
    pd_node_list sequence = {0};
    pd_status status = read_elements(g, &sequence);
    *out = pd_node_list_end(g->r, &sequence, false);
    return status;
}

static pd_status read_alternatives(reader *g, pd_node *out) {
    pd_node_list alternatives = {0};
    pd_status status = PD_OK;
    do {
        pd_node node;
        skip_space(g, g->depth > 0 || pd_node_list_count(&alternatives) > 0);
        status = read_sequence(g, &node);
        pd_node_list_add(&alternatives, node);
    } while (status == PD_OK && take(g, '|'));
    *out = pd_node_list_end(g->r, &alternatives, true);
    return status;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static pd_status read_rule(reader *g) {
    const char *text = g->text + g->at;
    size_t n = take_name(g);
    name *given;
    pd_node node;
    if (n == 0) return REFUSE(g, "a rule begins with its name, as in: root ::= \"yes\" | \"no\"");
    skip_space(g, false);
    if (g->n - g->at < 3 || memcmp(g->text + g->at, "::=", 3) != 0)
        return REFUSE(g, "::= is missing behind %.*s", (int)(n < 60 ? n : 60), text);
    g->at += 3;
    skip_space(g, true);
    PD_TRY(read_alternatives(g, &node));
    if (g->at < g->n && g->text[g->at] != '\n' && g->text[g->at] != '\r') return refuse_char(g);
    PD_TRY(find_name(g, text, n, &given)); /* here, since reading may have moved the names */
    if (given->is_given)
        return REFUSE(g, "the rule %.*s is given twice", (int)(n < 60 ? n : 60), text);
    given->is_given = true;
    pd_rules_give(g->r, given->rule, node);
    return PD_OK;
}

static pd_status check_names(reader *g, const name **root) {
    *root = NULL;
    for (uint32_t i = 0; i < g->n_names; i++) {
        const name *each = &g->names[i];
        int n = (int)(each->n < 60 ? each->n : 60);
        if (!each->is_given)
            return PD_RAISE(g->err, PD_ERR_ARGUMENT,
                            "the grammar uses the rule %.*s, but does not give it", n, each->text);
        if (each->n == 4 && memcmp(each->text, "root", 4) == 0) *root = each;
    }
    if (*root) return PD_OK;
    return PD_RAISE(g->err, PD_ERR_ARGUMENT,
                    "the grammar has no rule root, with which an answer begins");
}

static pd_status read_all(reader *g, pd_node *root) {
    const name *first;
    if (pd_utf8_valid_bytes(g->text, g->n) < g->n)
        return PD_RAISE(g->err, PD_ERR_ARGUMENT, "the grammar is not UTF-8");
    for (skip_space(g, true); g->at < g->n; skip_space(g, true)) PD_TRY(read_rule(g));
    PD_TRY(check_names(g, &first));
    *root = pd_rules_use(g->r, first->rule);
    return PD_OK;
}

pd_status pd_gbnf_read(pd_rules *r, const char *text, size_t n, pd_node *root, pd_error *err) {
    reader g = {.r = r, .text = text, .n = n, .err = err};
    pd_status status = read_all(&g, root);
    pd_free(g.names);
    return status;
}
