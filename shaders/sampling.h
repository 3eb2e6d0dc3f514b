/* Drawing a token, the part that must come out alike everywhere: included by C and by GLSL.
 *
 * A candidate weighs exp((logit - highest) / temp) in units of 2^-31, so the best one weighs 2^31.
 * From there on everything is in integers, whose sums do not depend on their order:
 *
 *     d = highest - logit;  x = d * scale    two roundings in f32, alike on every device;
 *                                            scale = 2^24 log2(e) / temp
 *     t = floor(x)                           octaves in units of 2^-24
 *     weight = 2^31 * 2^(-t / 2^24)          by a polynomial in integers
 *
 *     top-p   candidates, best first, while those before weigh less than (total * P) >> 32
 *     min-p   candidates whose weight is at least M
 *     draw    the first candidate up to which the weights exceed (weight of those left * R) >> 32
 *
 * with P = p in units of 2^-32, M = min_p in units of 2^-31, and R the first word of Philox. A
 * driver may take subnormal numbers for zero; here they are zero everywhere. Candidates stand in
 * the order of their keys, equal ones by lower id.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SAMPLING_H
#define PD_SAMPLING_H

#include "args.h"

#ifdef VULKAN /* GLSL */
#define PD_FN
#define PD_STRUCT(name) name
#define PD_PRECISE      precise /* no fused multiply-add, no reordering */
#define PD_BITS(f)      floatBitsToUint(f)
#define PD_FLOAT(u)     uintBitsToFloat(u)
#define PD_FLOOR(f)     uint(f)
uint pd_mul_high(uint a, uint b) {
    uint high, low;
    umulExtended(a, b, high, low);
    return high;
}
#else
#include <stdbool.h>
#include <string.h>
#define PD_FN           static inline
#define PD_STRUCT(name) struct name
#define PD_PRECISE
#define PD_BITS(f)  pd_float_bits(f)
#define PD_FLOAT(u) pd_bits_float(u)
#define PD_FLOOR(f) ((uint32_t)(f))
static inline uint32_t pd_float_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}
static inline float pd_bits_float(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
static inline uint32_t pd_mul_high(uint32_t a, uint32_t b) {
    return (uint32_t)((uint64_t)a * b >> 32);
}
#endif

#define PD_SAMPLE_MAX_K 256 /* candidates that a device draws from */
#define PD_SAMPLE_NO_ID 0xffffffffu

/* Ids that may be drawn: those below END but for the image markers, MARKER and the one behind it.
 */
#define PD_SAMPLE_END    262144u
#define PD_SAMPLE_MARKER 255999u

/* Settings of one sampled token in the step buffer, nine words per output: plan/sample.h's
 * pd_sample_params. */
#define PD_SAMPLE_WORDS   9
#define PD_SAMPLE_K       0 /* 0 or 1: the best */
#define PD_SAMPLE_SCALE   1
#define PD_SAMPLE_TOP_P   2 /* 0: off */
#define PD_SAMPLE_MIN_P   3
#define PD_SAMPLE_SEED    4 /* low, high */
#define PD_SAMPLE_COUNTER 6 /* low, high */
#define PD_SAMPLE_MASK    8 /* where its mask is, in words from PD_STEP_STATE; 0: it has none */

PD_FN bool pd_sample_is_finite(PD_U32 bits) {
    return (bits & 0x7f800000u) != 0x7f800000u;
}

PD_FN PD_U32 pd_sample_flush(PD_U32 bits) {
    return (bits & 0x7f800000u) == 0u ? 0u : bits;
}

PD_FN bool pd_sample_is_allowed(PD_U32 id) {
    return id < PD_SAMPLE_END && id - PD_SAMPLE_MARKER > 1u;
}

/* Orders finite values as integers: a higher value has a higher key, which is never 0. */
PD_FN PD_U32 pd_sample_key(PD_U32 bits) {
    PD_U32 b = pd_sample_flush(bits);
    return (b >> 31) != 0u ? ~b : b | 0x80000000u;
}

/* The value's bits again, subnormal ones as zero. */
PD_FN PD_U32 pd_sample_key_bits(PD_U32 key) {
    return (key >> 31) != 0u ? key & 0x7fffffffu : ~key;
}

/* 2^31 * 2^(-t / 2^24) for t < 2^29. The polynomial q of 1 - f q(f) is (1 - 2^-f) / f at the
 * Chebyshev points of [0, 1]; the result is off by at most 4 units, and never rises with t. */
PD_FN PD_U32 pd_sample_exp2(PD_U32 t) {
    PD_U32 f = t << 8;
    PD_U32 q = 0x0009c200u - pd_mul_high(f, 0x0000bda6u);
    q = 0x005728b0u - pd_mul_high(f, q);
    q = 0x027641a9u - pd_mul_high(f, q);
    q = 0x0e358127u - pd_mul_high(f, q);
    q = 0x3d7f7bcbu - pd_mul_high(f, q);
    q = 0xb17217f7u - pd_mul_high(f, q);
    return (0x80000000u - (pd_mul_high(f, q) >> 1)) >> (t >> 24);
}

PD_FN PD_U32 pd_sample_weight(PD_U32 highest_key, PD_U32 key, PD_F32 scale) {
    PD_PRECISE PD_F32 d =
        PD_FLOAT(pd_sample_key_bits(highest_key)) - PD_FLOAT(pd_sample_key_bits(key));
    PD_PRECISE PD_F32 x = PD_FLOAT(pd_sample_flush(PD_BITS(d))) * scale;
    PD_U32 bits = PD_BITS(x);
    if (bits >= 0x4e000000u) return 0u; /* 2^29 and above, infinity included */
    return pd_sample_exp2(PD_FLOOR(x));
}

/* Philox 4x32 with 10 rounds; see sample/sampler.c. */
struct pd_philox_block {
    PD_U32 a, b, c, d;
};

PD_FN PD_STRUCT(pd_philox_block)
    pd_philox_rounds(PD_STRUCT(pd_philox_block) x, PD_U32 key0, PD_U32 key1) {
    for (int i = 0; i < 10; i++) {
        PD_U32 high0 = pd_mul_high(0xD2511F53u, x.a), low0 = 0xD2511F53u * x.a;
        PD_U32 high1 = pd_mul_high(0xCD9E8D57u, x.c), low1 = 0xCD9E8D57u * x.c;
        x.a = high1 ^ x.b ^ key0;
        x.b = low1;
        x.c = high0 ^ x.d ^ key1;
        x.d = low0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return x;
}

#endif
