/* See pictures.h.  SPDX-License-Identifier: MIT */
#include "cli/chat/pictures.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

enum { FILE_MAX_BYTES = 64 << 20 }; /* what pd_image_read takes by itself */

static pd_status raise_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the picture");
}

/* A saved conversation tells by it that a file is still the same. */
static pd_status read_sum(const char *path, chat_picture *out, pd_error *err) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n_digest = 0;
    char *data = NULL;
    size_t n = 0;
    PD_TRY(pd_file_read_regular(path, FILE_MAX_BYTES, &data, &n, err));
    int good = EVP_Digest(data ? data : "", n, digest, &n_digest, EVP_sha256(), NULL);
    pd_free(data);
    if (good != 1) return PD_RAISE(err, PD_ERR_INTERNAL, "SHA-256 cannot be computed");
    for (unsigned i = 0; i < n_digest && i < 32; i++)
        snprintf(out->sha256 + 2 * i, 3, "%02x", digest[i]);
    out->n_bytes = n;
    return PD_OK;
}

static void free_picture(chat_picture *p) {
    pd_image_list_free(&p->list);
    pd_free(p->path);
}

static pd_status read_picture(const char *path, bool windows, chat_picture *out, pd_error *err) {
    uint32_t n_windows;
    *out = (chat_picture){.path = pd_strdup(path)};
    if (!out->path) return raise_memory(err);
    PD_TRY(read_sum(path, out, err));
    return pd_image_list_read(&out->list, path, windows, &n_windows, err);
}

pd_status chat_pictures_read(chat_pictures *p, const char *path, bool windows, pd_error *err) {
    chat_picture *bigger = pd_alloc(p->n + 1, sizeof *bigger);
    if (!bigger) return raise_memory(err);
    pd_status status = read_picture(path, windows, &bigger[p->n], err);
    if (status != PD_OK) {
        free_picture(&bigger[p->n]);
        pd_free(bigger);
        return status;
    }
    if (p->n) memcpy(bigger, p->items, p->n * sizeof *bigger);
    pd_free(p->items);
    p->items = bigger;
    p->n++;
    return PD_OK;
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
