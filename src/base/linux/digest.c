/* See base/digest.h: by OpenSSL's libcrypto.  SPDX-License-Identifier: MIT */
#include "base/digest.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/memory.h"

struct pd_digest {
    EVP_MD_CTX *md;
    pd_digest_kind kind;
    bool failed;
};

void pd_digest_reset(pd_digest *d) {
    const EVP_MD *md = d->kind == PD_SHA1 ? EVP_sha1() : EVP_sha256();
    d->failed = EVP_DigestInit_ex(d->md, md, NULL) != 1;
}

pd_digest *pd_digest_create(pd_digest_kind kind) {
    pd_digest *d = pd_alloc(1, sizeof *d);
    if (d) d->md = EVP_MD_CTX_new();
    if (!d || !d->md) {
        pd_free(d);
        return NULL;
    }
    d->kind = kind;
    pd_digest_reset(d);
    return d;
}

void pd_digest_destroy(pd_digest *d) {
    if (!d) return;
    EVP_MD_CTX_free(d->md);
    pd_free(d);
}

void pd_digest_add(pd_digest *d, const void *data, size_t n) {
    d->failed = d->failed || EVP_DigestUpdate(d->md, data, n) != 1;
}

bool pd_digest_finish(pd_digest *d, char text[PD_DIGEST_TEXT]) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    text[0] = '\0';
    if (d->failed || EVP_DigestFinal_ex(d->md, bytes, &n) != 1 || 2 * n >= PD_DIGEST_TEXT)
        return false;
    for (unsigned i = 0; i < n; i++) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return true;
}
