/* See digest.h.  SPDX-License-Identifier: MIT */
#include "pack/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

#include "base/digest.h"
#include "base/memory.h"

struct pack_digest {
    XXH3_state_t *xxh3;
    pd_digest *sha256;
    bool failed;
};

static void begin(pack_digest *d) {
    d->failed = XXH3_64bits_reset(d->xxh3) != XXH_OK;
    pd_digest_reset(d->sha256);
}

pd_status pack_digest_create(pack_digest **out, pd_error *err) {
    pack_digest *d = *out = pd_alloc(1, sizeof *d);
    if (d) d->xxh3 = XXH3_createState();
    if (d) d->sha256 = pd_digest_create(PD_SHA256);
    if (d && d->xxh3 && d->sha256) {
        begin(d);
        return PD_OK;
    }
    pack_digest_destroy(d);
    *out = NULL;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a digest");
}

void pack_digest_update(pack_digest *d, const void *data, size_t n) {
    if (d->failed) return;
    d->failed = XXH3_64bits_update(d->xxh3, data, n) != XXH_OK;
    pd_digest_add(d->sha256, data, n);
}

pd_status pack_digest_finish(pack_digest *d, char xxh3[17], char sha256[65], pd_error *err) {
    if (d->failed || !pd_digest_finish(d->sha256, sha256))
        return PD_RAISE(err, PD_ERR_INTERNAL, "the SHA-256 of a file could not be computed");
    snprintf(xxh3, 17, "%016" PRIx64, (uint64_t)XXH3_64bits_digest(d->xxh3));
    begin(d);
    return PD_OK;
}

void pack_digest_destroy(pack_digest *d) {
    if (!d) return;
    XXH3_freeState(d->xxh3);
    pd_digest_destroy(d->sha256);
    pd_free(d);
}
