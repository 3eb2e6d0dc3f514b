/* See complete.h.  SPDX-License-Identifier: MIT */
#include "cli/chat/complete.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/folder.h"
#include "base/os_file.h"
#include "base/system_folders.h"

void chat_candidates_add(chat_candidates *c, const char *text, const char *behind) {
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 32;
        char **bigger = pd_alloc(cap, sizeof *bigger);
        if (!bigger) return;
        if (c->n) memcpy(bigger, c->list, c->n * sizeof *bigger);
        pd_free(c->list);
        c->list = bigger;
        c->cap = cap;
    }
    char *copy = pd_arena_printf(&c->arena, "%s%s", text, behind);
    if (copy) c->list[c->n++] = copy;
}

size_t chat_candidates_common(const chat_candidates *c) {
    size_t n = c->n ? strlen(c->list[0]) : 0;
    for (size_t i = 1; i < c->n; i++) {
        size_t k = 0;
        while (k < n && c->list[i][k] == c->list[0][k]) k++;
        n = k;
    }
    while (n > 0 && c->n > 1 && ((unsigned char)c->list[0][n] & 0xc0) == 0x80) n--; /* whole ones */
    return n;
}

void chat_candidates_free(chat_candidates *c) {
    pd_free(c->list);
    pd_arena_destroy(&c->arena);
    *c = (chat_candidates){0};
}

/* ---- files ---------------------------------------------------------------------------------- */

char *chat_expand_path(const char *path) {
    size_t n = strlen(path);
    pd_bytes out = {0};
    const char *home = pd_system_home();
    bool quoted = n >= 2 && (path[0] == '"' || path[0] == '\'') && path[n - 1] == path[0];
    if (quoted) {
        path++;
        n -= 2;
    }
    bool homely = n >= 2 && path[0] == '~' && path[1] == '/' && home;
    pd_bytes_printf(&out, "%s%.*s", homely ? home : "", (int)(homely ? n - 1 : n),
                    homely ? path + 1 : path);
    if (!out.failed) return out.data;
    pd_bytes_free(&out);
    return NULL;
}

static bool is_folder(const char *folder, const char *name) {
    pd_bytes path = {0};
    pd_bytes_printf(&path, "%s/%s", folder, name);
    bool is = !path.failed && pd_path_is_folder(path.data);
    pd_bytes_free(&path);
    return is;
}

void chat_complete_files(const char *path, chat_candidates *out) {
    size_t at = pd_path_name_at(path), n = strlen(path + at);
    char *prefix = pd_arena_printf(&out->arena, "%.*s", (int)at, path);
    char *folder = prefix ? chat_expand_path(prefix) : NULL;
    pd_folder names;
    if (!folder || pd_folder_list(folder[0] ? folder : ".", &names, NULL) != PD_OK) {
        pd_free(folder);
        return;
    }
    for (size_t i = 0; i < names.n; i++) {
        const char *name = names.names[i];
        bool hidden = name[0] == '.' && path[at] != '.';
        if (hidden || strncmp(name, path + at, n) != 0 || strpbrk(name, "\n\r\x1b")) continue;
        char *whole = pd_arena_printf(&out->arena, "%s%s", prefix, name);
        bool opens = is_folder(folder[0] ? folder : ".", name);
        if (whole) chat_candidates_add(out, whole, opens ? "/" : "");
    }
    pd_folder_free(&names);
    pd_free(folder);
}
