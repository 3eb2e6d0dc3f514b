/* Time, and figures that systems tell alike.  SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* getloadavg */
#include "base/clock.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

uint64_t pd_clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void pd_sleep_ms(uint32_t ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

void pd_clock_utc(char out[32]) {
    time_t now = time(NULL);
    struct tm utc;
    out[0] = '\0';
    if (gmtime_r(&now, &utc)) strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

uint64_t pd_host_memory_bytes(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
}

double pd_system_load(void) {
    double load;
    return getloadavg(&load, 1) == 1 ? load : -1;
}
