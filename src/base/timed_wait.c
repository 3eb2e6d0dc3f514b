/* See timed_wait.h.  SPDX-License-Identifier: MIT */
#include "base/timed_wait.h"

#include <time.h>

enum { NS_PER_MS = 1000000, NS_PER_SECOND = 1000000000 };

/* Conditions of MinGW and of macOS know the clock of the wall alone: who sets it while somebody
 * waits changes how long. */
#if defined _WIN32 || defined __APPLE__
static const clockid_t CLOCK = CLOCK_REALTIME;

void pd_timed_init(pthread_cond_t *c) {
    pthread_cond_init(c, NULL);
}
#else
static const clockid_t CLOCK = CLOCK_MONOTONIC;

void pd_timed_init(pthread_cond_t *c) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK);
    pthread_cond_init(c, &monotonic);
    pthread_condattr_destroy(&monotonic);
}
#endif

void pd_timed_wait(pthread_cond_t *c, pthread_mutex_t *m, uint64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + ms * NS_PER_MS;
    until.tv_sec += (time_t)(ns / NS_PER_SECOND);
    until.tv_nsec = (long)(ns % NS_PER_SECOND);
    (void)pthread_cond_timedwait(c, m, &until);
}
