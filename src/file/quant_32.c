/* Blocks of 32 values: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
 *
 *     Q4_0   f16 d;        u8 qs[16]              y = d (q - 8)
 *     Q4_1   f16 d; f16 m; u8 qs[16]              y = d q + m
 *     Q5_0   f16 d;        u8 qh[4]; u8 qs[16]    y = d (q - 16)
 *     Q5_1   f16 d; f16 m; u8 qh[4]; u8 qs[16]    y = d q + m
 *     Q8_0   f16 d;        i8 qs[32]              y = d q
 *
 * Value j < 16 is the low nibble of qs[j], value j + 16 its high nibble; bit j of the 32-bit qh is
 * the fifth bit of value j. The encoders divide by the unrounded scale and store the rounded one,
 * in single precision, exactly as ggml-quants.c's quantize_row_*_ref do.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "file/quant_blocks.h"

enum { N = 32, HALF = 16 };

static inline uint8_t at_most(uint8_t q, uint8_t max) {
    return q < max ? q : max;
}

/* The value of the largest magnitude, the first on ties, with its sign. */
static float extreme_of(const float *x) {
    float largest = 0, extreme = 0;
    for (int j = 0; j < N; j++) {
        if (fabsf(x[j]) > largest) {
            largest = fabsf(x[j]);
            extreme = x[j];
        }
    }
    return extreme;
}

/* |extreme_of(x)|, in lanes that compilers vectorise; NaN is passed over by both. */
static float magnitude_of(const float *x) {
    enum { LANES = 8 };
    float most[LANES] = {0}, largest = 0;
    for (int j = 0; j < N; j += LANES)
        for (int k = 0; k < LANES; k++)
            most[k] = fabsf(x[j + k]) > most[k] ? fabsf(x[j + k]) : most[k];
    for (int k = 0; k < LANES; k++) largest = most[k] > largest ? most[k] : largest;
    return largest;
}

static void range_of(const float *x, float *min, float *max) {
    *min = *max = x[0];
    for (int j = 1; j < N; j++) {
        if (x[j] < *min) *min = x[j];
        if (x[j] > *max) *max = x[j];
    }
}

static inline float inverse(float d) {
    return d != 0 ? 1.0f / d : 0.0f;
}

/* trunc(x), for x that rounding kept in 0..255; NaN and what lies outside become the nearer end. */
static inline uint8_t truncate(float x) {
    return (uint8_t)(x > 0 ? x < 255 ? (int)x : 255 : 0);
}

static inline void store_nibbles(uint8_t *qs, const uint8_t *q) {
    for (int j = 0; j < HALF; j++) qs[j] = (uint8_t)((q[j] & 15) | (q[j + HALF] & 15) << 4);
}

static inline void load_nibbles(const uint8_t *qs, uint8_t *q) {
    for (int j = 0; j < HALF; j++) {
        q[j] = qs[j] & 15;
        q[j + HALF] = qs[j] >> 4;
    }
}

static inline void store_fifth_bits(uint8_t *qh, const uint8_t *q) {
    memset(qh, 0, 4);
    for (int j = 0; j < N; j++) qh[j / 8] = (uint8_t)(qh[j / 8] | (q[j] >> 4 & 1) << j % 8);
}

static inline void load_fifth_bits(const uint8_t *qh, uint8_t *q) {
    for (int j = 0; j < N; j++) q[j] = (uint8_t)(q[j] | (qh[j / 8] >> j % 8 & 1) << 4);
}

/* ---- Q4_0 ---------------------------------------------------------------------------------- */

void decode_q4_0(const uint8_t *src, uint64_t n_blocks, float *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += 18, dst += N) {
        uint8_t q[N];
        float d = load_f16(src);
        load_nibbles(src + 2, q);
        for (int j = 0; j < N; j++) dst[j] = d * (float)(q[j] - 8);
    }
}

