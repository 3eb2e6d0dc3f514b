/* Base64 of RFC 4648, section 4.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_BASE64_H
#define PD_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whole groups of four characters, the last one padded, into out [n / 4 * 3]; false: it is none. */
bool pd_base64_decode(const char *text, size_t n, uint8_t *out, size_t *n_out);

#endif
