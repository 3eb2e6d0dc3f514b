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

/* ---- Q4_0, Q4_1, Q5_0, Q5_1 ----------------------------------------------------------------- */

/* Both are called with constants for has_min and has_fifth, and inlined, so that each format has
 * loops of its own without a branch. */
#define INLINE static inline __attribute__((always_inline))

INLINE void decode_nibbles(const uint8_t *src, uint64_t n_blocks, float *dst, bool has_min,
                           bool has_fifth) {
    const int qh_at = has_min ? 4 : 2, qs_at = has_fifth ? qh_at + 4 : qh_at;
    const int middle = has_fifth ? 16 : 8;
    for (uint64_t b = 0; b < n_blocks; b++, src += qs_at + HALF, dst += N) {
        uint8_t q[N];
        float d = load_f16(src), m = has_min ? load_f16(src + 2) : 0;
        load_nibbles(src + qs_at, q);
        if (has_fifth) load_fifth_bits(src + qh_at, q);
        for (int j = 0; j < N; j++)
            dst[j] = has_min ? d * (float)q[j] + m : d * (float)(q[j] - middle);
    }
}

INLINE void encode_nibbles(const float *src, uint64_t n_blocks, uint8_t *dst, bool has_min,
                           bool has_fifth) {
    const int qh_at = has_min ? 4 : 2, qs_at = has_fifth ? qh_at + 4 : qh_at;
    const uint8_t top = has_fifth ? 31 : 15;
    const float middle = has_fifth ? 16 : 8, rounding = has_min ? 0.5f : middle + 0.5f;
    for (uint64_t b = 0; b < n_blocks; b++, src += N, dst += qs_at + HALF) {
        uint8_t q[N];
        float min = 0, max = 0;
        if (has_min) range_of(src, &min, &max);
        float d = has_min ? (max - min) / top : extreme_of(src) / -middle, id = inverse(d);
        for (int j = 0; j < N; j++) q[j] = at_most(truncate((src[j] - min) * id + rounding), top);
        store_f16(dst, d);
        if (has_min) store_f16(dst + 2, min);
        if (has_fifth) store_fifth_bits(dst + qh_at, q);
        store_nibbles(dst + qs_at, q);
    }
}

#define FORMAT(name, has_min, has_fifth)                                                           \
    void decode_##name(const uint8_t *src, uint64_t n_blocks, float *dst) {                        \
        decode_nibbles(src, n_blocks, dst, has_min, has_fifth);                                    \
    }                                                                                              \
    void encode_##name(const float *src, uint64_t n_blocks, uint8_t *dst) {                        \
        encode_nibbles(src, n_blocks, dst, has_min, has_fifth);                                    \
    }

FORMAT(Q4_0, false, false)
FORMAT(Q4_1, true, false)
FORMAT(Q5_0, false, true)
FORMAT(Q5_1, true, true)

/* ---- Q8_0 ---------------------------------------------------------------------------------- */

void decode_Q8_0(const uint8_t *src, uint64_t n_blocks, float *dst) {
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

void encode_Q8_0(const float *src, uint64_t n_blocks, uint8_t *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += N, dst += 34) {
        float d = magnitude_of(src) / 127, id = inverse(d);
        store_f16(dst, d);
        for (int j = 0; j < N; j++) dst[2 + j] = (uint8_t)(int8_t)round_level(src[j] * id);
    }
}
