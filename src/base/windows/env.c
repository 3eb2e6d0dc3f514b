/* See base/env.h. The process's variables are UTF-16; what was asked for stays, converted, in a
 * list that only grows, so that nobody's pointer dies.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/env.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "base/windows/wide.h"

typedef struct variable {
    struct variable *next;
    char *name, *value;
} variable;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static variable *known;

/* As it is now; free. NULL: it is not set. */
static char *read_value(const char *name) {
    wchar_t *wide = pd_wide(name), *value = NULL;
    DWORD n = wide ? GetEnvironmentVariableW(wide, NULL, 0) : 0;
    if (n > 0) value = calloc(n, sizeof *value);
    if (value) (void)GetEnvironmentVariableW(wide, value, n);
    char *text = value ? pd_narrow(value) : NULL;
    free(wide);
    free(value);
    return text;
}

static const char *keep(const char *name, char *value) {
    for (variable *v = known; v; v = v->next)
        if (strcmp(v->name, name) == 0 && strcmp(v->value, value) == 0) {
            free(value);
            return v->value;
        }
    variable *v = calloc(1, sizeof *v);
    if (v) v->name = _strdup(name);
    if (!v || !v->name) {
        free(v);
        free(value);
        return NULL;
    }
    v->value = value;
    v->next = known;
    known = v;
    return value;
}

const char *pd_env(const char *name) {
    char *value = read_value(name);
    if (!value) return NULL;
    pthread_mutex_lock(&lock);
    const char *kept = keep(name, value);
    pthread_mutex_unlock(&lock);
    return kept;
}

void pd_env_set(const char *name, const char *value) {
    wchar_t *wide = pd_wide(name), *text = value ? pd_wide(value) : NULL;
    if (wide && (text || !value)) SetEnvironmentVariableW(wide, text);
    free(wide);
    free(text);
}

void pd_env_each(void (*fn)(void *ctx, const char *name, const char *value), void *ctx) {
    wchar_t *all = GetEnvironmentStringsW();
    for (const wchar_t *at = all; at && *at; at += wcslen(at) + 1) {
        char *text = pd_narrow(at), *end = text ? strchr(text + 1, '=') : NULL; /* "=C:=..." */
        if (end) {
            *end = '\0';
            fn(ctx, text, end + 1);
        }
        free(text);
    }
    if (all) FreeEnvironmentStringsW(all);
}
