/* Activations to integers (integer.h has formula and layout), for integer_body.h and with its
 * definitions.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_INTEGER_QUANTIZE_H
#define PD_CPU_INTEGER_QUANTIZE_H

typedef uint64_t vl __attribute__((vector_size(VB)));              /* 64-bit lanes */
typedef uint32_t half_vector __attribute__((vector_size(VB / 2))); /* as many of 32 bits */

enum {
    BLOCK_VECTORS = PD_CPU_BLOCK / LANES,
    HALF_VECTORS = BLOCK_VECTORS / 2 /* of columns 0 .. 15, and of 16 .. 31 */
};

/* FLIPPED: lane i is that of i ^ n. MERGED: of 64-bit lanes i, i + 2, .. those of a and b in turns;
 * i is 0 or 1. */
#if VB == 16
#define FLIPPED(v, n)   __builtin_shufflevector(v, v, 0 ^ n, 1 ^ n, 2 ^ n, 3 ^ n)
#define MERGED(a, b, i) __builtin_shufflevector((vl)(a), (vl)(b), i, 2 + i)
#elif VB == 32
#define FLIPPED(v, n)                                                                              \
    __builtin_shufflevector(v, v, 0 ^ n, 1 ^ n, 2 ^ n, 3 ^ n, 4 ^ n, 5 ^ n, 6 ^ n, 7 ^ n)
#define MERGED(a, b, i) __builtin_shufflevector((vl)(a), (vl)(b), i, 4 + i, 2 + i, 6 + i)
#else
#define FLIPPED(v, n)                                                                              \
    __builtin_shufflevector(v, v, 0 ^ n, 1 ^ n, 2 ^ n, 3 ^ n, 4 ^ n, 5 ^ n, 6 ^ n, 7 ^ n, 8 ^ n,   \
                            9 ^ n, 10 ^ n, 11 ^ n, 12 ^ n, 13 ^ n, 14 ^ n, 15 ^ n)
#define MERGED(a, b, i)                                                                            \
    __builtin_shufflevector((vl)(a), (vl)(b), i, 8 + i, 2 + i, 10 + i, 4 + i, 12 + i, 6 + i, 14 + i)
#endif

INLINE vi larger_of(vi a, vi b) {
    vi mask = a > b;
    return (a & mask) | (b & ~mask);
}

/* The largest and the sum of all lanes. */
INLINE int32_t largest_lane(vi v) {
#if VB > 32
    v = larger_of(v, FLIPPED(v, 8));
#endif
#if VB > 16
    v = larger_of(v, FLIPPED(v, 4));
#endif
    v = larger_of(v, FLIPPED(v, 2));
    return larger_of(v, FLIPPED(v, 1))[0];
}
INLINE int32_t sum_of_lanes(vi v) {
#if VB > 32
    v += FLIPPED(v, 8);
#endif
#if VB > 16
    v += FLIPPED(v, 4);
#endif
    v += FLIPPED(v, 2);
    return (v + FLIPPED(v, 1))[0];
}

/* The bits of the block's largest |x|: they grow as the numbers do, up to infinity and NaN. */
INLINE int32_t largest_bits(const vf x[BLOCK_VECTORS]) {
    vi most = (vi)x[0] & 0x7fffffff;
    UNROLL for (int v = 1; v < BLOCK_VECTORS; v++) most = larger_of(most, (vi)x[v] & 0x7fffffff);
    return largest_lane(most);
}

/* Low 16 bits of columns of both halves to pairs: of four columns 0 and 2, 1 and 3; four of one
 * half and four of the other in turns. */
INLINE vi pairs_of(vi first_half, vi second_half) {
    return ((vi)MERGED(first_half, second_half, 0) & 0xffff) |
           (vi)MERGED(first_half, second_half, 1) << 16;
}

/* Low 8 bits in the same way to quads. */
INLINE half_vector quads_of(vi first_half, vi second_half) {
    vl bytes = (vl)pairs_of(first_half, second_half) & 0x00ff00ff00ff00ff;
    return __builtin_convertvector(bytes | bytes >> 24, half_vector);
}

INLINE void store_quants(const vi q[BLOCK_VECTORS], uint8_t *out) {
    UNROLL for (int v = 0; v < HALF_VECTORS; v++) {
        const vi a = q[v], b = q[v + HALF_VECTORS];
#if PLANES == 0
        vi pairs = pairs_of(a, b);
        memcpy(out + v * VB, &pairs, sizeof pairs);
#elif PLANES == 1
        half_vector quads = quads_of(a, b);
        memcpy(out + v * VB / 2, &quads, sizeof quads);
#else
        vi high_a = (a + 128) >> 8, high_b = (b + 128) >> 8;
        half_vector high = quads_of(high_a, high_b), low = quads_of(a, b);
        memcpy(out + v * VB / 2, &high, sizeof high);
        memcpy(out + PD_CPU_BLOCK + v * VB / 2, &low, sizeof low);
#endif
    }
}

/* What is not finite makes the scale NaN, so that products show it. A block of values too small for
 * the inverse of their scale counts as zeros. */
INLINE void quantize_block(const float *from, uint8_t *values, pd_cpu_block_scale *scale) {
    const float most = PLANES == 1 ? 127.0f : 32639.0f, least = 1e-33f;
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    const int32_t magic_bits = 0x4b400000, infinity_bits = 0x7f800000;
    vf x[BLOCK_VECTORS];
    vi q[BLOCK_VECTORS], minus[2] = {{0}};
    UNROLL for (int v = 0; v < BLOCK_VECTORS; v++) x[v] = LOAD_AS(vf, from + v * LANES);
    int32_t bits = largest_bits(x);
    float max;
    memcpy(&max, &bits, sizeof max);
    bool is_finite = bits < infinity_bits, usable = is_finite && max > least;
    float inverse = usable ? most / max : 0;
    UNROLL for (int v = 0; v < BLOCK_VECTORS; v++) {
        q[v] = usable ? (vi)(x[v] * inverse + magic) - magic_bits : (vi){0};
        minus[v / HALF_VECTORS] -= q[v];
    }
    store_quants(q, values);
    scale->scale = usable ? max / most : is_finite ? 0 : NAN;
    scale->minus_first = sum_of_lanes(minus[0]);
    scale->minus_all = sum_of_lanes(minus[0] + minus[1]);
    scale->sum = scale->scale * -(float)scale->minus_all;
}

static void integer_quantize(const float *x, uint32_t k, uint8_t *values,
                             pd_cpu_block_scale *scales) {
    for (uint32_t b = 0; b < k / PD_CPU_BLOCK; b++) {
        quantize_block(x + b * PD_CPU_BLOCK, values + b * BLOCK_BYTES, scales + b);
    }
}

#endif
