/* See base/os_file.h.  SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* flock */
#include "base/os_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* ---- names ---------------------------------------------------------------------------------- */

static pd_path_info info_of(const struct stat *st) {
    return (pd_path_info){.kind = S_ISREG(st->st_mode)   ? PD_PATH_FILE
                                  : S_ISDIR(st->st_mode) ? PD_PATH_FOLDER
                                                         : PD_PATH_OTHER,
                          .size = (uint64_t)st->st_size,
                          .device = (uint64_t)st->st_dev,
                          .number = (uint64_t)st->st_ino,
                          .mode = st->st_mode & 0777};
}

bool pd_path_look(const char *path, pd_path_info *out) {
    struct stat st;
    *out = (pd_path_info){0};
    if (stat(path, &st) != 0) return false;
    *out = info_of(&st);
    return true;
}

bool pd_path_exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool pd_path_can_read(const char *path) {
    return access(path, R_OK) == 0;
}

bool pd_path_can_write(const char *path) {
    return access(path, W_OK) == 0;
}

bool pd_folder_can_take(const char *path) {
    return access(path, W_OK | X_OK) == 0;
}

char *pd_path_real(const char *path) {
    return realpath(path, NULL);
}

bool pd_path_is_device(const char *path) {
    return strncmp(path, "/dev/", 5) == 0;
}

bool pd_path_is_absolute(const char *path) {
    return path[0] == '/';
}

void pd_path_use_slashes(char *path) {
    (void)path;
}

bool pd_path_remove(const char *path) {
    return unlink(path) == 0;
}

bool pd_path_move(const char *from, const char *to) {
    return rename(from, to) == 0;
}

bool pd_path_link(const char *file, const char *name) {
    return link(file, name) == 0;
}

bool pd_folder_make(const char *path, uint32_t mode) {
    return mkdir(path, (mode_t)mode) == 0;
}

bool pd_folder_remove(const char *path) {
    return rmdir(path) == 0;
}

bool pd_folder_each(const char *path, bool (*fn)(void *ctx, const char *name), void *ctx) {
    DIR *d = opendir(path);
    int failure = 0;
    if (!d) return false;
    for (bool more = true; more;) {
        errno = 0;
        const struct dirent *entry = readdir(d);
        failure = entry ? 0 : errno;
        if (!entry) break;
        bool is_dots = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        more = is_dots || fn(ctx, entry->d_name);
    }
    closedir(d);
    errno = failure;
    return failure == 0;
}

bool pd_folder_sync(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    bool done = fsync(fd) == 0;
    close(fd);
    return done;
}

bool pd_folder_free_bytes(const char *path, uint64_t *out) {
    struct statvfs fs;
    if (statvfs(path, &fs) != 0) return false;
    *out = (uint64_t)fs.f_bavail * fs.f_frsize;
    return true;
}

/* ---- streams and descriptors ---------------------------------------------------------------- */

FILE *pd_stream_open(const char *path, const char *mode) {
    char closed[8];
    snprintf(closed, sizeof closed, "%.6se", mode);
    return fopen(path, closed);
}

int pd_fd_open(const char *path, unsigned how) {
    bool reads = how & PD_OPEN_READ, writes = how & PD_OPEN_WRITE;
    int flags = O_CLOEXEC | O_NONBLOCK | (reads && writes ? O_RDWR : writes ? O_WRONLY : O_RDONLY);
    if (how & PD_OPEN_CREATE) flags |= O_CREAT;
    if (how & PD_OPEN_NEW) flags |= O_EXCL;
    if (how & PD_OPEN_APPEND) flags |= O_APPEND;
    if (how & PD_OPEN_NO_LINK) flags |= O_NOFOLLOW;
    return open(path, flags, how & PD_OPEN_PRIVATE ? 0600 : 0666);
}

bool pd_fd_look(int fd, pd_path_info *out) {
    struct stat st;
    *out = (pd_path_info){0};
    if (fstat(fd, &st) != 0) return false;
    *out = info_of(&st);
    return true;
}

int64_t pd_fd_read(int fd, void *data, size_t n, uint64_t at) {
    ssize_t got;
    do got = pread(fd, data, n, (off_t)at);
    while (got < 0 && errno == EINTR);
    return got;
}

int64_t pd_fd_write(int fd, const void *data, size_t n, uint64_t at) {
    ssize_t wrote;
    do wrote = pwrite(fd, data, n, (off_t)at);
    while (wrote < 0 && errno == EINTR);
    return wrote;
}

int64_t pd_fd_append(int fd, const void *data, size_t n) {
    return write(fd, data, n);
}

bool pd_fd_truncate(int fd, uint64_t n) {
    return ftruncate(fd, (off_t)n) == 0;
}

bool pd_fd_set_mode(int fd, uint32_t mode) {
    return fchmod(fd, (mode_t)mode) == 0;
}

bool pd_fd_sync(int fd) {
#ifdef F_FULLFSYNC /* where fsync leaves the disk's own cache alone */
    if (fcntl(fd, F_FULLFSYNC) == 0) return true;
#endif
    return fsync(fd) == 0;
}

void pd_fd_close(int fd) {
    close(fd);
}

FILE *pd_fd_stream(int fd, const char *mode) {
    return fdopen(fd, mode);
}

/* ---- locks ---------------------------------------------------------------------------------- */

pd_lock pd_fd_lock(int fd) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return PD_LOCK_TAKEN;
    return errno == EWOULDBLOCK || errno == EINTR ? PD_LOCK_BUSY : PD_LOCK_NONE;
}

int pd_folder_open_lock(const char *path) {
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
