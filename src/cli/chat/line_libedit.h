/* Between the two files of the editor with libedit.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_CHAT_LINE_LIBEDIT_H
#define PD_CLI_CHAT_LINE_LIBEDIT_H

#include <histedit.h>

#include "cli/chat/line_editor.h"

/* No key sends these: they stand for libedit's own functions, and for the initial text. */
#define SEQUENCE_NEWLINE "\033[9998~"
#define SEQUENCE_DELETE  "\033[9997~"
#define SEQUENCE_INITIAL "\033[9999~"

typedef struct editor {
    EditLine *el;
    HistoryW *history;
    FILE *out;
    chat_complete_fn complete;
    chat_whole_fn is_whole;
    wchar_t *prompt, *initial;
    bool multiline;
    line_event event;
} editor;

/* line_keys.c: what keys do. */
void line_bind_keys(EditLine *el);

static inline editor *editor_of(EditLine *el) {
    void *e = NULL;
    el_wget(el, EL_CLIENTDATA, &e);
    return e;
}

#endif
