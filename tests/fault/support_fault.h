/* What the fault tests share: the fault-injecting Vulkan layer, a place to name when something
 * crashes or hangs, and what a failed call must have left.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEST_SUPPORT_FAULT_H
#define PD_TEST_SUPPORT_FAULT_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peridot.h"

enum { HANG_S = 120 };

/* ---- where a crash or a hang was ------------------------------------------------------------- */

static char where[256]; /* "session: call 12 fails" */

static void tell_where(void) {
    (void)!write(STDERR_FILENO, where, strlen(where));
    (void)!write(STDERR_FILENO, "\n", 1);
}

static void on_signal(int number) {
    (void)!write(STDERR_FILENO, "hangs or crashes at ", 20);
    tell_where();
    signal(number, SIG_DFL);
    raise(number);
}

/* The address sanitizer has its own handlers, and calls this. */
void __asan_on_error(void);
void __asan_on_error(void) {
    tell_where();
}

static void watch(void) {
    static const int numbers[] = {SIGALRM, SIGABRT,
#ifndef __SANITIZE_ADDRESS__
                                  SIGSEGV, SIGBUS,  SIGFPE,
                                  SIGILL
#endif
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) signal(numbers[i], on_signal);
}

/* Something is wrong there; the walk goes on, and fails at its end. */
static uint32_t n_complaints;

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void complain(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", where);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    n_complaints++;
}

/* ---- what a failed call leaves --------------------------------------------------------------- */

/* One sentence: some words, one line, no full stop in the middle of it. */
static bool is_sentence(const char *text) {
    size_t n = strlen(text);
    return n > 8 && !strchr(text, '\n') && strchr(text, ' ') && text[n - 1] != '.';
}

static inline bool is_long(void) {
    return getenv("PERIDOT_TEST_LONG") != NULL;
}

#endif
