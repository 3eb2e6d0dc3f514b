/* See keyboard.h.  SPDX-License-Identifier: MIT */
#include "cli/chat/keyboard.h"

#include <string.h>

#include "base/console_input.h"
#include "base/process.h"
#include "cli/commands.h"

static bool is_resized;   /* and nobody was told */
static char buffer[4096]; /* bytes [at, end) are not handed out yet */
static size_t at, end;
static char pushed[64];
static size_t n_pushed;

void keyboard_open(void) {
    pd_input_watch_size();
}

void keyboard_push(const char *bytes) {
    size_t n = strlen(bytes);
    if (n > sizeof pushed - n_pushed) return;
    memcpy(pushed + n_pushed, bytes, n);
    n_pushed += n;
}

static bool is_asked(void) {
    if (pd_input_size_changed()) is_resized = true;
    return cli_interrupt_signal() != 0 || is_resized;
}

static keyboard_event take_signal(void) {
    int number = cli_interrupt_signal();
    if (number && number != PD_STOP_INTERRUPT) return KEYBOARD_END;
    if (number) {
        cli_interrupt_clear();
        return KEYBOARD_INTERRUPT;
    }
    is_resized = false;
    return KEYBOARD_RESIZED;
}

static keyboard_event fill(void) {
    at = 0;
    switch (pd_input_wait(buffer, sizeof buffer, &end, is_asked)) {
    case PD_INPUT_SIGNAL: return take_signal();
    case PD_INPUT_END: return KEYBOARD_END;
    case PD_INPUT_BYTES: break;
    }
    return KEYBOARD_BYTE;
}

keyboard_event keyboard_read(char *byte) {
    if (n_pushed > 0) {
        *byte = pushed[0];
        memmove(pushed, pushed + 1, --n_pushed);
        return KEYBOARD_BYTE;
    }
    if (at == end) {
        keyboard_event event = fill();
        if (event != KEYBOARD_BYTE) return event;
    }
    *byte = buffer[at++];
    return KEYBOARD_BYTE;
}

/* ---- pasting -------------------------------------------------------------------------------- */

/* Terminals send '\r' for a newline, drivers swap it with '\n': of two different ones the second
 * belongs to the first. */
static void add_pasted(pd_bytes *out, char c, char *last) {
    bool newline = c == '\r' || c == '\n', pair = newline && *last && *last != c;
    *last = newline && !pair ? c : '\0';
    if (newline && !pair) pd_bytes_write(out, "\n", 1);
    if (!newline && (c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f)))
        pd_bytes_write(out, &c, 1);
}

bool keyboard_read_paste(pd_bytes *out) {
    static const char mark[] = PASTE_END;
    size_t n_mark = 0;
    char c, last = '\0';
    for (;;) {
        keyboard_event event = keyboard_read(&c);
        if (event == KEYBOARD_END) return false;
        if (event == KEYBOARD_INTERRUPT) return true;
        if (event != KEYBOARD_BYTE) continue;
        if (c == mark[n_mark]) {
            if (++n_mark == sizeof mark - 1) return true;
            continue;
        }
        for (size_t i = 0; i < n_mark; i++) add_pasted(out, mark[i], &last);
        n_mark = c == mark[0];
        if (!n_mark) add_pasted(out, c, &last);
    }
}
