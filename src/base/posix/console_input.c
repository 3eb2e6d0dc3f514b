/* See base/console_input.h.  SPDX-License-Identifier: MIT */
#include "base/console_input.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/select.h>
#include <unistd.h>

static atomic_int resized;

static void on_resize(int signal_number) {
    (void)signal_number;
    atomic_store(&resized, 1);
}

void pd_input_watch_size(void) {
    struct sigaction action = {.sa_handler = on_resize};
    sigemptyset(&action.sa_mask);
    sigaction(SIGWINCH, &action, NULL);
}

bool pd_input_size_changed(void) {
    return atomic_exchange(&resized, 0) != 0;
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

/* A signal between the question and the wait would be lost: they are let in by pselect alone. */
pd_input pd_input_wait(char *bytes, size_t most, size_t *n, bool (*is_asked)(void)) {
    pd_input result = PD_INPUT_SIGNAL;
    sigset_t old;
    *n = 0;
    block_signals(&old);
    while (!is_asked()) {
        fd_set input;
        FD_ZERO(&input);
        FD_SET(STDIN_FILENO, &input);
        int ready = pselect(STDIN_FILENO + 1, &input, NULL, NULL, NULL, &old);
        if (ready < 0 && errno == EINTR) continue;
        ssize_t got = ready < 0 ? -1 : read(STDIN_FILENO, bytes, most);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        result = got > 0 ? PD_INPUT_BYTES : PD_INPUT_END;
        *n = got > 0 ? (size_t)got : 0;
        break;
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
    return result;
}
