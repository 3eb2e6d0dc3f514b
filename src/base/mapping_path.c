/* Which file is mapped at an address: the system's own list tells.
 *
 * For a signal handler, which may call neither printf nor malloc: the list is read a piece at a
 * time into the caller's memory.
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

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

const char *pd_mapping_path_at(const void *address, char line[PD_MAPPING_LINE_BYTES]) {
    const char *path = NULL;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    while (!path && read_line(fd, line, PD_MAPPING_LINE_BYTES))
        path = path_if_inside(line, (uintptr_t)address);
    close(fd);
    return path;
}
