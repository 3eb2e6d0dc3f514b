/* See base/env.h.  SPDX-License-Identifier: MIT */
#include "base/env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ; /* which headers of some systems do not declare */

const char *pd_env(const char *name) {
    return getenv(name);
}

void pd_env_set(const char *name, const char *value) {
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

void pd_env_each(void (*fn)(void *ctx, const char *name, const char *value), void *ctx) {
    for (char **e = environ; *e; e++) {
        char name[256];
        const char *end = strchr(*e, '=');
        if (!end || (size_t)(end - *e) >= sizeof name) continue;
        snprintf(name, sizeof name, "%.*s", (int)(end - *e), *e);
        fn(ctx, name, end + 1);
    }
}
