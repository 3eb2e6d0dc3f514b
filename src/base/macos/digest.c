/* See base/digest.h: by CommonCrypto, which is part of the system's library.
 * SPDX-License-Identifier: MIT
 */
#include "base/digest.h"

#include <CommonCrypto/CommonDigest.h>
#include <stdio.h>

#include "base/memory.h"

struct pd_digest {
    pd_digest_kind kind;
    union {
        CC_SHA1_CTX sha1;
        CC_SHA256_CTX sha256;
    } state;
};

void pd_digest_reset(pd_digest *d) {
    if (d->kind == PD_SHA1)
        CC_SHA1_Init(&d->state.sha1);
    else
        CC_SHA256_Init(&d->state.sha256);
}

pd_digest *pd_digest_create(pd_digest_kind kind) {
    pd_digest *d = pd_alloc(1, sizeof *d);
    if (!d) return NULL;
    d->kind = kind;
    pd_digest_reset(d);
    return d;
}

void pd_digest_destroy(pd_digest *d) {
    pd_free(d);
}

void pd_digest_add(pd_digest *d, const void *data, size_t n) {
    enum { AT_ONCE = 1 << 30 }; /* lengths are of 32 bits there */
    const unsigned char *at = data;
    while (n > 0) {
        CC_LONG piece = n < AT_ONCE ? (CC_LONG)n : AT_ONCE;
        if (d->kind == PD_SHA1)
            CC_SHA1_Update(&d->state.sha1, at, piece);
        else
            CC_SHA256_Update(&d->state.sha256, at, piece);
        at += piece;
        n -= piece;
    }
}

bool pd_digest_finish(pd_digest *d, char text[PD_DIGEST_TEXT]) {
    unsigned char bytes[CC_SHA256_DIGEST_LENGTH];
    unsigned n = d->kind == PD_SHA1 ? CC_SHA1_DIGEST_LENGTH : CC_SHA256_DIGEST_LENGTH;
    if (d->kind == PD_SHA1)
        CC_SHA1_Final(bytes, &d->state.sha1);
    else
        CC_SHA256_Final(bytes, &d->state.sha256);
    for (unsigned i = 0; i < n; i++) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return true;
}
