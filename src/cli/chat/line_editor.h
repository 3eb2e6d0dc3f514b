/* Messages from a terminal, with editing by libedit or line by line.
 *
 * What is pasted is one message, newlines and all (bracketed paste). Signals: SIGINT clears the
 * line; SIGTERM, SIGHUP and a terminal that is gone end the input.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CLI_CHAT_LINE_EDITOR_H
#define PD_CLI_CHAT_LINE_EDITOR_H

#include <stdio.h>

#include "base/bytes.h"
#include "cli/chat/complete.h"

typedef struct line_editor line_editor;

typedef struct line_editor_desc {
    FILE *out; /* where the prompt and the line are drawn: a terminal's */
    chat_complete_fn complete;
    chat_whole_fn is_whole; /* in multi-line mode: a line to be sent at once */
    const char *history;    /* file; NULL: none is kept */
} line_editor_desc;

typedef enum line_event {
    LINE_TEXT,        /* a message */
    LINE_CLEARED,     /* Ctrl-C, with text in the line */
    LINE_INTERRUPTED, /* Ctrl-C, without */
    LINE_END          /* Ctrl-D in an empty line, no terminal any more, or a signal to stop */
} line_event;

/* NULL: no memory. */
line_editor *line_editor_open(const line_editor_desc *desc);
void line_editor_close(line_editor *e); /* NULL is allowed */
/* prompt: may have \1 around what takes no room. initial: what the line begins with, or NULL; an
 * editor that cannot do that prints it. *text: emptied first. */
line_event line_editor_read(line_editor *e, const char *prompt, const char *initial, bool multiline,
                            pd_bytes *text);

/* line_libedit.c: NULL where libedit cannot be used. line_plain.c: the rest. */
typedef struct line_backend {
    void *(*open)(const line_editor_desc *desc);
    void (*close)(void *e);
    line_event (*read)(void *e, const char *prompt, const char *initial, bool multiline,
                       pd_bytes *text);
    void (*remember)(void *e, const char *text); /* in the history; may be NULL */
} line_backend;
extern const line_backend line_libedit, line_plain;

#endif
