/* See base/process.h.  SPDX-License-Identifier: MIT */
#include <limits.h>
#include <mach-o/dyld.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/process.h"

/* As it was called, links and dots in it. */
char *pd_program_path(void) {
    char called[PATH_MAX], real[PATH_MAX];
    uint32_t n = sizeof called;
    if (_NSGetExecutablePath(called, &n) != 0 || !realpath(called, real)) return NULL;
    return pd_strdup(real);
}
