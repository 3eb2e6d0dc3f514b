/* SIGBUS: a model's file is mapped, and somebody shortened it, or its disk failed, while it was
 * read. Nothing can be computed any more; what is left is to say which file it was.
 *
 * The kernel tells the address, /proc/self/maps the file that is mapped there. A handler may call
 * neither printf nor malloc: the list is read a piece at a time, and the sentence put together by
 * hand. A SIGBUS of any other kind ends the process as it would have.
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"

enum { LINE_BYTES = 4096 + 128 }; /* a path and what stands before it */

static char line[LINE_BYTES];

/* The next line without its newline, cut at LINE_BYTES - 1; false: there is none. */
static bool read_line(int fd) {
    size_t n = 0;
    char c;
    while (read(fd, &c, 1) == 1 && c != '\n')
        if (n + 1 < LINE_BYTES) line[n++] = c;
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
static const char *path_if_inside(uintptr_t address) {
    const char *at = line;
    uintptr_t begin = read_hex(&at), end = *at == '-' ? (at++, read_hex(&at)) : 0;
    return address >= begin && address < end ? strchr(at, '/') : NULL;
}

static const char *find_path(uintptr_t address) {
    const char *path = NULL;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    while (!path && read_line(fd)) path = path_if_inside(address);
    close(fd);
    return path;
}

/* A name may hold what a terminal would obey. */
static void put(const char *text) {
    char piece[256];
    for (size_t n; (n = strnlen(text, sizeof piece)) > 0; text += n) {
        for (size_t i = 0; i < n; i++)
            piece[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
        if (write(STDERR_FILENO, piece, n) < 0) return;
    }
}

static void on_bus_error(int signal_number, siginfo_t *info, void *context) {
    static atomic_flag busy = ATOMIC_FLAG_INIT;
    (void)context;
    while (atomic_flag_test_and_set(&busy)) pause(); /* another thread is about to end it all */
    const char *path = info->si_code == BUS_ADRERR ? find_path((uintptr_t)info->si_addr) : NULL;
    if (!path) { /* the instruction is repeated, without this handler */
        signal(signal_number, SIG_DFL);
        atomic_flag_clear(&busy);
        return;
    }
    put("peridot: \"");
    put(path);
    put("\" was shortened, or its disk failed, while it was in use");
    (void)!write(STDERR_FILENO, "\n", 1);
    _exit(pd_status_exit_code(PD_ERR_IO));
}

void cli_bus_error_install(void) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}
