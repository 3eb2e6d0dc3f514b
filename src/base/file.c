/* Files: mappings, whole-file reads, and the cache directory.
 *
 * A mapping is private and read-only. A file that someone shortens while it is mapped makes reads
 * behind its new end fault; that is the system's contract, and nothing here hides it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/memory.h"

static pd_status map_descriptor(int fd, const char *path, pd_mapping *out, pd_error *err) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return PD_RAISE(err, PD_ERR_IO, "cannot examine \"%s\": %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return PD_RAISE(err, PD_ERR_IO, "\"%s\" is %s, not a file", path,
                        S_ISDIR(st.st_mode) ? "a directory" : "a device or a pipe");
    if (st.st_size == 0) return PD_RAISE(err, PD_ERR_FORMAT, "\"%s\" is empty", path);
    uint64_t size = (uint64_t)st.st_size;
    if (size > SIZE_MAX)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "\"%s\" is too large to map", path);
    void *data = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return PD_RAISE(err, PD_ERR_IO, "cannot map \"%s\": %s", path, strerror(errno));
    *out = (pd_mapping){data, size};
    return PD_OK;
}

pd_status pd_mapping_open(const char *path, pd_mapping *out, pd_error *err) {
    *out = (pd_mapping){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make it wait */
    if (fd < 0) return PD_RAISE(err, PD_ERR_IO, "cannot open \"%s\": %s", path, strerror(errno));
    pd_status status = map_descriptor(fd, path, out, err);
    close(fd);
    return status;
}

void pd_mapping_close(pd_mapping *m) {
    if (m->data) munmap((void *)(uintptr_t)m->data, (size_t)m->size);
    *m = (pd_mapping){0};
}

void pd_mapping_forget(const pd_mapping *m, uint64_t offset, uint64_t n) {
    long page = sysconf(_SC_PAGESIZE);
    if (page <= 0 || offset > m->size || n > m->size - offset) return;
    uint64_t begin = pd_round_up(offset, (uint64_t)page), end = offset + n;
    if (end < m->size) end -= end % (uint64_t)page; /* whole pages only: others share the rest */
    if (begin >= end) return;
    madvise((void *)((uintptr_t)m->data + begin), (size_t)(end - begin), MADV_DONTNEED);
}

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
    if (ferror(f)) return PD_RAISE(err, PD_ERR_IO, "cannot read \"%s\": %s", path, strerror(errno));
    pd_bytes_write(all, "", 0); /* an empty file, too, gives a string */
    if (all->failed)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to read \"%s\"", path);
    return PD_OK;
}

static pd_status read_and_close(FILE *f, const char *path, uint64_t max_bytes, char **data,
                                size_t *n, pd_error *err) {
    if (!f) return PD_RAISE(err, PD_ERR_IO, "cannot open \"%s\": %s", path, strerror(errno));
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
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    return read_and_close(f, path, max_bytes, data, n, err);
}

pd_status pd_file_read_regular(const char *path, uint64_t max_bytes, char **data, size_t *n,
                               pd_error *err) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make it wait */
    if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        close(fd);
        return PD_RAISE(err, PD_ERR_IO, "\"%s\" is not a regular file", path);
    }
    FILE *f = fd >= 0 ? fdopen(fd, "rb") : NULL;
    if (fd >= 0 && !f) close(fd);
    return read_and_close(f, path, max_bytes, data, n, err);
}

/* Makes every directory above the last '/' of path. */
static bool make_parents(char *path, mode_t mode) {
    for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        bool made = mkdir(path, mode) == 0 || errno == EEXIST;
        *at = '/';
        if (!made) return false;
    }
    return true;
}

static bool parent_writable(char *path) {
    char *last = strrchr(path, '/');
    if (!last) return false;
    *last = '\0';
    bool writable = access(path, W_OK | X_OK) == 0;
    *last = '/';
    return writable;
}

/* `path` made usable, or freed and NULL. */
static char *prepare_path(pd_bytes path, mode_t mode) {
    if (path.data && !path.failed && make_parents(path.data, mode) && parent_writable(path.data))
        return path.data;
    pd_bytes_free(&path);
    return NULL;
}

char *pd_cache_path(const char *name) {
    const char *own = getenv("PERIDOT_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    pd_bytes path = {0};
    if (own && own[0])
        pd_bytes_printf(&path, "%s/%s", own, name);
    else if (xdg && xdg[0] == '/') /* the XDG specification ignores relative ones */
        pd_bytes_printf(&path, "%s/peridot/%s", xdg, name);
    else if (home && home[0])
        pd_bytes_printf(&path, "%s/.cache/peridot/%s", home, name);
    return prepare_path(path, 0777);
}

char *pd_state_path(const char *name) {
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    pd_bytes path = {0};
    if (xdg && xdg[0] == '/')
        pd_bytes_printf(&path, "%s/peridot/%s", xdg, name);
    else if (home && home[0])
        pd_bytes_printf(&path, "%s/.local/state/peridot/%s", home, name);
    return prepare_path(path, 0700); /* what a user typed is nobody else's */
}
