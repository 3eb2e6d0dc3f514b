/* See base/process.h.  SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* readlink */
#include <unistd.h>

#include "base/memory.h"
#include "base/process.h"

char *pd_program_path(void) {
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) return NULL;
    path[n] = '\0';
    return pd_strdup(path);
}
