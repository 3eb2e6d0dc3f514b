/* See base/digest.h.  SPDX-License-Identifier: MIT */
#include "base/digest.h"

#include <limits.h>
#include <stdio.h>
#include <windows.h>

#include <bcrypt.h>
#include <wincrypt.h>

#include "base/memory.h"

struct pd_digest {
    BCRYPT_ALG_HANDLE algorithm;
    BCRYPT_HASH_HANDLE hash; /* or NULL */
    pd_digest_kind kind;
    bool failed;
};

static void end_hash(pd_digest *d) {
    if (d->hash) BCryptDestroyHash(d->hash);
    d->hash = NULL;
}

void pd_digest_reset(pd_digest *d) {
    end_hash(d);
    d->failed = BCryptCreateHash(d->algorithm, &d->hash, NULL, 0, NULL, 0, 0) != 0;
}

pd_digest *pd_digest_create(pd_digest_kind kind) {
    pd_digest *d = pd_alloc(1, sizeof *d);
    const wchar_t *name = kind == PD_SHA1 ? BCRYPT_SHA1_ALGORITHM : BCRYPT_SHA256_ALGORITHM;
    if (!d || BCryptOpenAlgorithmProvider(&d->algorithm, name, NULL, 0) != 0) {
        pd_free(d);
        return NULL;
    }
    d->kind = kind;
    pd_digest_reset(d);
    return d;
}

void pd_digest_destroy(pd_digest *d) {
    if (!d) return;
    end_hash(d);
    BCryptCloseAlgorithmProvider(d->algorithm, 0);
    pd_free(d);
}

void pd_digest_add(pd_digest *d, const void *data, size_t n) {
    const unsigned char *at = data;
    while (n > 0 && !d->failed) {
        ULONG piece = n < ULONG_MAX ? (ULONG)n : ULONG_MAX;
        d->failed = BCryptHashData(d->hash, (PUCHAR)(size_t)at, piece, 0) != 0;
        at += piece;
        n -= piece;
    }
}

bool pd_digest_finish(pd_digest *d, char text[PD_DIGEST_TEXT]) {
    unsigned char bytes[32];
    ULONG n = d->kind == PD_SHA1 ? 20 : 32;
    text[0] = '\0';
    if (d->failed || BCryptFinishHash(d->hash, bytes, n, 0) != 0) return false;
    for (ULONG i = 0; i < n; i++) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return true;
}
