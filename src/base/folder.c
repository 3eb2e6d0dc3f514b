/* See folder.h.  SPDX-License-Identifier: MIT */
#include "base/folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/os_file.h"

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct reading {
    pd_folder *folder;
    size_t room;
    bool failed; /* no memory */
} reading;

static bool make_room(reading *r) {
    pd_folder *f = r->folder;
    if (f->n < r->room) return true;
    size_t wanted = r->room ? 2 * r->room : 64;
    char **more = realloc(f->names, wanted * sizeof *more);
    if (!more) return false;
    f->names = more;
    r->room = wanted;
    return true;
}

static bool add_name(void *ctx, const char *name) {
    reading *r = ctx;
    char *copy = make_room(r) ? pd_arena_strdup(&r->folder->arena, name) : NULL;
    r->failed = !copy;
    if (copy) r->folder->names[r->folder->n++] = copy;
    return copy;
}

pd_status pd_folder_list(const char *path, pd_folder *out, pd_error *err) {
    *out = (pd_folder){0};
    reading r = {.folder = out};
    pd_status status = PD_OK;
    if (!pd_folder_each(path, add_name, &r))
        status = PD_RAISE(err, PD_ERR_IO, "cannot list \"%s\": %s", path, strerror(errno));
    else if (r.failed)
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to list \"%s\"", path);
    if (out->n > 0) qsort(out->names, out->n, sizeof *out->names, compare_names);
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
