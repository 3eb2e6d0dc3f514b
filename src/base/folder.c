/* See folder.h. opendir and readdir are POSIX; on Windows, MinGW's library has them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_name(pd_folder *f, size_t *room, const char *name) {
    if (f->n == *room) {
        size_t wanted = *room ? 2 * *room : 64;
        char **more = realloc(f->names, wanted * sizeof *more);
        if (!more) return false;
        f->names = more;
        *room = wanted;
    }
    char *copy = pd_arena_strdup(&f->arena, name);
    if (copy) f->names[f->n++] = copy;
    return copy != NULL;
}

static pd_status read_names(DIR *d, const char *path, pd_folder *out, pd_error *err) {
    size_t room = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(d);
        if (!entry && errno)
            return PD_RAISE(err, PD_ERR_IO, "cannot list \"%s\": %s", path, strerror(errno));
        if (!entry) break;
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
        if (!add_name(out, &room, name))
            return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to list \"%s\"", path);
    }
    if (out->n > 0) qsort(out->names, out->n, sizeof *out->names, compare_names);
    return PD_OK;
}

pd_status pd_folder_list(const char *path, pd_folder *out, pd_error *err) {
    *out = (pd_folder){0};
    DIR *d = opendir(path);
    if (!d) return PD_RAISE(err, PD_ERR_IO, "cannot list \"%s\": %s", path, strerror(errno));
    pd_status status = read_names(d, path, out, err);
    closedir(d);
    if (status != PD_OK) pd_folder_free(out);
    return status;
}

void pd_folder_free(pd_folder *f) {
    free(f->names);
    pd_arena_destroy(&f->arena);
    *f = (pd_folder){0};
}

size_t pd_path_name_at(const char *path) {
#ifdef _WIN32
    static const char separators[] = "/\\:";
#else
    static const char separators[] = "/";
#endif
    size_t at = 0;
    for (size_t i = 0; path[i]; i++)
        if (strchr(separators, path[i])) at = i + 1;
    return at;
}
