/* The models that were fetched, by repository.
 *
 *     <cache>/models/<user>/<name>/<revision>/    as fetch_store.c lays them out
 *
 * Every file with its own name is complete. Parts, and what begins with a dot, are not shown.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/bytes.h"
#include "base/os_file.h"
#include "hub/hub.h"

enum { MAX_DEPTH = 16, REPO_DEPTH = 3 }; /* folders below models: user, name, revision */

typedef struct listing {
    pd_bytes path; /* where the walk is */
    size_t root;   /* bytes of models' own path, with its slash */
    size_t inside; /* ... and with the repository's and revision's */
    void (*fn)(void *ctx, const hub_entry *entry);
    void *ctx;
} listing;

static bool is_shown(const char *name) {
    size_t n = strlen(name);
    return name[0] != '.' && !(n > 5 && strcmp(name + n - 5, ".part") == 0);
}

/* "user/name" or, of another revision than main, "user/name@revision". */
static void write_repository(const listing *l, pd_bytes *out) {
    const char *repo = l->path.data + l->root;
    int n = (int)(l->inside - l->root - 1), n_name = n - 1;
    while (n_name > 0 && repo[n_name] != '/') n_name--;
    bool is_main = n - n_name == 5 && strncmp(repo + n_name, "/main", 5) == 0;
    pd_bytes_printf(out, "%.*s", n_name, repo);
    if (!is_main) pd_bytes_printf(out, "@%.*s", n - n_name - 1, repo + n_name + 1);
}

static pd_status show_file(listing *l, uint64_t n_bytes, pd_error *err) {
    pd_bytes repo = {0};
    write_repository(l, &repo);
    hub_entry entry = {repo.data, l->path.data + l->inside, l->path.data, n_bytes};
    pd_status status = PD_OK;
    if (repo.failed)
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
    else
        l->fn(l->ctx, &entry);
    pd_bytes_free(&repo);
    return status;
}

static pd_status walk(listing *l, unsigned depth, pd_error *err);

static pd_status show_entry(listing *l, const char *name, unsigned depth, pd_error *err) {
    pd_path_info info;
    size_t before = l->path.n;
    pd_bytes_printf(&l->path, "%s", name);
    if (l->path.failed) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
    pd_status status = PD_OK;
    (void)pd_path_look(l->path.data, &info); /* it may have gone */
    if (info.kind == PD_PATH_FOLDER) {
        pd_bytes_printf(&l->path, "/");
        if (depth + 1 == REPO_DEPTH) l->inside = l->path.n;
        if (depth + 1 < MAX_DEPTH) status = walk(l, depth + 1, err);
    } else if (info.kind == PD_PATH_FILE && depth >= REPO_DEPTH) {
        status = show_file(l, info.size, err);
    }
    l->path.n = before;
    l->path.data[before] = '\0';
    return status;
}

/* A folder that cannot be read, or has gone, has nothing to show. */
static pd_status walk(listing *l, unsigned depth, pd_error *err) {
    pd_folder folder;
    pd_status status = pd_folder_list(l->path.data, &folder, err);
    if (status != PD_OK) return status == PD_ERR_IO ? PD_OK : status;
    for (size_t i = 0; i < folder.n && status == PD_OK; i++)
        if (is_shown(folder.names[i])) status = show_entry(l, folder.names[i], depth, err);
    pd_folder_free(&folder);
    return status;
}

pd_status hub_list(void (*fn)(void *ctx, const hub_entry *entry), void *ctx, pd_error *err) {
    char *root = pd_cache_path("models");
    listing l = {.fn = fn, .ctx = ctx};
    pd_status status = PD_OK;
    if (root) {
        pd_bytes_printf(&l.path, "%s/", root);
        l.root = l.path.n;
        status = l.path.failed ? PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path")
                               : walk(&l, 0, err);
    }
    pd_bytes_free(&l.path);
    pd_free(root);
    return status;
}
