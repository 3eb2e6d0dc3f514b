/* See pictures.h.  SPDX-License-Identifier: MIT */
#include "cli/chat/pictures.h"

#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"

enum { FILE_MAX_BYTES = 64 << 20 }; /* what pd_image_decode takes by itself */

static pd_status raise_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the picture");
}

/* A saved conversation tells by it that a file is still the same. */
static pd_status sum(chat_picture *p, pd_error *err) {
    pd_digest *d = pd_digest_create(PD_SHA256);
    if (!d) return raise_memory(err);
    pd_digest_add(d, p->bytes, p->n_bytes);
    bool done = pd_digest_finish(d, p->sha256);
    pd_digest_destroy(d);
    return done ? PD_OK : PD_RAISE(err, PD_ERR_INTERNAL, "SHA-256 cannot be computed");
}

static pd_status decode(chat_picture *p, bool windows, pd_error *err) {
    uint32_t n_windows;
    pd_error inner = {0};
    pd_status status =
        pd_image_list_decode(&p->list, p->bytes, p->n_bytes, windows, &n_windows, &inner);
    if (status == PD_OK) return PD_OK;
    PD_RAISE(err, status, "\"%s\": %s", p->path, inner.message);
    return inner.hint[0] ? pd_error_hint(err, status, "%s", inner.hint) : status;
}

static void free_picture(chat_picture *p) {
    pd_image_list_free(&p->list);
    pd_free(p->bytes);
    pd_free(p->path);
}

static pd_status append(chat_pictures *p, const chat_picture *picture, pd_error *err) {
    chat_picture *bigger = pd_alloc(p->n + 1, sizeof *bigger);
    if (!bigger) return raise_memory(err);
    if (p->n) memcpy(bigger, p->items, p->n * sizeof *bigger);
    pd_free(p->items);
    p->items = bigger;
    p->items[p->n++] = *picture;
    return PD_OK;
}

/* bytes: taken over. */
static pd_status add(chat_pictures *p, const char *path, char *bytes, size_t n, bool windows,
                     pd_error *err) {
    chat_picture picture = {.path = pd_strdup(path), .bytes = bytes, .n_bytes = n};
    pd_status status = picture.path ? sum(&picture, err) : raise_memory(err);
    if (status == PD_OK) status = decode(&picture, windows, err);
    if (status == PD_OK) status = append(p, &picture, err);
    if (status != PD_OK) free_picture(&picture);
    return status;
}

pd_status chat_pictures_read(chat_pictures *p, const char *path, bool windows, pd_error *err) {
    char *bytes = NULL;
    size_t n = 0;
    PD_TRY(pd_file_read_regular(path, FILE_MAX_BYTES, &bytes, &n, err));
    return add(p, path, bytes, n, windows, err);
}

pd_status chat_pictures_take(chat_pictures *p, const char *path, const char *bytes, size_t n,
                             bool windows, pd_error *err) {
    char *copy = pd_alloc(n + 1, 1);
    if (!copy) return raise_memory(err);
    memcpy(copy, bytes, n);
    return add(p, path, copy, n, windows, err);
}

size_t chat_pictures_count(const chat_pictures *p) {
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) n += p->items[i].list.n;
    return n;
}

void chat_pictures_free(chat_pictures *p) {
    for (size_t i = 0; i < p->n; i++) free_picture(&p->items[i]);
    pd_free(p->items);
    *p = (chat_pictures){0};
}
