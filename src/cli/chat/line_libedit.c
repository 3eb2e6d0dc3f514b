/* Editing by libedit; what keys do, line_keys.c says.
 *
 * libedit gets its characters from here: so it sees neither signals (SIGINT is the key ^C) nor the
 * inside of a pasted text, whose newlines would end the line.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/env.h"
#include "cli/chat/line_editor.h"

#ifndef PERIDOT_HAS_EDIT

static void *open_none(const line_editor_desc *desc) {
    (void)desc;
    return NULL;
}
const line_backend line_libedit = {.open = open_none};

#else

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/chat/history.h"
#include "cli/chat/keyboard.h"
#include "cli/chat/line_libedit.h"
#include "cli/chat/wide.h"

static wchar_t *get_prompt(EditLine *el) {
    static wchar_t none[] = L"";
    const editor *e = editor_of(el);
    return e && e->prompt ? e->prompt : none;
}

/* ---- characters ----------------------------------------------------------------------------- */

/* The rest of a character of UTF-8; what is none becomes U+FFFD. */
static wchar_t decode_rest(char lead) {
    char bytes[4] = {lead};
    size_t n = 1, need = pd_utf8_need((uint8_t)lead);
    while (n < need && keyboard_read(&bytes[n]) == KEYBOARD_BYTE) n++;
    return chat_wide_char(bytes, n);
}

/* In a window of another size: the row with the cursor anew. Rows above it stay as the terminal has
 * wrapped them, nobody knows how. */
static void redraw(const editor *e) {
    fputs("\r\033[J", e->out);
    el_resize(e->el);
    el_wset(e->el, EL_REFRESH);
}

static int read_key(EditLine *el, wchar_t *out) {
    editor *e = editor_of(el);
    char c;
    for (;;) {
        switch (keyboard_read(&c)) {
        case KEYBOARD_BYTE: *out = c & 0x80 ? decode_rest(c) : (wchar_t)c; return 1;
        case KEYBOARD_INTERRUPT: *out = L'\003'; return 1;
        case KEYBOARD_RESIZED: redraw(e); break;
        case KEYBOARD_END: e->event = LINE_END; return 0;
        }
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

/* libedit shows what the locale can write. */
static bool prepare_locale(void) {
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static void close_editor(void *state) {
    editor *e = state;
    if (e->el) el_end(e->el);
    if (e->history) history_wend(e->history);
    pd_free(e);
}

static void *open_editor(const line_editor_desc *desc) {
    const char *terminal = pd_env("TERM");
    bool dumb = !terminal || !terminal[0] || strcmp(terminal, "dumb") == 0;
    HistEventW unused;
    if (dumb || !prepare_locale()) return NULL;
    editor *e = pd_alloc(1, sizeof *e);
    if (!e) return NULL;
    e->out = desc->out;
    e->complete = desc->complete;
    e->is_whole = desc->is_whole;
    e->history = history_winit();
    e->el = el_init("peridot", stdin, desc->out, stderr);
    if (!e->el || !e->history) {
        close_editor(e);
        return NULL;
    }
    history_w(e->history, &unused, H_SETSIZE, (int)CHAT_HISTORY_MAX);
    history_w(e->history, &unused, H_SETUNIQUE, 1);
    el_wset(e->el, EL_CLIENTDATA, e);
    el_wset(e->el, EL_SIGNAL, 0);
    el_wset(e->el, EL_EDITOR, L"emacs");
    el_wset(e->el, EL_HIST, history_w, e->history);
    el_wset(e->el, EL_PROMPT_ESC, get_prompt, '\1');
    el_wset(e->el, EL_GETCFN, read_key);
    el_source(e->el, NULL); /* the user's own ~/.editrc; our keys win */
    line_bind_keys(e->el);
    return e;
}

static void remember(void *state, const char *text) {
    editor *e = state;
    HistEventW unused;
    wchar_t *wide = chat_wide_from_utf8(text, strlen(text));
    if (wide) history_w(e->history, &unused, H_ENTER, wide);
    pd_free(wide);
}

static void show(const editor *e, const char *text) {
    fputs(text, e->out);
    fflush(e->out);
}

static line_event read_message(void *state, const char *prompt, const char *initial, bool multiline,
                               pd_bytes *text) {
    editor *e = state;
    int n = 0;
    e->event = LINE_TEXT;
    e->multiline = multiline;
    e->prompt = chat_wide_from_utf8(prompt, strlen(prompt));
    e->initial = initial ? chat_wide_from_utf8(initial, strlen(initial)) : NULL;
    if (e->initial) keyboard_push(SEQUENCE_INITIAL);
    el_wset(e->el, EL_PREP_TERM,
            1); /* before the prompt: Ctrl-D is a key as soon as that is there */
    show(e, PASTE_ON);
    const wchar_t *line = el_wgets(e->el, &n);
    show(e, PASTE_OFF);
    if (!line || n <= 0) e->event = LINE_END;
    char *utf8 = line && n > 0 ? chat_wide_to_utf8(line, (size_t)n) : NULL;
    if (utf8 && e->event == LINE_TEXT) pd_bytes_write(text, utf8, strlen(utf8));
    pd_free(utf8);
    pd_free(e->prompt);
    pd_free(e->initial);
    e->prompt = e->initial = NULL;
    return e->event;
}

const line_backend line_libedit = {
    .open = open_editor, .close = close_editor, .read = read_message, .remember = remember};

#endif
