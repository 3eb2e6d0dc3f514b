/* See keyboard.h.  SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* ppoll */
#include "cli/chat/keyboard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"

static atomic_int resized;
static char buffer[4096]; /* bytes [at, end) are not handed out yet */
static size_t at, end;
static char pushed[64];
static size_t n_pushed;

static void on_resize(int signal_number) {
    (void)signal_number;
    atomic_store(&resized, 1);
}

void keyboard_open(void) {
    struct sigaction action = {.sa_handler = on_resize};
    sigemptyset(&action.sa_mask);
    sigaction(SIGWINCH, &action, NULL);
}

void keyboard_push(const char *bytes) {
    size_t n = strlen(bytes);
    if (n > sizeof pushed - n_pushed) return;
    memcpy(pushed + n_pushed, bytes, n);
    n_pushed += n;
}

static void block_signals(sigset_t *old) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, old);
}

/* True: there is something to tell besides bytes. */
static bool take_signal(keyboard_event *out) {
    int number = cli_interrupt_signal();
    if (number && number != SIGINT) {
        *out = KEYBOARD_END;
    } else if (number) {
        cli_interrupt_clear();
        *out = KEYBOARD_INTERRUPT;
    } else if (atomic_exchange(&resized, 0)) {
        *out = KEYBOARD_RESIZED;
    } else {
        return false;
    }
    return true;
}

/* Waits, with the signals let in, and reads. */
static keyboard_event fill(void) {
    keyboard_event event;
    sigset_t old;
    block_signals(&old);
    for (;;) {
        struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
        if (take_signal(&event)) break;
        int ready = ppoll(&fd, 1, NULL, &old);
        if (ready < 0 && errno == EINTR) continue;
        ssize_t n = ready < 0 ? -1 : read(STDIN_FILENO, buffer, sizeof buffer);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        event = n > 0 ? KEYBOARD_BYTE : KEYBOARD_END;
        at = 0;
        end = n > 0 ? (size_t)n : 0;
        break;
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
    return event;
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
