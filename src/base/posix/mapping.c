/* Mapped files. A mapping is private and read-only. A file that someone shortens while it is mapped
 * makes reads behind its new end fault; that is the system's contract, and nothing here hides it.
 *
 * SPDX-License-Identifier: MIT
 */
#define _DEFAULT_SOURCE /* madvise */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
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
