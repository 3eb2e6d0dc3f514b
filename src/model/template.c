/* Gemma's chat template (template.h has its text).
 *
 * The original is the Jinja template in tokenizer_config.json. Its details: a system turn counts
 * only as the first one, is not trimmed, and goes before the first remaining turn's text; every
 * other text is trimmed by Python's str.strip(), whose white space is Unicode's; turn k (from 0,
 * after the system turn) must be the user's exactly when k is even. It writes any other role into
 * the prompt; here it must be one that the model has seen.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/template.h"

#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"

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

/* ---- spans ---------------------------------------------------------------------------------- */

static void add_span(pd_span_list *list, pd_span span) {
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 32;
        pd_span *bigger = pd_alloc(cap, sizeof *bigger);
        list->failed |= !bigger;
        if (!bigger) return;
        if (list->n) memcpy(bigger, list->spans, list->n * sizeof *bigger);
        pd_free(list->spans);
        list->spans = bigger;
        list->cap = cap;
    }
    list->spans[list->n++] = span;
}

static void add_token(pd_span_list *list, uint32_t id) {
    add_span(list, (pd_span){.id = id});
}

static void add_text(pd_span_list *list, const char *text, size_t n_bytes) {
    if (n_bytes > 0) add_span(list, (pd_span){PD_SPAN_TEXT, text, n_bytes});
}

static void add_string(pd_span_list *list, const char *text) {
    add_text(list, text, strlen(text));
}

static void add_image(pd_span_list *list) {
    add_string(list, "\n\n");
    add_token(list, PD_TOKEN_START_OF_IMAGE);
    add_token(list, PD_TOKEN_IMAGE);
    add_token(list, PD_TOKEN_END_OF_IMAGE);
    add_string(list, "\n\n");
}

static void add_image_and_crops(pd_span_list *list, uint32_t n_crops) {
    if (n_crops > 0) add_string(list, "Here is the original image ");
    add_image(list);
    for (uint32_t i = 0; i < n_crops; i++) {
        add_string(list, i ? " " : " and here are some crops to help you see better ");
        add_image(list);
    }
}

/* Bytes [begin, end) of a text and the images that stand there, both borders included. */
static void add_text_with_images(pd_span_list *list, const char *text, size_t begin, size_t end,
                                 const pd_image_place *images, size_t n_images) {
    for (size_t i = 0; i < n_images; i++) {
        add_text(list, text + begin, images[i].at - begin);
        add_image_and_crops(list, images[i].n_crops);
        begin = images[i].at;
    }
    add_text(list, text + begin, end - begin);
}

static pd_status check_places(const pd_image_place *images, size_t n_images, size_t n_bytes,
                              pd_error *err) {
    if (!images && n_images > 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the places of %zu images are NULL", n_images);
    for (size_t i = 0; i < n_images; i++) {
        if (images[i].n_crops > PD_MAX_CROPS)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "image %zu has %u windows, but at most %d count",
                            i, images[i].n_crops, PD_MAX_CROPS);
        if (images[i].at <= n_bytes && (i == 0 || images[i].at >= images[i - 1].at)) continue;
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "image %zu stands at byte %zu, which is not in the text behind the image "
                        "before it",
                        i, images[i].at);
    }
    return PD_OK;
}

static pd_status finish_list(pd_span_list *list, pd_error *err) {
    if (!list->failed) return PD_OK;
    pd_span_list_free(list);
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the parts of a prompt");
}

pd_status pd_template_text(const char *text, size_t n_bytes, const pd_image_place *images,
                           size_t n_images, pd_span_list *out, pd_error *err) {
    *out = (pd_span_list){0};
    if (!text && n_bytes > 0) return PD_RAISE(err, PD_ERR_ARGUMENT, "the text is NULL");
    PD_TRY(check_places(images, n_images, n_bytes, err));
    add_text_with_images(out, text ? text : "", 0, n_bytes, images, n_images);
    return finish_list(out, err);
}

/* ---- turns ---------------------------------------------------------------------------------- */

/* The turn's text without the white space around it; what stands around an image is not white
 * space.
 */
