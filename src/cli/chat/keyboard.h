/* Bytes from a terminal, with the signals that may come while one waits for them.
 *
 * Signals are let in only while nothing is there to be read, so that none falls between a look and
 * a wait. What is static here belongs to the process: there is one standard input.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CLI_CHAT_KEYBOARD_H
#define PD_CLI_CHAT_KEYBOARD_H

#include <stdbool.h>

#include "base/bytes.h"

typedef enum keyboard_event {
    KEYBOARD_BYTE,
    KEYBOARD_INTERRUPT, /* SIGINT, which counts as handled */
    KEYBOARD_RESIZED,   /* the window */
    KEYBOARD_END        /* of the input, for now or for good; or a signal to stop, not handled */
} keyboard_event;

/* From now on SIGWINCH is noticed. */
void keyboard_open(void);
keyboard_event keyboard_read(char *byte);
/* Bytes that come before all others. */
void keyboard_push(const char *bytes);

/* What a terminal puts before and behind a pasted text, once asked to. */
#define PASTE_ON    "\033[?2004h"
#define PASTE_OFF   "\033[?2004l"
#define PASTE_BEGIN "\033[200~"
#define PASTE_END   "\033[201~"
/* The rest of a pasted text up to its end, which is taken away. Newlines of any kind become '\n';
 * other control characters but tabs are left out. False: the input ended. */
bool keyboard_read_paste(pd_bytes *out);

#endif
