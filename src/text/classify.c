/* What each token of a list is: ordinary, byte, added, control or padding.
 *
 * Decided by the token's string and, in two stretches that carry Gemma's layout, by its id:
 *
 *     0-3, 105, 106          control           107-237   runs of newlines and spaces, HTML tags
 *     4, 5, 6-104            added             255968-255998  runs of tabs (full lists only)
 *     255999, 256000, 262144 control           256001-262143  <unused99>... (full lists only)
 *
 * A pruned list keeps the ids below 494; beyond them only strings count. A slot whose <unusedN> was
 * renamed holds a marker of a fine-tuned model, so it is control: plain text must not forge it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "text/classify.h"

#include <string.h>

enum { HEAD_END = 238, FIRST_TAB = 255968, LAST_TAB = 255998 };

static bool is_text(pd_string s, const char *text) {
    size_t n = strlen(text);
    return s.n == n && memcmp(s.data, text, n) == 0;
}

static bool is_control_name(pd_string s) {
    static const char *const names[] = {"<pad>",
                                        "<eos>",
                                        "<bos>",
                                        "<unk>",
                                        "<start_of_turn>",
                                        "<end_of_turn>",
                                        "<start_of_image>",
                                        "<end_of_image>",
                                        "<image_soft_token>"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is_text(s, names[i])) return true;
    return false;
}

static bool is_unused_name(pd_string s) {
    static const char head[] = "<unused";
    size_t n_head = sizeof head - 1;
    if (s.n < n_head + 2 || memcmp(s.data, head, n_head) != 0 || s.data[s.n - 1] != '>')
        return false;
    for (uint64_t i = n_head; i + 1 < s.n; i++)
        if (s.data[i] < '0' || s.data[i] > '9') return false;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int pd_classify_byte(pd_string s) {
    if (s.n != 6 || memcmp(s.data, "<0x", 3) != 0 || s.data[5] != '>') return -1;
    int hi = hex_digit(s.data[3]), lo = hex_digit(s.data[4]);
    return hi < 0 || lo < 0 ? -1 : hi * 16 + lo;
}

/* One of "\n"..., "\t"..., or at least two spaces written either way. */
static bool is_run(pd_string s) {
    if (s.n == 0) return false;
    if (s.data[0] == '\n' || s.data[0] == '\t' || s.data[0] == ' ') {
        for (uint64_t i = 1; i < s.n; i++)
            if (s.data[i] != s.data[0]) return false;
        return s.data[0] != ' ' || s.n >= 2;
    }
    if (s.n < 6 || s.n % 3 != 0) return false;
    for (uint64_t i = 0; i < s.n; i += 3)
        if (memcmp(s.data + i, PD_SPACE_MARK, 3) != 0) return false;
    return true;
}

void pd_classify_init(pd_classifier *c, uint32_t count) {
    *c = (pd_classifier){.count = count, .has_head = count >= HEAD_END, .has_tail = true};
    if (count < PD_VOCAB_REAL_COUNT) c->has_tail = false;
}

void pd_classify_check(pd_classifier *c, uint32_t id, pd_string s) {
    if ((id == PD_TOKEN_BOS && !is_text(s, "<bos>")) || (id == 107 && !is_text(s, "\n")) ||
        (id == HEAD_END && !is_text(s, "<0x00>")))
        c->has_head = c->has_tail = false;
    if ((id == FIRST_TAB && !is_text(s, "\t")) ||
        (id == PD_TOKEN_START_OF_IMAGE && !is_text(s, "<start_of_image>")))
        c->has_tail = false;
}

static pd_token_kind kind_in_head(uint32_t id, pd_string s) {
    if (id <= PD_TOKEN_UNK || id == PD_TOKEN_START_OF_TURN || id == PD_TOKEN_END_OF_TURN)
        return PD_KIND_CONTROL;
    if (id >= 6 && id < PD_TOKEN_START_OF_TURN && !is_unused_name(s)) return PD_KIND_CONTROL;
    return PD_KIND_ADDED;
}

pd_token_kind pd_classify(const pd_classifier *c, uint32_t id, pd_string s) {
    if (id > PD_VOCAB_REAL_COUNT) return PD_KIND_PADDING;
    if (is_control_name(s)) return PD_KIND_CONTROL;
    if (id == PD_VOCAB_REAL_COUNT) return PD_KIND_PADDING;
    if (c->has_head && id < HEAD_END) return kind_in_head(id, s);
    if (pd_classify_byte(s) >= 0) return PD_KIND_BYTE;
    if (is_run(s) || is_unused_name(s)) return PD_KIND_ADDED;
    if (is_text(s, "<mask>") || is_text(s, "[multimodal]")) return PD_KIND_ADDED;
    if (c->has_tail && id >= FIRST_TAB) return id <= LAST_TAB ? PD_KIND_ADDED : PD_KIND_CONTROL;
    return PD_KIND_ORDINARY;
}
