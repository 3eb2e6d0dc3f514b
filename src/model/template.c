/* Gemma's chat template (template.h has its text).
 *
 * The original is the Jinja template in tokenizer_config.json. Its details: a system turn counts
 * only as the first one, is not trimmed, and goes before the first remaining turn's text; every
 * other text is trimmed by Python's str.strip(), whose white space is Unicode's; turn k (from 0,
 * after the system turn) must be the user's exactly when k is even.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/template.h"

#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"

enum { SPANS_PER_TURN = 8, SPANS_AROUND = 4 };

static bool is_role(const pd_chat_turn *turn, const char *role) {
    return strcmp(turn->role, role) == 0;
}

/* Python's str.isspace() for a character of n bytes. */
static bool is_space(const uint8_t *s, size_t n) {
    static const char *const others[] = {"\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80",
                                         "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF",
                                         "\xE2\x81\x9F", "\xE3\x80\x80"};
    if (n == 1) return (*s >= 9 && *s <= 13) || (*s >= 28 && *s <= 32);
    if (n == 3 && s[0] == 0xE2 && s[1] == 0x80 && s[2] <= 0x8A) return true; /* U+2000..U+200A */
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strlen(others[i]) == n && memcmp(others[i], s, n) == 0) return true;
    return false;
}

/* Length of the white-space character that ends at s[n], 0 when none does. */
static size_t last_space(const uint8_t *s, size_t n) {
    for (size_t k = 1; k <= 3 && k <= n; k++)
        if (pd_utf8_length(s + n - k, k) == k) return is_space(s + n - k, k) ? k : 0;
    return 0;
}

static pd_span trimmed(const pd_chat_turn *turn) {
    const uint8_t *s = (const uint8_t *)turn->text;
    size_t n = turn->n_bytes, k;
    while (n > 0 && (k = pd_utf8_length(s, n)) > 0 && is_space(s, k)) {
        s += k;
        n -= k;
    }
    while (n > 0 && (k = last_space(s, n)) > 0) n -= k;
    return (pd_span){PD_SPAN_TEXT, (const char *)s, n};
}

static void add_token(pd_span_list *list, uint32_t id) {
    list->spans[list->n++] = (pd_span){.id = id};
}

static void add_text(pd_span_list *list, const char *text, size_t n_bytes) {
    if (n_bytes > 0) list->spans[list->n++] = (pd_span){PD_SPAN_TEXT, text, n_bytes};
}

static void add_turn(pd_span_list *list, const pd_chat_turn *turn, const pd_chat_turn *system) {
    const char *role = is_role(turn, "assistant") ? "model" : turn->role;
    pd_span text = trimmed(turn);
    add_token(list, PD_TOKEN_START_OF_TURN);
    add_text(list, role, strlen(role));
    add_text(list, "\n", 1);
    if (system) {
        add_text(list, system->text, system->n_bytes);
        add_text(list, "\n\n", 2);
    }
    add_text(list, text.text, text.n_bytes);
    add_token(list, PD_TOKEN_END_OF_TURN);
    add_text(list, "\n", 1);
}

static pd_status check_turns(const pd_chat_turn *turns, size_t n_turns, pd_error *err) {
    if (n_turns == 0) return PD_RAISE(err, PD_ERR_ARGUMENT, "a chat needs at least one turn");
    for (size_t i = 0; i < n_turns; i++)
        if (!turns[i].role || (!turns[i].text && turns[i].n_bytes > 0))
            return PD_RAISE(err, PD_ERR_ARGUMENT, "turn %zu of the chat has no role or no text", i);
    size_t first = is_role(&turns[0], "system");
    if (first == n_turns)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a system turn needs a user turn behind it");
    for (size_t i = first; i < n_turns; i++)
        if (is_role(&turns[i], "user") != ((i - first) % 2 == 0))
            return PD_RAISE(err, PD_ERR_ARGUMENT,
                            "Conversation roles must alternate user/assistant/user/assistant/..., "
                            "but turn %zu is \"%.32s\"",
                            i, turns[i].role);
    return PD_OK;
}

pd_status pd_template_render(const pd_chat_turn *turns, size_t n_turns, bool open_answer,
                             pd_span_list *out, pd_error *err) {
    *out = (pd_span_list){0};
    PD_TRY(check_turns(turns, n_turns, err));
    uint64_t n_max;
    if (!pd_mul_u64(n_turns, SPANS_PER_TURN, &n_max) ||
        !(out->spans = pd_alloc(n_max + SPANS_AROUND, sizeof *out->spans)))
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a chat of %zu turns", n_turns);
    const pd_chat_turn *system = is_role(&turns[0], "system") ? &turns[0] : NULL;
    size_t first = system ? 1 : 0;
    add_token(out, PD_TOKEN_BOS);
    for (size_t i = first; i < n_turns; i++) add_turn(out, &turns[i], i == first ? system : NULL);
    if (open_answer) {
        add_token(out, PD_TOKEN_START_OF_TURN);
        add_text(out, "model\n", 6);
    }
    return PD_OK;
}

void pd_span_list_free(pd_span_list *list) {
    pd_free(list->spans);
    *list = (pd_span_list){0};
}
