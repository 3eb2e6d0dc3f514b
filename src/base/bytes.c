/* The bounded reader, the growable byte string, and UTF-8.
 *
 * Numbers are read byte by byte, so neither the source's alignment nor the host's byte order
 * matters. The reader compares lengths by subtraction from what is left, which cannot overflow.
 * UTF-8: the table of well-formed byte sequences of the Unicode standard (table 3-7).
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_little(pd_reader *r, unsigned n, uint64_t *out) {
    if (r->size - r->pos < n) return false;
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++) v |= (uint64_t)r->data[r->pos + i] << (8 * i);
    r->pos += n;
    *out = v;
    return true;
}

bool pd_read_u8(pd_reader *r, uint8_t *out) {
    uint64_t v;
    if (!read_little(r, 1, &v)) return false;
    *out = (uint8_t)v;
    return true;
}

bool pd_read_u16(pd_reader *r, uint16_t *out) {
    uint64_t v;
    if (!read_little(r, 2, &v)) return false;
    *out = (uint16_t)v;
    return true;
}

bool pd_read_u32(pd_reader *r, uint32_t *out) {
    uint64_t v;
    if (!read_little(r, 4, &v)) return false;
    *out = (uint32_t)v;
    return true;
}

bool pd_read_u64(pd_reader *r, uint64_t *out) {
    return read_little(r, 8, out);
}

bool pd_read_f32(pd_reader *r, float *out) {
    uint32_t bits;
    if (!pd_read_u32(r, &bits)) return false;
    memcpy(out, &bits, sizeof bits);
    return true;
}

bool pd_read_bytes(pd_reader *r, uint64_t n, const uint8_t **out) {
    if (r->size - r->pos < n) return false;
    *out = r->data + r->pos;
    r->pos += n;
    return true;
}

/* Room for n more bytes and the NUL behind them. */
static bool bytes_reserve(pd_bytes *b, size_t n) {
    size_t need;
    if (b->failed) return false;
    if (__builtin_add_overflow(b->n, n, &need) || __builtin_add_overflow(need, 1, &need)) {
        b->failed = true;
        return false;
    }
    if (need <= b->cap) return true;
    size_t cap = b->cap < 64 ? 64 : b->cap;
    while (cap < need && cap <= SIZE_MAX / 2) cap *= 2;
    if (cap < need) cap = need;
    char *data = realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void pd_bytes_write(pd_bytes *b, const void *data, size_t n) {
    if (!bytes_reserve(b, n)) return;
    if (n > 0) memcpy(b->data + b->n, data, n);
    b->n += n;
    b->data[b->n] = '\0';
}

void pd_bytes_printf(pd_bytes *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) b->failed = true;
    if (n < 0 || !bytes_reserve(b, (size_t)n)) return;
    va_start(args, format);
    vsnprintf(b->data + b->n, (size_t)n + 1, format, args);
    va_end(args);
    b->n += (size_t)n;
}

void pd_bytes_free(pd_bytes *b) {
    free(b->data);
    *b = (pd_bytes){0};
}

size_t pd_utf8_need(uint8_t lead) {
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return 2;
    if (lead >= 0xE0 && lead <= 0xEF) return 3;
    if (lead >= 0xF0 && lead <= 0xF4) return 4;
    return 0;
}

size_t pd_utf8_length(const uint8_t *s, size_t n) {
    size_t need = n > 0 ? pd_utf8_need(s[0]) : 0;
    if (need == 0 || need > n) return 0;
    for (size_t i = 1; i < need; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if (s[0] == 0xE0 && s[1] < 0xA0) return 0; /* overlong */
    if (s[0] == 0xED && s[1] > 0x9F) return 0; /* surrogates */
    if (s[0] == 0xF0 && s[1] < 0x90) return 0; /* overlong */
    if (s[0] == 0xF4 && s[1] > 0x8F) return 0; /* above U+10FFFF */
    return need;
}

size_t pd_utf8_valid_bytes(const char *text, size_t n) {
    size_t at = 0;
    for (size_t length = 1; at < n && length > 0; at += length)
        length = pd_utf8_length((const uint8_t *)text + at, n - at);
    return at;
}

const void *pd_find_bytes(const void *in, size_t n_in, const void *bytes, size_t n) {
    const char *at = in, *end = at + n_in;
    if (n == 0) return in;
    while ((size_t)(end - at) >= n) {
        at = memchr(at, *(const char *)bytes, (size_t)(end - at) - n + 1);
        if (!at || memcmp(at, bytes, n) == 0) return at;
        at++;
    }
    return NULL;
}

uint32_t pd_utf8_next(const char *text, size_t n, size_t *at) {
    uint8_t lead = (uint8_t)text[(*at)++];
    size_t need = pd_utf8_need(lead);
    uint32_t c = need > 1 ? lead & (0xFFu >> (need + 1)) : lead;
    for (size_t i = 1; i < need && *at < n; i++) c = c << 6 | ((uint8_t)text[(*at)++] & 0x3F);
    return c;
}

size_t pd_utf8_encode(uint32_t c, char out[4]) {
    static const uint32_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6) out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(lead[n] | c);
    return n;
}
