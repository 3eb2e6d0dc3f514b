/* Writing a file so that it appears complete or not at all.
 *
 *     open      a file without a name in the target's folder
 *     finish    written out and synced
 *     commit    linked as PATH.tmp-PID-N, renamed over PATH at once; of several files, those that
 *               are replaced keep such a name until all are renamed
 *
 * A process that is killed while it writes leaves nothing behind: the system drops a file that has
 * no name. Linking cannot replace a file, hence the name in between. Where the file system has no
 * such files, or /proc, by which they are linked, is not there, the temporary name is there from
 * the beginning, and abort unlinks it.
 *
 * The temporary file lies in the target's own folder (a rename cannot cross file systems) and takes
 * over the mode of the file it replaces. A symbolic link is followed, so that the file behind it is
 * replaced and not the link. What is not a regular file (a pipe, /dev/stdout) cannot be replaced
 * and is written directly; so is every device's name, whatever it happens to lead to.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/folder.h"
#include "base/memory.h"
#include "base/os_file.h"
#include "base/process.h"

/* ---- temporary files ------------------------------------------------------------------------ */

/* "." for a plain name; NULL: no memory */
static char *folder_of(const char *path) {
    size_t n = pd_path_name_at(path);
    char *folder = pd_strdup(n ? path : ".");
    if (folder && n) folder[n > 1 ? n - 1 : 1] = '\0';
    return folder;
}

/* -1: not here */
static int open_unnamed(const char *path) {
    char *folder = folder_of(path);
    int fd = folder ? pd_fd_open_unnamed(folder) : -1;
    pd_free(folder);
    return fd;
}

static char *temp_name(const char *path, unsigned attempt) {
    pd_bytes name = {0};
    pd_bytes_printf(&name, "%s.tmp-%llu-%u", path, (unsigned long long)pd_process_id(), attempt);
    if (!name.failed) return name.data;
    pd_bytes_free(&name);
    return NULL;
}

/* A new file under a temporary name, or with fd >= 0 that file under one. Returns its descriptor,
 * or -1 with errno and without a name. */
static int name_temp(pd_file_writer *w, int fd) {
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        char *name = temp_name(w->path, attempt);
        if (!name) {
            errno = ENOMEM;
            return -1;
        }
        int result = fd;
        if (fd < 0)
            result = pd_fd_open(name, PD_OPEN_WRITE | PD_OPEN_CREATE | PD_OPEN_NEW);
        else if (!pd_fd_name(fd, name))
            result = -1;
        if (result >= 0) {
            w->temp_path = name;
            return result;
        }
        int error = errno;
        pd_free(name);
        errno = error;
        if (error != EEXIST) break;
    }
    return -1;
}

/* ---- opening -------------------------------------------------------------------------------- */

static void writer_release(pd_file_writer *w) {
    if (w->stream) fclose(w->stream);
    if (w->temp_path) pd_path_remove(w->temp_path);
    if (w->old_path) pd_path_remove(w->old_path);
    pd_free(w->path);
    pd_free(w->temp_path);
    pd_free(w->old_path);
    *w = (pd_file_writer){0};
}

static pd_status raise_write(pd_file_writer *w, int error, pd_error *err) {
    pd_status status = error == ENOMEM ? PD_ERR_MEMORY_HOST : PD_ERR_IO;
    return PD_RAISE(err, status, "cannot write \"%s\": %s", w->path, pd_errno_text(error));
}

static char *follow_links(const char *path) {
    char *real = pd_path_real(path);
    return real ? real : pd_strdup(path);
}

static void open_stream(pd_file_writer *w, bool named, const pd_path_info *replaced) {
    int fd = named ? -1 : open_unnamed(w->path);
    if (fd < 0) fd = name_temp(w, -1);
    if (fd < 0) return;
    if (replaced) (void)pd_fd_set_mode(fd, replaced->mode);
    w->stream = pd_fd_stream(fd, "wb");
    if (!w->stream) pd_fd_close(fd);
}

static pd_status open_writer(const char *path, bool named, pd_file_writer *w, pd_error *err) {
    *w = (pd_file_writer){0};
    pd_path_info info;
    bool exists = pd_path_look(path, &info);
    w->is_direct = pd_path_is_device(path) || (exists && info.kind != PD_PATH_FILE);
    w->path = w->is_direct ? pd_strdup(path) : follow_links(path);
    if (!w->path) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to open a file");
    if (w->is_direct)
        w->stream = pd_stream_open(path, "wb");
    else
        open_stream(w, named, exists ? &info : NULL);
    if (w->stream) return PD_OK;
    pd_status status = raise_write(w, errno, err);
    writer_release(w);
    return status;
}

pd_status pd_file_writer_open(const char *path, pd_file_writer *w, pd_error *err) {
    return open_writer(path, false, w, err);
}

