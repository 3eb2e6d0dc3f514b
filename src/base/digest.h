/* SHA-1 and SHA-256, and base64: by the library that a system brings (posix/digest.c: OpenSSL's
 * libcrypto; windows/digest.c: CNG).
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

/* Whole groups of four characters, the last one padded, into out [n / 4 * 3]; false: it is none. */
bool pd_base64_decode(const char *text, size_t n, uint8_t *out, size_t *n_out);

#endif
