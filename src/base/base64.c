/* See base64.h.  SPDX-License-Identifier: MIT */
#include "base/base64.h"

#include <string.h>

/* -1: it is no digit. */
static int digit_of(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* How many of the last characters are padding: of a group of four two at most. */
static size_t padding_of(const char *text, size_t n) {
    size_t padding = 0;
    while (padding < 2 && text[n - 1 - padding] == '=') padding++;
    return padding;
}

bool pd_base64_decode(const char *text, size_t n, uint8_t *out, size_t *n_out) {
    *n_out = 0;
    if (n == 0 || n % 4 != 0) return false;
    size_t n_digits = n - padding_of(text, n), n_bytes = n_digits * 6 / 8;
    uint32_t bits = 0;
    for (size_t i = 0; i < n_digits; i++) {
        int digit = digit_of(text[i]);
        if (digit < 0) return false;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 > 0) out[i / 4 * 3 + i % 4 - 1] = (uint8_t)(bits >> (6 - i % 4 * 2));
    }
    *n_out = n_bytes;
    return true;
}