pd_status pd_file_writer_open_named(const char *path, pd_file_writer *w, pd_error *err) {
    return open_writer(path, true, w, err);
}

void pd_file_writer_write(pd_file_writer *w, const void *data, size_t n) {
    if (w->failed || n == 0) return;
    if (fwrite(data, 1, n, w->stream) == n) return;
    w->failed = true;
    w->failure = errno;
}

/* ---- ending --------------------------------------------------------------------------------- */

pd_status pd_file_writer_finish(pd_file_writer *w, pd_error *err) {
    if (!w->failed &&
        (fflush(w->stream) != 0 || (!w->is_direct && !pd_fd_sync(fileno(w->stream))))) {
        w->failed = true;
        w->failure = errno;
    }
    return w->failed ? raise_write(w, w->failure ? w->failure : EIO, err) : PD_OK;
}

const char *pd_file_writer_path(const pd_file_writer *w, char out[32]) {
    if (w->is_direct) return NULL;
    return w->temp_path ? w->temp_path : pd_fd_link(fileno(w->stream), out);
}

/* The new name survives a power cut only when its folder is synced as well. */
static void sync_folder(const char *path) {
    char *folder = folder_of(path);
    if (folder) (void)pd_folder_sync(folder);
    pd_free(folder);
}

/* Finished, closed, and under its temporary name. */
static pd_status close_named(pd_file_writer *w, pd_error *err) {
    PD_TRY(pd_file_writer_finish(w, err));
    bool good = w->is_direct || w->temp_path || name_temp(w, fileno(w->stream)) >= 0;
    int error = errno;
    bool closed = fclose(w->stream) == 0;
    if (good && !closed) error = errno;
    w->stream = NULL;
    return good && closed ? PD_OK : raise_write(w, error, err);
}

static pd_status take_place(pd_file_writer *w, pd_error *err) {
    if (w->is_direct) return PD_OK;
    if (!pd_path_move(w->temp_path, w->path)) return raise_write(w, errno, err);
    pd_free(w->temp_path);
    w->temp_path = NULL;
    return PD_OK;
}

/* Gives the file that will be replaced a second name, by which it can come back. */
static void keep_old(pd_file_writer *w) {
    w->replaces = !w->is_direct && pd_path_exists(w->path);
    for (unsigned attempt = 0; w->replaces && attempt < 1000; attempt++) {
        char *name = temp_name(w->path, attempt);
        if (name && pd_path_link(w->path, name)) {
            w->old_path = name;
            return;
        }
        bool taken = name && errno == EEXIST;
        pd_free(name);
        if (!taken) return;
    }
}

static void bring_back(pd_file_writer *w) {
    if (w->is_direct) return;
    if (w->old_path && pd_path_move(w->old_path, w->path)) {
        pd_free(w->old_path);
        w->old_path = NULL;
    } else if (!w->replaces) {
        pd_path_remove(w->path);
    }
}

pd_status pd_file_writers_commit(pd_file_writer *const *list, uint32_t n, pd_error *err) {
    pd_status status = PD_OK;
    uint32_t n_placed = 0;
    for (uint32_t i = 0; i < n && status == PD_OK; i++) status = close_named(list[i], err);
    for (uint32_t i = 0; i < n && n > 1 && status == PD_OK; i++) keep_old(list[i]);
    while (n_placed < n && status == PD_OK) {
        status = take_place(list[n_placed], err);
        n_placed += status == PD_OK;
    }
    for (uint32_t i = 0; i < n_placed && status != PD_OK; i++) bring_back(list[i]);
    for (uint32_t i = 0; i < n; i++) {
        if (!list[i]->is_direct && list[i]->path && status == PD_OK) sync_folder(list[i]->path);
        writer_release(list[i]);
    }
    return status;
}

pd_status pd_file_writer_commit(pd_file_writer *w, pd_error *err) {
    return pd_file_writers_commit(&w, 1, err);
}

void pd_file_writer_abort(pd_file_writer *w) {
    if (w->path) writer_release(w);
}

pd_status pd_file_write(const char *path, pd_file_write_fn fn, void *ctx, pd_error *err) {
    pd_file_writer w;
    PD_TRY(pd_file_writer_open(path, &w, err));
    pd_status status = fn(ctx, &w, err);
    if (status == PD_OK) return pd_file_writer_commit(&w, err);
    pd_file_writer_abort(&w);
    return status;
}

pd_status pd_file_write_all(const char *path, const void *data, size_t n, pd_error *err) {
    pd_file_writer w;
    PD_TRY(pd_file_writer_open(path, &w, err));
    pd_file_writer_write(&w, data, n);
    return pd_file_writer_commit(&w, err);
}
