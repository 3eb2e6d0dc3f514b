/* The transfer of one file.
 *
 *     part on the disk --read--> digest --GET from its end on--> digest and part --> its name
 *
 * The digest grows with the part, so the content is read a second time only when a transfer is
 * continued by a later run. A server that ignores the range begins anew, and so does the part. What
 * breaks off is tried again as long as attempts last; those that bring something new do not count.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/os_file.h"
#include "hub/fetch.h"

/* ---- the part ------------------------------------------------------------------------------- */

typedef struct part {
    fetch_run *run;
    const fetch_file *file;
    const char *path, *part_path;
    int fd;
    uint64_t at; /* bytes that the part holds */
    bool began;  /* the current answer brought something */
    fetch_sum *sum;
} part;

static pd_status raise_write(const part *p, pd_error *err) {
    return PD_RAISE(err, PD_ERR_IO, "cannot write \"%s\": %s", p->part_path, strerror(errno));
}

/* Empties the part. */
static pd_status begin_anew(part *p, pd_error *err) {
    if (!pd_fd_truncate(p->fd, 0)) return raise_write(p, err);
    p->run->done -= p->at;
    p->at = 0;
    fetch_sum_reset(p->sum);
    return PD_OK;
}

static pd_status open_part(part *p, pd_error *err) {
    pd_path_info info;
    PD_TRY(fetch_store_prepare(p->run->store, p->file, err));
    PD_TRY(fetch_sum_create(p->file, &p->sum, err));
    const unsigned how = PD_OPEN_READ | PD_OPEN_WRITE | PD_OPEN_CREATE | PD_OPEN_NO_LINK;
    p->fd = pd_fd_open(p->part_path, how);
    if (p->fd < 0 || !pd_fd_look(p->fd, &info)) return raise_write(p, err);
    if (info.size > p->file->size) return begin_anew(p, err);
    p->at = info.size;
    return p->at ? fetch_sum_read(p->sum, p->fd, p->part_path, p->at, p->run->watch, err) : PD_OK;
}

/* The first piece of an answer: does it continue the part, and is it of the listed file? */
static pd_status begin_answer(part *p, const fetch_answer *a, pd_error *err) {
    p->began = true;
    if (a->commit[0]) memcpy(p->run->commit, a->commit, sizeof p->run->commit);
    if (fetch_is_id(a->linked_id) && strlen(a->linked_id) == strlen(p->file->id) &&
        strcmp(a->linked_id, p->file->id) != 0) {
        pd_status status =
            PD_RAISE(err, PD_ERR_IO, "%s changed on the server since it was listed", p->file->path);
        return pd_error_hint(err, status, "run the command again");
    }
    if (a->status == 206 && !(a->ranged && a->range_at == p->at))
        return PD_RAISE(err, PD_ERR_FORMAT,
                        "%s was asked for %s from byte %" PRIu64 " and sent it from another",
                        p->run->place->endpoint, p->file->path, p->at);
    if (a->status != 206 && p->at) PD_TRY(begin_anew(p, err));
    /* only now: its speed is that of the transfer, without what went before */
    fetch_begin(p->run->watch, "fetching", p->run->done);
    return PD_OK;
}

static pd_status take_piece(void *ctx, const fetch_answer *answer, const void *data, size_t n,
                            pd_error *err) {
    part *p = ctx;
    if (!p->began) PD_TRY(begin_answer(p, answer, err));
    if (n > p->file->size - p->at)
        return PD_RAISE(err, PD_ERR_FORMAT, "%s is longer than the %" PRIu64 " bytes listed",
                        p->file->path, p->file->size);
    for (size_t done = 0; done < n;) {
        int64_t wrote = pd_fd_write(p->fd, (const char *)data + done, n - done, p->at + done);
        if (wrote < 0) return raise_write(p, err);
        done += (size_t)wrote;
    }
    fetch_sum_update(p->sum, data, n);
    p->at += n;
    p->run->done += n;
    fetch_progress(p->run->watch, p->run->done, p->run->total);
    return PD_OK;
}

/* ---- attempts ------------------------------------------------------------------------------- */

/* One GET. *again: what failed may pass. */
static pd_status get_rest(part *p, const char *url, bool *again, pd_error *err) {
    fetch_request r = {.url = url, .from = p->at, .sink = take_piece, .ctx = p};
    p->began = false;
    pd_status status = fetch_http_get(p->run->http, &r, err);
    *again = r.transient;
    if (status != PD_OK && r.answer.status == 416 && r.from > 0) { /* its file ends before */
        *again = true;
        return begin_anew(p, err) == PD_OK ? status : PD_ERR_IO;
    }
    if (status != PD_OK || p->at == p->file->size) return status;
    *again = true;
    return PD_RAISE(err, PD_ERR_IO, "%s ended after %" PRIu64 " of %" PRIu64 " bytes",
                    p->file->path, p->at, p->file->size);
}

static pd_status get_all(part *p, pd_error *err) {
    const char *url = fetch_place_file_url(p->run->place, p->file->path);
    if (!url) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for an address");
    uint64_t furthest = p->at;
    for (unsigned attempt = 0; p->at < p->file->size;) {
        bool again;
        pd_status status = get_rest(p, url, &again, err);
        if (status == PD_OK) return PD_OK;
        if (p->at > furthest) attempt = 0;
        if (p->at > furthest) furthest = p->at;
        if (!again || attempt++ == p->run->n_retries) return status;
        fetch_end(p->run->watch);
        PD_TRY(fetch_http_pause(p->run->http, attempt, err ? err->message : "", err));
    }
    return PD_OK;
}

/* The part under the file's name, when it is what was listed. */
static pd_status finish(part *p, pd_error *err) {
    bool right;
    PD_TRY(fetch_sum_finish(p->sum, &right, err));
    if (!right) {
        pd_path_remove(p->part_path);
        pd_status status =
            PD_RAISE(err, PD_ERR_FORMAT, "%s arrived damaged: its %s is not the one listed",
                     p->file->path, strlen(p->file->id) == 64 ? "SHA-256" : "SHA-1");
        return pd_error_hint(err, status, "it was removed; run the command again");
    }
    if (!pd_fd_sync(p->fd)) return raise_write(p, err);
    pd_fd_close(p->fd); /* what is open cannot be renamed everywhere */
    p->fd = -1;
    return pd_path_move(p->part_path, p->path) ? PD_OK : raise_write(p, err);
}

pd_status fetch_part_get(fetch_run *run, fetch_file *file, pd_error *err) {
    part p = {.run = run,
              .file = file,
              .path = fetch_store_path(run->store, file->path),
              .part_path = fetch_store_part_path(run->store, file),
              .fd = -1};
    if (!p.path || !p.part_path)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
    pd_status status = open_part(&p, err);
    if (status == PD_OK) status = get_all(&p, err);
    if (status == PD_OK) status = finish(&p, err);
    file->have = status == PD_OK;
    if (p.fd >= 0) pd_fd_close(p.fd);
    fetch_sum_destroy(p.sum);
    return status;
}