void encode_q4_0(const float *src, uint64_t n_blocks, uint8_t *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += N, dst += 18) {
        uint8_t q[N];
        float d = extreme_of(src) / -8, id = inverse(d);
        for (int j = 0; j < N; j++) q[j] = at_most(truncate(src[j] * id + 8.5f), 15);
        store_f16(dst, d);
        store_nibbles(dst + 2, q);
    }
}

/* ---- Q4_1 ---------------------------------------------------------------------------------- */

void decode_q4_1(const uint8_t *src, uint64_t n_blocks, float *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += 20, dst += N) {
        uint8_t q[N];
        float d = load_f16(src), m = load_f16(src + 2);
        load_nibbles(src + 4, q);
        for (int j = 0; j < N; j++) dst[j] = d * (float)q[j] + m;
    }
}

void encode_q4_1(const float *src, uint64_t n_blocks, uint8_t *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += N, dst += 20) {
        uint8_t q[N];
        float min, max;
        range_of(src, &min, &max);
        float d = (max - min) / 15, id = inverse(d);
        for (int j = 0; j < N; j++) q[j] = at_most(truncate((src[j] - min) * id + 0.5f), 15);
        store_f16(dst, d);
        store_f16(dst + 2, min);
        store_nibbles(dst + 4, q);
    }
}

/* ---- Q5_0 ---------------------------------------------------------------------------------- */

void decode_q5_0(const uint8_t *src, uint64_t n_blocks, float *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += 22, dst += N) {
        uint8_t q[N];
        float d = load_f16(src);
        load_nibbles(src + 6, q);
        load_fifth_bits(src + 2, q);
        for (int j = 0; j < N; j++) dst[j] = d * (float)(q[j] - 16);
    }
}

void encode_q5_0(const float *src, uint64_t n_blocks, uint8_t *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += N, dst += 22) {
        uint8_t q[N];
        float d = extreme_of(src) / -16, id = inverse(d);
        for (int j = 0; j < N; j++) q[j] = at_most(truncate(src[j] * id + 16.5f), 31);
        store_f16(dst, d);
        store_fifth_bits(dst + 2, q);
        store_nibbles(dst + 6, q);
    }
}

/* ---- Q5_1 ---------------------------------------------------------------------------------- */

void decode_q5_1(const uint8_t *src, uint64_t n_blocks, float *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += 24, dst += N) {
        uint8_t q[N];
        float d = load_f16(src), m = load_f16(src + 2);
        load_nibbles(src + 8, q);
        load_fifth_bits(src + 4, q);
        for (int j = 0; j < N; j++) dst[j] = d * (float)q[j] + m;
    }
}

void encode_q5_1(const float *src, uint64_t n_blocks, uint8_t *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += N, dst += 24) {
        uint8_t q[N];
        float min, max;
        range_of(src, &min, &max);
        float d = (max - min) / 31, id = inverse(d);
        for (int j = 0; j < N; j++) q[j] = at_most(truncate((src[j] - min) * id + 0.5f), 31);
        store_f16(dst, d);
        store_f16(dst + 2, min);
        store_fifth_bits(dst + 4, q);
        store_nibbles(dst + 8, q);
    }
}

/* ---- Q8_0 ---------------------------------------------------------------------------------- */

void decode_q8_0(const uint8_t *src, uint64_t n_blocks, float *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += 34, dst += N) {
        float d = load_f16(src);
        for (int j = 0; j < N; j++) dst[j] = d * (float)(int8_t)src[2 + j];
    }
}

/* roundf(x), which compilers do not vectorise, within -127..127; NaN has no place and becomes 0. */
static inline int round_level(float x) {
    float inside = x >= -127 ? (x <= 127 ? x : 127) : (x < 0 ? -127 : 0);
    int whole = (int)inside;
    float rest = inside - (float)whole; /* exact */
    return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

void encode_q8_0(const float *src, uint64_t n_blocks, uint8_t *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += N, dst += 34) {
        float d = magnitude_of(src) / 127, id = inverse(d);
        store_f16(dst, d);
        for (int j = 0; j < N; j++) dst[2 + j] = (uint8_t)(int8_t)round_level(src[j] * id);
    }
}
