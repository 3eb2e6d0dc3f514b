/* Digests of a file's bytes: XXH3-64 and SHA-256, as xxhsum -H3 and sha256sum print them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_PACK_DIGEST_H
#define PD_PACK_DIGEST_H

#include "base/error.h"

typedef struct cli_digest cli_digest;

typedef struct cli_digest_text {
    char xxh3[17], sha256[65]; /* lower-case hexadecimal */
} cli_digest_text;

pd_status cli_digest_create(cli_digest **out, pd_error *err);
void cli_digest_update(cli_digest *d, const void *data, size_t n);
/* Errors: INTERNAL when the library failed at any point. The digest begins anew. */
pd_status cli_digest_finish(cli_digest *d, cli_digest_text *out, pd_error *err);
void cli_digest_destroy(cli_digest *d); /* NULL is allowed */

#endif
