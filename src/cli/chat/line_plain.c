/* Lines as the terminal's driver gives them, for when there is no libedit or no terminal that can
 * do more. Ctrl-C has cleared the line already when it is noticed; whether there was one, nobody
 * tells.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/memory.h"
#include "cli/chat/keyboard.h"
#include "cli/chat/line_editor.h"

typedef struct plain {
    FILE *out;
    chat_whole_fn is_whole;
    bool pastes; /* the terminal was asked to mark what is pasted */
} plain;

static void *open_plain(const line_editor_desc *desc) {
    plain *p = pd_alloc(1, sizeof *p);
    const char *terminal = pd_env("TERM");
    if (!p) return NULL;
    *p = (plain){.out = desc->out,
                 .is_whole = desc->is_whole,
                 .pastes = terminal && terminal[0] && strcmp(terminal, "dumb") != 0};
    return p;
}

static void show(const plain *p, const char *text) {
    fputs(text, p->out);
    fflush(p->out);
}

static void show_prompt(const plain *p, const char *prompt) {
    for (; *prompt; prompt++)
        if (*prompt != '\1') fputc(*prompt, p->out);
    fflush(p->out);
}

/* A pasted text's beginning at the end of what was read is taken away. */
static bool ends_with_mark(pd_bytes *text) {
    size_t n = strlen(PASTE_BEGIN);
    if (text->n < n || memcmp(text->data + text->n - n, PASTE_BEGIN, n) != 0) return false;
    text->n -= n;
    text->data[text->n] = '\0';
    return true;
}

/* One line behind what text has, its newline not included; pasted ones with those within. */
static line_event read_line(const plain *p, pd_bytes *text) {
    size_t first = text->n;
    char c;
    for (;;) {
        switch (keyboard_read(&c)) {
        case KEYBOARD_RESIZED: continue;
        case KEYBOARD_INTERRUPT: return text->n > 0 ? LINE_CLEARED : LINE_INTERRUPTED;
        case KEYBOARD_END: return text->n > first ? LINE_TEXT : LINE_END;
        case KEYBOARD_BYTE: break;
        }
        if (c == '\n') return LINE_TEXT;
        pd_bytes_write(text, &c, 1);
        if (p->pastes && ends_with_mark(text) && !keyboard_read_paste(text)) return LINE_END;
    }
}

/* Lines up to an empty one. */
static line_event read_lines(const plain *p, pd_bytes *text) {
    for (;;) {
        size_t first = text->n;
        line_event event = read_line(p, text);
        if (event == LINE_END && first > 0) return LINE_TEXT;
        if (event != LINE_TEXT) return event;
        if (text->n == first) return LINE_TEXT;
        if (first == 0 && p->is_whole(text->data)) return LINE_TEXT;
        pd_bytes_write(text, "\n", 1);
    }
}

static line_event read_plain(void *state, const char *prompt, const char *initial, bool multiline,
                             pd_bytes *text) {
    const plain *p = state;
    if (initial) {
        show(p, initial);
        show(p, "\n");
    }
    if (p->pastes) show(p, PASTE_ON);
    show_prompt(p, prompt);
    line_event event = multiline ? read_lines(p, text) : read_line(p, text);
    if (p->pastes) show(p, PASTE_OFF);
    if (event != LINE_TEXT) show(p, "\n");
    return event;
}

const line_backend line_plain = {
    .open = open_plain, .close = pd_free, .read = read_plain, .remember = NULL};