static void add_trimmed(pd_span_list *list, const pd_chat_turn *turn) {
    const char *text = turn->text ? turn->text : ""; /* without bytes it may be NULL */
    const uint8_t *s = (const uint8_t *)text;
    size_t begin = 0, end = turn->n_bytes, k;
    size_t first = turn->n_images ? turn->images[0].at : end;
    size_t last = turn->n_images ? turn->images[turn->n_images - 1].at : 0;
    while (begin < first && (k = pd_utf8_length(s + begin, end - begin)) > 0 &&
           is_space(s + begin, k))
        begin += k;
    if (last < begin) last = begin;
    while (end > last && (k = last_space(s + last, end - last)) > 0) end -= k;
    add_text_with_images(list, text, begin, end, turn->images, turn->n_images);
}

static void add_turn(pd_span_list *list, const pd_chat_turn *turn, const pd_chat_turn *system) {
    add_token(list, PD_TOKEN_START_OF_TURN);
    add_string(list, is_role(turn, "assistant") ? "model" : turn->role);
    add_string(list, "\n");
    if (system) {
        add_text(list, system->text, system->n_bytes);
        add_string(list, "\n\n");
    }
    add_trimmed(list, turn);
    add_token(list, PD_TOKEN_END_OF_TURN);
    add_string(list, "\n");
}

/* `first`: the first turn behind a system turn. */
static pd_status check_role(const pd_chat_turn *turns, size_t i, size_t first, pd_error *err) {
    const pd_chat_turn *turn = &turns[i];
    bool user = is_role(turn, "user"), model = is_role(turn, "assistant") || is_role(turn, "model");
    bool system = is_role(turn, "system");
    if (!user && !model && !system)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "turn %zu of the chat has the role \"%.32s\"; known are system, user, "
                        "assistant and model",
                        i, turn->role);
    if (user != ((i - first) % 2 == 0))
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "Conversation roles must alternate user/assistant/user/assistant/..., "
                        "but turn %zu is \"%.32s\"",
                        i, turn->role);
    if (system)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "turn %zu of the chat is a system turn, which can only be the first", i);
    return PD_OK;
}

static pd_status check_turns(const pd_chat_turn *turns, size_t n_turns, pd_error *err) {
    if (n_turns == 0) return PD_RAISE(err, PD_ERR_ARGUMENT, "a chat needs at least one turn");
    if (!turns) return PD_RAISE(err, PD_ERR_ARGUMENT, "the chat's turns are NULL");
    for (size_t i = 0; i < n_turns; i++)
        if (!turns[i].role || (!turns[i].text && turns[i].n_bytes > 0))
            return PD_RAISE(err, PD_ERR_ARGUMENT, "turn %zu of the chat has no role or no text", i);
    for (size_t i = 0; i < n_turns; i++)
        PD_TRY(check_places(turns[i].images, turns[i].n_images, turns[i].n_bytes, err));
    size_t first = is_role(&turns[0], "system");
    if (first && turns[0].n_images > 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a system turn has no place for images");
    if (first == n_turns)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a system turn needs a user turn behind it");
    for (size_t i = first; i < n_turns; i++) PD_TRY(check_role(turns, i, first, err));
    return PD_OK;
}

pd_status pd_template_render(const pd_chat_turn *turns, size_t n_turns, bool open_answer,
                             pd_span_list *out, pd_error *err) {
    *out = (pd_span_list){0};
    PD_TRY(check_turns(turns, n_turns, err));
    const pd_chat_turn *system = is_role(&turns[0], "system") ? &turns[0] : NULL;
    size_t first = system ? 1 : 0;
    add_token(out, PD_TOKEN_BOS);
    for (size_t i = first; i < n_turns; i++) add_turn(out, &turns[i], i == first ? system : NULL);
    if (open_answer) {
        add_token(out, PD_TOKEN_START_OF_TURN);
        add_string(out, "model\n");
    }
    return finish_list(out, err);
}

void pd_span_list_free(pd_span_list *list) {
    pd_free(list->spans);
    *list = (pd_span_list){0};
}
