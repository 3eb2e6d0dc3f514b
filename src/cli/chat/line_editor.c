/* See line_editor.h: which of the two editors, and the history's file.  SPDX-License-Identifier:
 * MIT */
#include "cli/chat/line_editor.h"

#include <string.h>

#include "base/memory.h"
#include "cli/chat/history.h"
#include "cli/chat/keyboard.h"

struct line_editor {
    const line_backend *backend;
    void *state;
    char *history; /* file, or NULL */
};

static void recall(void *ctx, const char *text) {
    const line_editor *e = ctx;
    e->backend->remember(e->state, text);
}

line_editor *line_editor_open(const line_editor_desc *desc) {
    line_editor *e = pd_alloc(1, sizeof *e);
    if (!e) return NULL;
    keyboard_open();
    e->backend = &line_libedit;
    e->state = e->backend->open(desc);
    if (!e->state) {
        e->backend = &line_plain;
        e->state = e->backend->open(desc);
    }
    if (!e->state) {
        pd_free(e);
        return NULL;
    }
    e->history = desc->history && e->backend->remember ? pd_strdup(desc->history) : NULL;
    if (e->history) chat_history_read(e->history, recall, e);
    return e;
}

void line_editor_close(line_editor *e) {
    if (!e) return;
    e->backend->close(e->state);
    pd_free(e->history);
    pd_free(e);
}

line_event line_editor_read(line_editor *e, const char *prompt, const char *initial, bool multiline,
                            pd_bytes *text) {
    text->n = 0;
    pd_bytes_write(text, "", 0);
    line_event event = e->backend->read(e->state, prompt, initial, multiline, text);
    while (text->n > 0 && text->data[text->n - 1] == '\n') text->data[--text->n] = '\0';
    if (event == LINE_TEXT && text->n > 0 && e->history) {
        e->backend->remember(e->state, text->data);
        chat_history_append(e->history, text->data);
    }
    return event;
}
