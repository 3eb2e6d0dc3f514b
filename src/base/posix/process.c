/* See base/process.h.  SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* sigaction */
#include "base/process.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

uint64_t pd_process_id(void) {
    return (uint64_t)getpid();
}

void pd_system_name(char *out, size_t size) {
    struct utsname s;
    out[0] = '\0';
    if (uname(&s) == 0) snprintf(out, size, "%.64s %.64s %.64s", s.sysname, s.release, s.machine);
}

void pd_program_arguments(int *argc, char ***argv) {
    (void)argc, (void)argv; /* are so already */
}

_Noreturn void pd_exit_now(int code) {
    _exit(code);
}

void pd_write_error(const char *text, size_t n) {
    (void)!write(STDERR_FILENO, text, n);
}

void pd_process_on_stop(void (*fn)(int number), bool hang_up_too) {
    struct sigaction action = {.sa_handler = fn, .sa_flags = SA_RESTART}, old;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (hang_up_too && sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
}

void pd_process_ignore_pipes(void) {
    signal(SIGPIPE, SIG_IGN);
}

/* What was there before the first of them. */
static pthread_mutex_t pipes_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned n_ignoring;
static struct sigaction pipes_before;

void pd_process_ignore_pipes_for_now(void) {
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    pthread_mutex_lock(&pipes_lock);
    if (n_ignoring++ == 0) sigaction(SIGPIPE, &ignore, &pipes_before);
    pthread_mutex_unlock(&pipes_lock);
}

void pd_process_heed_pipes_again(void) {
    pthread_mutex_lock(&pipes_lock);
    if (--n_ignoring == 0) sigaction(SIGPIPE, &pipes_before, NULL);
    pthread_mutex_unlock(&pipes_lock);
}

_Static_assert(sizeof(sigset_t) <= sizeof(pd_signals), "a set of signals does not fit");

void pd_signals_block(pd_signals *old) {
    static const int faults[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                                 SIGTRAP, SIGABRT, SIGSYS, SIGPROF};
    sigset_t all, before;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    memcpy(old->words, &before, sizeof before);
}

void pd_signals_restore(const pd_signals *old) {
    sigset_t before;
    memcpy(&before, old->words, sizeof before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
