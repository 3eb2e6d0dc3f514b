/* See regex_reader.h. The sets of \d, \w, \s and of the dot are those of ECMA-262; \p{...} is
 * refused, since the tables of Unicode are not here.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/regex_reader.h"

#include <ctype.h>
#include <string.h>

#include "grammar/json_text.h"

/* ---- sets ------------------------------------------------------------------------------------ */

static const pd_char_range DIGITS[] = {{'0', '9'}};
static const pd_char_range WORD[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const pd_char_range SPACE[] = {
    {'\t', '\r'},     {' ', ' '},       {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
    {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
static const pd_char_range LINE_ENDS[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
#define COUNT(list) ((uint32_t)(sizeof(list) / sizeof *(list)))

static void add(pd_regex_set *set, uint32_t first, uint32_t last) {
    const pd_char_range range = {first, last};
    pd_bytes_write(&set->ranges, &range, sizeof range);
}

/* Ranges that ascend, or what lies between them. */
static void add_all(pd_regex_set *set, const pd_char_range *ranges, uint32_t n, bool others) {
    uint32_t from = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!others) add(set, ranges[i].first, ranges[i].last);
        if (others && ranges[i].first > from) add(set, from, ranges[i].first - 1);
        from = ranges[i].last + 1;
    }
    if (others) add(set, from, PD_CHAR_MAX);
}

static pd_node make_set(pd_regex_reader *g, const pd_char_range *ranges, uint32_t n, bool others) {
    return g->in_json ? pd_json_char(g->r, ranges, n, others)
                      : pd_rules_set(g->r, ranges, n, others);
}

pd_node pd_regex_set_end(pd_regex_reader *g, pd_regex_set *set) {
    if (set->ranges.failed && g->r->status == PD_OK) g->r->status = PD_ERR_MEMORY_HOST;
    uint32_t n = set->ranges.failed ? 0 : (uint32_t)(set->ranges.n / sizeof(pd_char_range));
    pd_node node =
        make_set(g, (const pd_char_range *)(const void *)set->ranges.data, n, set->others);
    pd_bytes_free(&set->ranges);
    return node;
}

pd_node pd_regex_dot(pd_regex_reader *g) {
    return make_set(g, LINE_ENDS, COUNT(LINE_ENDS), true);
}

pd_node pd_regex_one(pd_regex_reader *g, uint32_t c) {
    const pd_char_range range = {c, c};
    return make_set(g, &range, 1, false);
}

pd_node pd_regex_any(pd_regex_reader *g) {
    return make_set(g, NULL, 0, true);
}

/* True: c names a set, which is added. */
static bool add_named(pd_regex_set *set, char c) {
    bool others = isupper((unsigned char)c) != 0;
    switch (c) {
    case 'd':
    case 'D': add_all(set, DIGITS, COUNT(DIGITS), others); return true;
    case 'w':
    case 'W': add_all(set, WORD, COUNT(WORD), others); return true;
    case 's':
    case 'S': add_all(set, SPACE, COUNT(SPACE), others); return true;
    default: return false;
    }
}

/* ---- escapes of one character ---------------------------------------------------------------- */

static int hex_digit(const pd_regex_reader *g, size_t at) {
    unsigned char c = at < g->n ? (unsigned char)g->text[at] : 0;
    if (!isxdigit(c)) return -1;
    return isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

static pd_status read_hex(pd_regex_reader *g, uint32_t n_digits, uint32_t *out) {
    *out = 0;
    for (uint32_t i = 0; i < n_digits; i++, g->at++) {
        int digit = hex_digit(g, g->at);
        if (digit < 0) return PD_REGEX_REFUSE(g, "an escape needs %u hexadecimal digits", n_digits);
        *out = *out << 4 | (uint32_t)digit;
    }
    return PD_OK;
}

static pd_status read_braced(pd_regex_reader *g, uint32_t *out) {
    size_t begin = g->at;
    *out = 0;
    for (int digit; (digit = hex_digit(g, g->at)) >= 0; g->at++) {
        *out = *out << 4 | (uint32_t)digit;
        if (*out > PD_CHAR_MAX) return PD_REGEX_REFUSE(g, "no character has a number so large");
    }
    if (g->at == begin || !pd_regex_take(g, '}'))
        return PD_REGEX_REFUSE(g, "\\u{ } needs hexadecimal digits");
    return PD_OK;
}

static bool is_high(uint32_t c) {
    return c >= 0xd800 && c < 0xdc00;
}

static pd_status read_low_surrogate(pd_regex_reader *g, uint32_t high, uint32_t *out) {
    uint32_t low = 0;
    if (pd_regex_take(g, '\\') && pd_regex_take(g, 'u')) PD_TRY(read_hex(g, 4, &low));
    if (low < 0xdc00 || low > 0xdfff)
        return PD_REGEX_REFUSE(g, "half of a surrogate pair is no character");
    *out = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return PD_OK;
}

static pd_status read_unicode(pd_regex_reader *g, uint32_t *out) {
    if (pd_regex_take(g, '{'))
        PD_TRY(read_braced(g, out));
    else
        PD_TRY(read_hex(g, 4, out));
    if (is_high(*out)) return read_low_surrogate(g, *out, out);
    if (*out >= 0xdc00 && *out < 0xe000)
        return PD_REGEX_REFUSE(g, "half of a surrogate pair is no character");
    return PD_OK;
}

static pd_status read_control(pd_regex_reader *g, uint32_t *out) {
    char c = g->at < g->n ? g->text[g->at] : 0;
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
        return PD_REGEX_REFUSE(g, "\\c needs a letter");
    g->at++;
    *out = (uint32_t)c & 31;
    return PD_OK;
}

static pd_status read_zero(pd_regex_reader *g, uint32_t *out) {
    *out = 0;
    if (g->at < g->n && isdigit((unsigned char)g->text[g->at]))
        return PD_REGEX_REFUSE(g, "octal escapes are not supported");
    return PD_OK;
}

/* Escapes that are none here, each with its reason. */
static pd_status refuse_escape(pd_regex_reader *g, char c) {
    if (c >= '1' && c <= '9') return PD_REGEX_REFUSE(g, "backreferences are not supported");
    switch (c) {
    case 'k': return PD_REGEX_REFUSE(g, "backreferences are not supported");
    case 'b':
    case 'B': return PD_REGEX_REFUSE(g, "\\%c, borders of words, is not supported", c);
    case 'p':
    case 'P': return PD_REGEX_REFUSE(g, "\\%c{ }, properties of Unicode, is not supported", c);
    default: return PD_REGEX_REFUSE(g, "\\%c is no escape", isprint((unsigned char)c) ? c : '?');
    }
}

/* Behind a backslash. Any sign that is no letter or digit may be escaped, also those that ECMA-262
 * with the Unicode flag refuses: it can mean nothing else. */
static pd_status read_escaped_char(pd_regex_reader *g, uint32_t *out) {
    if (g->at == g->n) return PD_REGEX_REFUSE(g, "nothing follows the backslash");
    char c = g->text[g->at++];
    switch (c) {
    case 't': *out = '\t'; return PD_OK;
    case 'n': *out = '\n'; return PD_OK;
    case 'r': *out = '\r'; return PD_OK;
    case 'f': *out = '\f'; return PD_OK;
    case 'v': *out = '\v'; return PD_OK;
    case '0': return read_zero(g, out);
    case 'c': return read_control(g, out);
    case 'x': return read_hex(g, 2, out);
    case 'u': return read_unicode(g, out);
    default: break;
    }
    *out = (unsigned char)c;
    return ispunct((unsigned char)c) ? PD_OK : refuse_escape(g, c);
}

pd_status pd_regex_read_escape(pd_regex_reader *g, pd_node *out) {
    pd_regex_set set = {0};
    uint32_t c;
    if (g->at < g->n && add_named(&set, g->text[g->at])) {
        g->at++;
        *out = pd_regex_set_end(g, &set);
        return PD_OK;
    }
    PD_TRY(read_escaped_char(g, &c));
    *out = pd_regex_one(g, c);
    return PD_OK;
}

/* ---- classes --------------------------------------------------------------------------------- */

/* One element: a character, or with *is_set a named set, which is added. */
static pd_status read_element(pd_regex_reader *g, pd_regex_set *set, bool *is_set, uint32_t *c) {
    *is_set = false;
    if (!pd_regex_take(g, '\\')) {
        *c = pd_utf8_next(g->text, g->n, &g->at);
        return PD_OK;
    }
    char letter = g->at < g->n ? g->text[g->at] : 0;
    *is_set = add_named(set, letter);
    if (*is_set) {
        g->at++;
        return PD_OK;
    }
    if (letter == 'b') { /* within a class: backspace */
        g->at++;
        *c = '\b';
        return PD_OK;
    }
    return read_escaped_char(g, c);
}

static bool is_at_range(const pd_regex_reader *g) {
    return pd_regex_is_at(g, '-') && g->at + 1 < g->n && g->text[g->at + 1] != ']';
}

static pd_status read_member(pd_regex_reader *g, pd_regex_set *set) {
    bool is_set, is_last_set = false;
    uint32_t first = 0, last;
    PD_TRY(read_element(g, set, &is_set, &first));
    last = first;
    if (is_at_range(g)) {
        g->at++;
        PD_TRY(read_element(g, set, &is_last_set, &last));
        if (is_set || is_last_set)
            return PD_REGEX_REFUSE(g, "a range of characters begins or ends with a set of them");
        if (last < first) return PD_REGEX_REFUSE(g, "a range of characters ends before it begins");
    }
    if (!is_set) add(set, first, last);
    return PD_OK;
}

static pd_status read_members(pd_regex_reader *g, pd_regex_set *set) {
    set->others = pd_regex_take(g, '^');
    if (!set->others && pd_regex_is_at(g, ']'))
        return PD_REGEX_REFUSE(g, "[] can match no character");
    while (!pd_regex_take(g, ']')) {
        if (g->at == g->n) return PD_REGEX_REFUSE(g, "a class of characters has no ] at its end");
        PD_TRY(read_member(g, set));
    }
    return PD_OK;
}

pd_status pd_regex_read_class(pd_regex_reader *g, pd_node *out) {
    pd_regex_set set = {0};
    pd_status status = read_members(g, &set);
    if (status == PD_OK)
        *out = pd_regex_set_end(g, &set);
    else
        pd_bytes_free(&set.ranges);
    return status;
}
