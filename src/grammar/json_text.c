/* See json_text.h. Control characters without a short escape are written with small hexadecimal
 * digits, as most programs do.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/json_text.h"

#include "base/bytes.h"
#include "base/memory.h"

/* All characters that are escaped are below LOW. */
enum { LOW = 0x60, FIRST_PLAIN = 0x20, MAX_INDENT = 20 };

/* Characters with a short escape, and the letter of it. */
static const struct {
    uint8_t c, letter;
} SHORT[] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
             {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};
enum { N_SHORT = sizeof SHORT / sizeof *SHORT };

typedef struct low_set {
    bool has[LOW];
} low_set;

static low_set low_of(const pd_rules *r, pd_node set) {
    low_set low = {{0}};
    const pd_node_info *info = &r->nodes[set];
    for (uint32_t i = 0; i < info->n; i++) {
        pd_char_range range = r->ranges[info->first + i];
        for (uint32_t c = range.first; c <= range.last && c < LOW; c++) low.has[c] = true;
    }
    return low;
}

static char short_letter(uint32_t c) {
    for (uint32_t i = 0; i < N_SHORT; i++)
        if (SHORT[i].c == c) return (char)SHORT[i].letter;
    return 0;
}

static bool is_plain(uint32_t c) {
    return c >= FIRST_PLAIN && !short_letter(c);
}

/* What stands for itself. */
static pd_node plain_part(pd_rules *r, pd_node set, const low_set *low) {
    const pd_node_info info = r->nodes[set];
    pd_char_range *ranges = pd_alloc(info.n + (size_t)LOW, sizeof *ranges);
    uint32_t n = 0;
    if (!ranges) {
        r->status = PD_ERR_MEMORY_HOST;
        return 0;
    }
    for (uint32_t c = 0; c < LOW; c++)
        if (low->has[c] && is_plain(c)) ranges[n++] = (pd_char_range){c, c};
    for (uint32_t i = 0; i < info.n; i++) {
        pd_char_range range = r->ranges[info.first + i];
        if (range.first < LOW) range.first = LOW;
        if (range.first <= range.last) ranges[n++] = range;
    }
    pd_node plain = pd_rules_set(r, ranges, n, false);
    pd_free(ranges);
    return plain;
}

static pd_node short_part(pd_rules *r, const low_set *low) {
    pd_char_range letters[N_SHORT];
    uint32_t n = 0;
    for (uint32_t i = 0; i < N_SHORT; i++)
        if (low->has[SHORT[i].c]) letters[n++] = (pd_char_range){SHORT[i].letter, SHORT[i].letter};
    return pd_rules_set(r, letters, n, false);
}

/* "0" or "1" and the second hexadecimal digit. */
static pd_node hex_part(pd_rules *r, const low_set *low, uint32_t high) {
    pd_char_range digits[16];
    uint32_t n = 0;
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t digit = i < 10 ? '0' + i : 'a' + i - 10;
        if (low->has[16 * high + i] && !short_letter(16 * high + i))
            digits[n++] = (pd_char_range){digit, digit};
    }
    const pd_node parts[] = {pd_rules_char(r, '0' + high), pd_rules_set(r, digits, n, false)};
    return pd_rules_seq(r, parts, 2);
}

static bool has_any_escaped(const low_set *low) {
    for (uint32_t c = 0; c < LOW; c++)
        if (low->has[c] && !is_plain(c)) return true;
    return false;
}

static pd_node escaped_part(pd_rules *r, const low_set *low) {
    const pd_node two[] = {hex_part(r, low, 0), hex_part(r, low, 1)};
    const pd_node hex[] = {pd_rules_text(r, "u00", 3), pd_rules_alt(r, two, 2)};
    const pd_node kinds[] = {short_part(r, low), pd_rules_seq(r, hex, 2)};
    const pd_node all[] = {pd_rules_char(r, '\\'), pd_rules_alt(r, kinds, 2)};
    return pd_rules_seq(r, all, 2);
}

pd_node pd_json_char(pd_rules *r, const pd_char_range *ranges, uint32_t n, bool others) {
    pd_node set = pd_rules_set(r, ranges, n, others);
    if (r->status != PD_OK) return 0;
    low_set low = low_of(r, set);
    if (!has_any_escaped(&low)) return set;
    const pd_node parts[] = {plain_part(r, set, &low), escaped_part(r, &low)};
    return pd_rules_alt(r, parts, 2);
}

/* ---- texts ----------------------------------------------------------------------------------- */

static void write_char(pd_bytes *out, uint32_t c) {
    char bytes[4], letter = short_letter(c);
    if (letter)
        pd_bytes_printf(out, "\\%c", letter);
    else if (c < FIRST_PLAIN)
        pd_bytes_printf(out, "\\u%04x", (unsigned)c);
    else
        pd_bytes_write(out, bytes, pd_utf8_encode(c, bytes));
}

pd_node pd_json_text(pd_rules *r, const char *text, size_t n) {
    pd_bytes written = {0};
    for (size_t at = 0; at < n;) write_char(&written, pd_utf8_next(text, n, &at));
    if (written.failed && r->status == PD_OK) r->status = PD_ERR_MEMORY_HOST;
    pd_node node = pd_rules_text(r, written.data, written.failed ? 0 : written.n);
    pd_bytes_free(&written);
    return node;
}

pd_node pd_json_space(pd_rules *r) {
    const pd_node line[] = {pd_rules_char(r, '\n'),
                            pd_rules_repeat(r, pd_rules_char(r, ' '), 0, MAX_INDENT)};
    const pd_node kinds[] = {pd_rules_seq(r, NULL, 0), pd_rules_char(r, ' '),
                             pd_rules_seq(r, line, 2)};
    return pd_rules_alt(r, kinds, 3);
}
