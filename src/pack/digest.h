/* Digests of a file's bytes: XXH3-64 and SHA-256, as xxhsum -H3 and sha256sum print them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_PACK_DIGEST_H
#define PD_PACK_DIGEST_H

#include "base/error.h"

typedef struct pack_digest pack_digest;

pd_status pack_digest_create(pack_digest **out, pd_error *err);
void pack_digest_update(pack_digest *d, const void *data, size_t n);
/* Errors: INTERNAL when the library failed at any point. The digest begins anew. */
pd_status pack_digest_finish(pack_digest *d, char xxh3[17], char sha256[65], pd_error *err);
void pack_digest_destroy(pack_digest *d); /* NULL is allowed */

#endif
