/* What a system does with files, by names in UTF-8: posix/os_file.c, windows/os_file.c. What fails
 * leaves the reason in errno. Descriptors and streams are closed in programs that this one starts;
 * opening a descriptor never waits for the other end of a pipe, opening a stream does. Names are
 * separated by '/', on Windows by '\' too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_OS_FILE_H
#define PD_BASE_OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- names ---------------------------------------------------------------------------------- */

typedef enum pd_path_kind {
    PD_PATH_NONE,
    PD_PATH_FILE,
    PD_PATH_FOLDER,
    PD_PATH_OTHER
} pd_path_kind;
typedef struct pd_path_info {
    pd_path_kind kind;
    uint64_t size;
    uint64_t device, number; /* which file it is: equal for all of its names */
    uint32_t mode;           /* permissions; Windows: 0 */
} pd_path_info;

/* Of what a name leads to, links followed; false, and PD_PATH_NONE, where there is nothing. */
bool pd_path_look(const char *path, pd_path_info *out);
bool pd_path_exists(const char *path);
bool pd_path_is_file(const char *path);
bool pd_path_is_folder(const char *path);
bool pd_path_can_read(const char *path);
bool pd_path_can_write(const char *path);
bool pd_folder_can_take(const char *path); /* new files */
char *pd_path_real(const char *path);      /* without links and dots, separated by '/'; pd_free */
/* Names of devices, which cannot be replaced: /dev/..., on Windows NUL, CON and the like. */
bool pd_path_is_device(const char *path);
bool pd_path_is_absolute(const char *path);
void pd_path_use_slashes(char *path); /* '/' for what else separates here */

bool pd_path_remove(const char *path);                 /* a file's */
bool pd_path_move(const char *from, const char *to);   /* to's file is replaced at once */
bool pd_path_link(const char *file, const char *name); /* another name for it */
bool pd_folder_make(const char *path, uint32_t mode);
bool pd_folder_remove(const char *path); /* an empty one */
/* Calls fn with each name but "." and ".."; false from it ends the list, and is no failure. */
bool pd_folder_each(const char *path, bool (*fn)(void *ctx, const char *name), void *ctx);
bool pd_folder_sync(const char *path); /* new names in it survive a power cut */
bool pd_folder_free_bytes(const char *path, uint64_t *out); /* of its disk, for this user */

/* ---- streams and descriptors ---------------------------------------------------------------- */

FILE *pd_stream_open(const char *path, const char *mode); /* as fopen's */

enum {
    PD_OPEN_READ = 1,
    PD_OPEN_WRITE = 2,
    PD_OPEN_CREATE = 4, /* where there is none */
    PD_OPEN_NEW = 8,    /* with CREATE: there must be none */
    PD_OPEN_APPEND = 16,
    PD_OPEN_PRIVATE = 32, /* with CREATE: for this user alone */
    PD_OPEN_NO_LINK = 64  /* what is a symbolic link fails */
};
int pd_fd_open(const char *path, unsigned how); /* -1: errno */
/* A file without a name in a folder, to be written, that pd_fd_name names; -1: not here. */
int pd_fd_open_unnamed(const char *folder);
bool pd_fd_name(int fd, const char *path);    /* EEXIST where something has the name */
const char *pd_fd_link(int fd, char out[32]); /* by which an unnamed one can be opened */

bool pd_fd_look(int fd, pd_path_info *out);
int64_t pd_fd_read(int fd, void *data, size_t n, uint64_t at);        /* -1: errno */
int64_t pd_fd_write(int fd, const void *data, size_t n, uint64_t at); /* likewise */
int64_t pd_fd_append(int fd, const void *data, size_t n);
bool pd_fd_truncate(int fd, uint64_t n);
bool pd_fd_set_mode(int fd, uint32_t mode); /* Windows: nothing happens */
bool pd_fd_sync(int fd);
void pd_fd_close(int fd);
FILE *pd_fd_stream(int fd, const char *mode); /* NULL: fd is still open */

/* ---- locks ---------------------------------------------------------------------------------- */

typedef enum pd_lock { PD_LOCK_TAKEN, PD_LOCK_BUSY, PD_LOCK_NONE /* of no use here */ } pd_lock;
pd_lock pd_fd_lock(int fd); /* goes with the descriptor, and with the process */
/* What stands for a folder when it is locked: -1: errno. */
int pd_folder_open_lock(const char *path);

#endif
