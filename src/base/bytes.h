/* A bounded little-endian reader over untrusted bytes, a growable byte string, and UTF-8.
 *
 * The reader never moves past its end: a read that does not fit returns false and leaves the
 * position where it was.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_BYTES_H
#define PD_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/printf_like.h"

typedef struct pd_reader {
    const uint8_t *data;
    uint64_t size, pos; /* pos <= size, always */
} pd_reader;

bool pd_read_u8(pd_reader *r, uint8_t *out);
bool pd_read_u16(pd_reader *r, uint16_t *out);
bool pd_read_u32(pd_reader *r, uint32_t *out);
bool pd_read_u64(pd_reader *r, uint64_t *out);
bool pd_read_f32(pd_reader *r, float *out);
/* A view of n bytes at the position, which then moves behind them. */
bool pd_read_bytes(pd_reader *r, uint64_t n, const uint8_t **out);

/* Where n bytes first occur among n_in; NULL: nowhere. */
const void *pd_find_bytes(const void *in, size_t n_in, const void *bytes, size_t n);

/* Growable bytes; .failed is sticky when memory ran out. All zero: ready to use. */
typedef struct pd_bytes {
    char *data; /* always NUL-terminated once anything was written */
    size_t n, cap;
    bool failed;
} pd_bytes;

void pd_bytes_write(pd_bytes *b, const void *data, size_t n);
void pd_bytes_printf(pd_bytes *b, const char *format, ...) PD_PRINTF_LIKE(2, 3);
void pd_bytes_free(pd_bytes *b);

/* Length of the valid UTF-8 sequence at s (1..4), or 0 when the bytes there are not one: overlong
 * forms, surrogates, values above U+10FFFF and truncated sequences are refused. */
size_t pd_utf8_length(const uint8_t *s, size_t n);
/* Bytes of a text before the first that begins no such sequence; n: it is UTF-8. */
size_t pd_utf8_valid_bytes(const char *text, size_t n);
/* Bytes that a sequence starting with `lead` needs (1..4), 0 when none starts so. */
size_t pd_utf8_need(uint8_t lead);
/* The character at *at of a text that is UTF-8; moves *at behind it. */
uint32_t pd_utf8_next(const char *text, size_t n, size_t *at);
/* A character's bytes; returns how many (1..4). */
size_t pd_utf8_encode(uint32_t c, char out[4]);

#endif
