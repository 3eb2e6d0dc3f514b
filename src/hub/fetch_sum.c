/* Digests of fetched files: SHA-256 as the hub lists it for large files, or Git's blob id.
 *
 *     blob id = SHA-1("blob " size "\0" bytes)
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hub/fetch.h"

struct fetch_sum {
    EVP_MD_CTX *md;
    const fetch_file *file;
    bool failed;
};

void fetch_sum_reset(fetch_sum *s) {
    bool blob = strlen(s->file->id) == 40;
    char head[40];
    int n = snprintf(head, sizeof head, "blob %" PRIu64, s->file->size);
    s->failed = EVP_DigestInit_ex(s->md, blob ? EVP_sha1() : EVP_sha256(), NULL) != 1;
    if (blob) fetch_sum_update(s, head, (size_t)n + 1);
}

pd_status fetch_sum_create(const fetch_file *file, fetch_sum **out, pd_error *err) {
    fetch_sum *s = *out = pd_alloc(1, sizeof *s);
    if (s) s->md = EVP_MD_CTX_new();
    if (!s || !s->md) {
        pd_free(s);
        *out = NULL;
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a digest");
    }
    s->file = file;
    fetch_sum_reset(s);
    return PD_OK;
}

void fetch_sum_update(fetch_sum *s, const void *data, size_t n) {
    s->failed = s->failed || EVP_DigestUpdate(s->md, data, n) != 1;
}

pd_status fetch_sum_finish(fetch_sum *s, bool *matches, pd_error *err) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    char text[2 * EVP_MAX_MD_SIZE + 1];
    unsigned n = 0;
    if (s->failed || EVP_DigestFinal_ex(s->md, digest, &n) != 1)
        return PD_RAISE(err, PD_ERR_INTERNAL, "the digest of a file could not be computed");
    for (unsigned i = 0; i < n; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
    *matches = strcmp(text, s->file->id) == 0;
    return PD_OK;
}

void fetch_sum_destroy(fetch_sum *s) {
    if (!s) return;
    EVP_MD_CTX_free(s->md);
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
        ssize_t got = pread(fd, piece, (size_t)wanted, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
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
