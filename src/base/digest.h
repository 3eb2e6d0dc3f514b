/* SHA-1 and SHA-256, by the library that a system brings: OpenSSL's libcrypto on Linux,
 * CommonCrypto on macOS, CNG on Windows.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_DIGEST_H
#define PD_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum pd_digest_kind { PD_SHA1, PD_SHA256 } pd_digest_kind;
enum { PD_DIGEST_TEXT = 65 }; /* hexadecimal digits, and a zero */

typedef struct pd_digest pd_digest;

pd_digest *pd_digest_create(pd_digest_kind kind); /* NULL: no memory */
void pd_digest_destroy(pd_digest *d);             /* NULL is allowed */
void pd_digest_reset(pd_digest *d);
void pd_digest_add(pd_digest *d, const void *data, size_t n);   /* failure is sticky until reset */
bool pd_digest_finish(pd_digest *d, char text[PD_DIGEST_TEXT]); /* false: it failed */

#endif
