/* See pd_mapping_on_fault in base/file.h: SIGBUS, and the system's own list of what is mapped
 * where.
 *
 * A handler may call neither printf nor malloc: the list is read a piece at a time into memory of
 * its own. A SIGBUS of any other kind ends the process as it would have.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* sigaction */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static void (*on_fault)(const char *path);

/* ---- which file ----------------------------------------------------------------------------- */

enum { LINE_BYTES = 4096 + 128 }; /* a path and what stands before it */

/* The next line without its newline, cut at size - 1; false: there is none. */
static bool read_line(int fd, char *line, size_t size) {
    size_t n = 0;
    char c;
    while (read(fd, &c, 1) == 1 && c != '\n')
        if (n + 1 < size) line[n++] = c;
    line[n] = '\0';
    return n > 0;
}

static uintptr_t read_hex(const char **at) {
    uintptr_t value = 0;
    for (;; ++*at) {
        char c = **at;
        if (c >= '0' && c <= '9')
            value = value * 16 + (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (uintptr_t)(c - 'a' + 10);
        else
            return value;
    }
}

/* "7f00-7f10 r--p 00000000 00:1f 123   /the/path": the path, if the address is inside. */
static const char *path_if_inside(const char *line, uintptr_t address) {
    const char *at = line;
    uintptr_t begin = read_hex(&at), end = *at == '-' ? (at++, read_hex(&at)) : 0;
    return address >= begin && address < end ? strchr(at, '/') : NULL;
}

static const char *path_at(const void *address, char line[LINE_BYTES]) {
    const char *path = NULL;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    while (!path && read_line(fd, line, LINE_BYTES))
        path = path_if_inside(line, (uintptr_t)address);
    close(fd);
    return path;
}

/* ---- the signal ----------------------------------------------------------------------------- */

static void on_bus_error(int signal_number, siginfo_t *info, void *context) {
    static atomic_flag busy = ATOMIC_FLAG_INIT;
    static char line[LINE_BYTES];
    (void)context;
    while (atomic_flag_test_and_set(&busy)) pause(); /* another thread is about to end it all */
    const char *path = info->si_code == BUS_ADRERR ? path_at(info->si_addr, line) : NULL;
    if (path) on_fault(path);
    signal(signal_number, SIG_DFL); /* the instruction is repeated, without this handler */
    atomic_flag_clear(&busy);
}

void pd_mapping_on_fault(void (*fn)(const char *path)) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    on_fault = fn;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}
