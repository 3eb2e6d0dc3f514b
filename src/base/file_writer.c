/* Writing a file so that it appears complete or not at all.
 *
 *     PATH.tmp-PID-N   written and synced, then renamed over PATH; unlinked on abort
 *
 * The temporary file lies in the target's own folder (a rename cannot cross file systems) and takes
 * over the mode of the file it replaces. A symbolic link is followed, so that the file behind it is
 * replaced and not the link. What is not a regular file (a pipe, /dev/stdout) cannot be replaced
 * and is written directly; so is everything under /dev, whatever it happens to lead to.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/memory.h"

static char *temp_name(const char *path, unsigned attempt) {
    pd_bytes name = {0};
    pd_bytes_printf(&name, "%s.tmp-%ld-%u", path, (long)getpid(), attempt);
    if (!name.failed) return name.data;
    pd_bytes_free(&name);
    return NULL;
}

static int open_temp(pd_file_writer *w) {
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        pd_free(w->temp_path);
        w->temp_path = temp_name(w->path, attempt);
        if (!w->temp_path) {
            errno = ENOMEM;
            return -1;
        }
        int fd = open(w->temp_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

static void writer_release(pd_file_writer *w) {
    if (w->stream) fclose(w->stream);
    if (w->temp_path) unlink(w->temp_path);
    pd_free(w->path);
    pd_free(w->temp_path);
    *w = (pd_file_writer){0};
}

static pd_status raise_write(pd_file_writer *w, int error, pd_error *err) {
    pd_status status =
        PD_RAISE(err, PD_ERR_IO, "cannot write \"%s\": %s", w->path, strerror(error));
    writer_release(w);
    return status;
}

static char *follow_links(const char *path) {
    char resolved[PATH_MAX];
    return pd_strdup(realpath(path, resolved) ? resolved : path);
}

pd_status pd_file_writer_open(const char *path, pd_file_writer *w, pd_error *err) {
    *w = (pd_file_writer){0};
    struct stat st;
    bool exists = stat(path, &st) == 0;
    bool direct = strncmp(path, "/dev/", 5) == 0 || (exists && !S_ISREG(st.st_mode));
    w->path = direct ? pd_strdup(path) : follow_links(path);
    if (!w->path) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to open a file");
    if (direct) {
        w->stream = fopen(path, "wbe");
    } else {
        int fd = open_temp(w);
        if (fd >= 0 && exists) (void)!fchmod(fd, st.st_mode & 0777);
        if (fd >= 0) w->stream = fdopen(fd, "wb");
        if (fd >= 0 && !w->stream) close(fd);
    }
    if (w->stream) return PD_OK;
    int error = errno;
    if (!direct && error != EEXIST && access(w->temp_path ? w->temp_path : "", F_OK) != 0) {
        pd_free(w->temp_path); /* it was never made: nothing to unlink */
        w->temp_path = NULL;
    }
    return raise_write(w, error, err);
}

void pd_file_writer_write(pd_file_writer *w, const void *data, size_t n) {
    if (w->failed || n == 0) return;
    if (fwrite(data, 1, n, w->stream) == n) return;
    w->failed = true;
    w->failure = errno;
}

/* The new name survives a power cut only when its folder is synced as well. */
static void sync_folder(const char *path) {
    char *folder = pd_strdup(path);
    char *last = folder ? strrchr(folder, '/') : NULL;
    if (last) last[last == folder] = '\0';
    int fd = folder ? open(last ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)!fsync(fd);
        close(fd);
    }
    pd_free(folder);
}

pd_status pd_file_writer_commit(pd_file_writer *w, pd_error *err) {
    bool good = !w->failed && fflush(w->stream) == 0;
    if (good && w->temp_path) good = fsync(fileno(w->stream)) == 0;
    int error = w->failed ? w->failure : errno;
    bool closed = fclose(w->stream) == 0;
    if (good && !closed) error = errno;
    w->stream = NULL;
    if (!good || !closed) return raise_write(w, error ? error : EIO, err);
    if (w->temp_path) {
        if (rename(w->temp_path, w->path) != 0) return raise_write(w, errno, err);
        sync_folder(w->path);
        pd_free(w->temp_path);
        w->temp_path = NULL;
    }
    writer_release(w);
    return PD_OK;
}

void pd_file_writer_abort(pd_file_writer *w) {
    if (w->path) writer_release(w);
}
