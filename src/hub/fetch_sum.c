/* Digests of fetched files: SHA-256 as the hub lists it for large files, or Git's blob id.
 *
 *     blob id = SHA-1("blob " size "\0" bytes)
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/os_file.h"
#include "hub/fetch.h"

struct fetch_sum {
    pd_digest *digest;
    const fetch_file *file;
};

static bool is_blob(const fetch_file *file) {
    return strlen(file->id) == 40;
}

void fetch_sum_reset(fetch_sum *s) {
    char head[40];
    int n = snprintf(head, sizeof head, "blob %" PRIu64, s->file->size);
    pd_digest_reset(s->digest);
    if (is_blob(s->file)) fetch_sum_update(s, head, (size_t)n + 1);
}

pd_status fetch_sum_create(const fetch_file *file, fetch_sum **out, pd_error *err) {
    fetch_sum *s = *out = pd_alloc(1, sizeof *s);
    if (s) s->digest = pd_digest_create(is_blob(file) ? PD_SHA1 : PD_SHA256);
    if (!s || !s->digest) {
        pd_free(s);
        *out = NULL;
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a digest");
    }
    s->file = file;
    fetch_sum_reset(s);
    return PD_OK;
}

void fetch_sum_update(fetch_sum *s, const void *data, size_t n) {
    pd_digest_add(s->digest, data, n);
}

pd_status fetch_sum_finish(fetch_sum *s, bool *matches, pd_error *err) {
    char text[PD_DIGEST_TEXT];
    if (!pd_digest_finish(s->digest, text))
        return PD_RAISE(err, PD_ERR_INTERNAL, "the digest of a file could not be computed");
    *matches = strcmp(text, s->file->id) == 0;
    return PD_OK;
}

void fetch_sum_destroy(fetch_sum *s) {
    if (!s) return;
    pd_digest_destroy(s->digest);
    pd_free(s);
}

pd_status fetch_sum_read(fetch_sum *s, int fd, const char *path, uint64_t n_bytes,
                         const hub_watch *watch, pd_error *err) {
    enum { PIECE = 64 << 10 };
    unsigned char piece[PIECE];
    fetch_begin(watch, "checking", 0);
    pd_status status = PD_OK;
    for (uint64_t at = 0; at < n_bytes && status == PD_OK;) {
        uint64_t wanted = n_bytes - at < PIECE ? n_bytes - at : PIECE;
        int64_t got = pd_fd_read(fd, piece, (size_t)wanted, at);
        if (got <= 0) {
            status = PD_RAISE(err, PD_ERR_IO, "cannot read \"%s\": %s", path,
                              got < 0 ? strerror(errno) : "it became shorter");
            break;
        }
        fetch_sum_update(s, piece, (size_t)got);
        at += (uint64_t)got;
        fetch_progress(watch, at, n_bytes);
        if (fetch_stopped(watch)) status = PD_RAISE(err, PD_ERR_CANCELLED, "stopped on request");
    }
    fetch_end(watch);
    return status;
}
