/* Files: whole-file reads, and the cache directory.  SPDX-License-Identifier: MIT */
#include "base/file.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/env.h"
#include "base/memory.h"
#include "base/os_file.h"
#include "base/system_folders.h"

static pd_status read_stream(FILE *f, const char *path, uint64_t max_bytes, pd_bytes *all,
                             pd_error *err) {
    char piece[16384];
    size_t got;
    while ((got = fread(piece, 1, sizeof piece, f)) > 0) {
        if (got > max_bytes - all->n)
            return PD_RAISE(err, PD_ERR_IO, "\"%s\" is larger than the %llu bytes allowed", path,
                            (unsigned long long)max_bytes);
        pd_bytes_write(all, piece, got);
    }
    if (ferror(f))
        return PD_RAISE(err, PD_ERR_IO, "cannot read \"%s\": %s", path, pd_errno_text(errno));
    pd_bytes_write(all, "", 0); /* an empty file, too, gives a string */
    if (all->failed)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to read \"%s\"", path);
    return PD_OK;
}

static pd_status read_and_close(FILE *f, const char *path, uint64_t max_bytes, char **data,
                                size_t *n, pd_error *err) {
    if (!f) return PD_RAISE(err, PD_ERR_IO, "cannot open \"%s\": %s", path, pd_errno_text(errno));
    pd_bytes all = {0};
    pd_status status = read_stream(f, f == stdin ? "standard input" : path, max_bytes, &all, err);
    if (f != stdin) fclose(f);
    if (status != PD_OK) {
        pd_bytes_free(&all);
        return status;
    }
    *data = all.data;
    *n = all.n;
    return PD_OK;
}

pd_status pd_file_read_all(const char *path, uint64_t max_bytes, char **data, size_t *n,
                           pd_error *err) {
    FILE *f = strcmp(path, "-") == 0 ? stdin : pd_stream_open(path, "rb");
    return read_and_close(f, path, max_bytes, data, n, err);
}

pd_status pd_file_read_regular(const char *path, uint64_t max_bytes, char **data, size_t *n,
                               pd_error *err) {
    pd_path_info info;
    int fd = pd_fd_open(path, PD_OPEN_READ);
    if (fd >= 0 && pd_fd_look(fd, &info) && info.kind != PD_PATH_FILE) {
        pd_fd_close(fd);
        return PD_RAISE(err, PD_ERR_IO, "\"%s\" is not a regular file", path);
    }
    FILE *f = fd >= 0 ? pd_fd_stream(fd, "rb") : NULL;
    if (fd >= 0 && !f) pd_fd_close(fd);
    return read_and_close(f, path, max_bytes, data, n, err);
}

/* Makes every folder above the last '/' of path. */
static bool make_parents(char *path, uint32_t mode) {
    for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        bool made = pd_path_is_folder(path) || pd_folder_make(path, mode) || errno == EEXIST;
        *at = '/';
        if (!made) return false;
    }
    return true;
}

static bool parent_writable(char *path) {
    char *last = strrchr(path, '/');
    if (!last) return false;
    *last = '\0';
    bool writable = pd_folder_can_take(path);
    *last = '/';
    return writable;
}

/* `path` made usable, or freed and NULL. */
static char *prepare_path(pd_bytes path, uint32_t mode) {
    if (path.data && !path.failed && make_parents(path.data, mode) && parent_writable(path.data))
        return path.data;
    pd_bytes_free(&path);
    return NULL;
}

char *pd_cache_path(const char *name) {
    const char *own = pd_env("PERIDOT_CACHE_DIR");
    pd_bytes path = {0};
    if (own && own[0])
        pd_bytes_printf(&path, "%s", own);
    else
        pd_system_cache(&path);
    if (path.data && !path.failed) pd_path_use_slashes(path.data);
    if (path.n > 0) pd_bytes_printf(&path, "/%s", name);
    return prepare_path(path, 0777);
}

char *pd_state_path(const char *name) {
    pd_bytes path = {0};
    pd_system_state(&path);
    if (path.n > 0) pd_bytes_printf(&path, "/%s", name);
    return prepare_path(path, 0700); /* what a user typed is nobody else's */
}
