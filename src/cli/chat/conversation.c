/* See conversation.h: the list of turns.  SPDX-License-Identifier: MIT */
#include "cli/chat/conversation.h"

#include <ctype.h>
#include <string.h>

#include "base/memory.h"
#include "cli/commands.h"
#include "text/image_markers.h"

static pd_status raise_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the conversation");
}

/* n bytes and a NUL; NULL: no memory */
static char *copy_text(const char *text, size_t n) {
    char *copy = pd_alloc(n + 1, 1);
    if (copy && n) memcpy(copy, text, n);
    return copy;
}

/* ---- a turn --------------------------------------------------------------------------------- */

/* As on the command line: pictures go where the text says <image>, or before it. */
static pd_status place_pictures(chat_turn *t, pd_error *err) {
    size_t n = t->pictures.n;
    if (n == 0) return PD_OK;
    size_t n_found = pd_image_markers_take(t->text, &t->n_text, t->places, n);
    for (size_t i = 0; i < n; i++) t->places[i].n_crops = (uint32_t)t->pictures.items[i].list.n - 1;
    if (n_found == 0 || n_found == n) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT,
                    "the message has places for %zu pictures, but %zu are attached", n_found, n);
}

pd_status chat_turn_make(const char *typed, size_t n_typed, chat_pictures *pictures, chat_turn *out,
                         pd_error *err) {
    static chat_pictures none;
    if (!pictures) pictures = &none;
    *out = (chat_turn){.n_typed = n_typed, .n_text = n_typed, .pictures = *pictures};
    out->typed = copy_text(typed, n_typed);
    out->text = copy_text(typed, n_typed);
    out->places = pd_alloc(out->pictures.n + 1, sizeof *out->places);
    pd_status status = out->typed && out->text && out->places ? PD_OK : raise_memory(err);
    if (status == PD_OK) status = cli_check_utf8("the message", typed, n_typed, err);
    if (status == PD_OK) status = place_pictures(out, err);
    if (status != PD_OK) {
        out->pictures = (chat_pictures){0};
        chat_turn_free(out);
        return status;
    }
    *pictures = (chat_pictures){0};
    return PD_OK;
}

pd_status chat_turn_set_answer(chat_turn *t, const char *text, size_t n_text, const uint32_t *ids,
                               size_t n_ids, pd_error *err) {
    char *answer = copy_text(text, n_text);
    uint32_t *copy = pd_alloc(n_ids + 1, sizeof *copy);
    if (!answer || !copy) {
        pd_free(answer);
        pd_free(copy);
        return raise_memory(err);
    }
    if (n_ids) memcpy(copy, ids, n_ids * sizeof *copy);
    pd_free(t->answer);
    pd_free(t->ids);
    t->answer = answer;
    t->n_answer = n_text;
    t->ids = copy;
    t->n_ids = n_ids;
    return PD_OK;
}

void chat_turn_free(chat_turn *t) {
    pd_free(t->typed);
    pd_free(t->text);
    pd_free(t->places);
    pd_free(t->answer);
    pd_free(t->ids);
    chat_pictures_free(&t->pictures);
    *t = (chat_turn){0};
}

/* ---- the list ------------------------------------------------------------------------------- */

pd_status chat_push(chat_conversation *c, chat_turn *t, pd_error *err) {
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 16;
        chat_turn *bigger = pd_alloc(cap, sizeof *bigger);
        if (!bigger) {
            chat_turn_free(t);
            return raise_memory(err);
        }
        if (c->n) memcpy(bigger, c->turns, c->n * sizeof *bigger);
        pd_free(c->turns);
        c->turns = bigger;
        c->cap = cap;
    }
    c->turns[c->n++] = *t;
    *t = (chat_turn){0};
    return PD_OK;
}

chat_turn *chat_last(chat_conversation *c) {
    return c->n ? &c->turns[c->n - 1] : NULL;
}

void chat_take_last(chat_conversation *c, chat_turn *out) {
    *out = c->turns[--c->n];
}

void chat_drop_first(chat_conversation *c, size_t n) {
    for (size_t i = 0; i < n; i++) chat_turn_free(&c->turns[i]);
    c->n -= n;
    if (n) memmove(c->turns, c->turns + n, c->n * sizeof *c->turns);
}

void chat_clear(chat_conversation *c) {
    chat_drop_first(c, c->n);
}

void chat_free(chat_conversation *c) {
    chat_clear(c);
    pd_free(c->turns);
    pd_free(c->system);
    *c = (chat_conversation){0};
}

static bool is_blank(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isspace((unsigned char)text[i])) return false;
    return true;
}

pd_status chat_set_system(chat_conversation *c, const char *text, size_t n, pd_error *err) {
    char *copy = NULL;
    if (text && !is_blank(text, n)) {
        PD_TRY(cli_check_utf8("the system prompt", text, n, err));
        copy = copy_text(text, n);
        if (!copy) return raise_memory(err);
    }
    pd_free(c->system);
    c->system = copy;
    c->n_system = copy ? n : 0;
    return PD_OK;
}
