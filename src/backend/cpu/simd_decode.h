/* Stored weights to vectors, for simd_body.h. Layouts are those of file/quant_32.c and
 * file/quant_k.c.
 *
 * Rows are taken in groups of 32 values, NV vectors. For every type with scales a value is
 *
 *     d * q + m          q: small integers ("quants"), d and m: one of each per group
 *                        (Q6_K: two d, one per 16 values; Q4_0, Q5_0, Q8_0 and Q6_K: m = 0)
 *
 * Scales are fetched for RUN groups at once: sixteen halves widen in one instruction, and a scale
 * that lies in memory as a float is broadcast by the load that reads it. Every product d * q is
 * exact in f32 (11 bits by at most 8), but for Q6_K's, as in the reference decoder.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_SIMD_DECODE_H
#define PD_CPU_SIMD_DECODE_H

enum { RUN = 16 }; /* groups; two blocks of 256 */

typedef struct run_scales {
    float d[2 * RUN]; /* of group i: d[i]; Q6_K: d[2 i] and d[2 i + 1] */
    float m[RUN];
} run_scales;

/* What the list says of a type, which is a constant wherever these are called. */
typedef struct type_traits {
    uint32_t block_values, block_bytes, bits, minimum;
} type_traits;

INLINE type_traits traits_of(pd_type type) {
    switch (type) {
#define TRAITS_CASE(T, shader, ggml, file, values, bytes, loads, scales, fifth, bits, min)         \
    case PD_TYPE_##T: return (type_traits){values, bytes, bits, min};
        PD_WEIGHT_TYPES(TRAITS_CASE)
#undef TRAITS_CASE
    }
    return (type_traits){1, 0, 0, 0};
}
INLINE bool has_scales(pd_type type) {
    return traits_of(type).bits != 0;
}
INLINE bool has_minimum(pd_type type) {
    return traits_of(type).minimum != 0;
}
INLINE bool is_k_type(pd_type type) {
    return traits_of(type).block_values == 256;
}
INLINE uint32_t block_bytes(pd_type type) {
    return traits_of(type).block_bytes;
}

/* Where group g begins: of a block of 32, of the block of 256 it lies in, or of single values. */
INLINE const uint8_t *group_at(pd_type type, const uint8_t *row, uint32_t g) {
    uint32_t blocks = is_k_type(type) ? g / 8 : has_scales(type) ? g : g * 32;
    return row + (size_t)blocks * block_bytes(type);
}

/* ---- scales --------------------------------------------------------------------------------- */

/* The halves at the beginning of n consecutive blocks of 32, widened. */
INLINE void scales_32(const uint8_t *blocks, uint32_t stride, uint32_t n, float *out) {
#ifdef HAS_GATHER
    gather_f16(blocks, stride, n, out);
#else
    uint16_t h[RUN] = {0};
    for (uint32_t i = 0; i < n; i++) memcpy(&h[i], blocks + i * stride, 2);
    UNROLL for (int v = 0; v < RUN / VL; v++) {
        store(out + v * VL, load_f16((const uint8_t *)h + v * VL * 2));
    }
#endif
}

/* The eight 6-bit scales and minima of each of n blocks of Q4_K or Q5_K, n <= 2:
 *     bytes 0..3  bits 0-5 S0..S3, bits 6-7 upper bits of S4..S7
 *     bytes 4..7  bits 0-5 M0..M3, bits 6-7 upper bits of M4..M7
 *     bytes 8..11 low nibbles of S4..S7, and of M4..M7 above them */
INLINE void scales_k(const uint8_t *block, uint32_t stride, uint32_t n, run_scales *s) {
    uint32_t scales[RUN / 4] = {0}, minima[RUN / 4] = {0};
    float d[RUN] = {0}, m[RUN] = {0};
    for (uint32_t i = 0; i < n; i++, block += stride) {
        uint32_t a = word_at(block + 4), b = word_at(block + 8), c = word_at(block + 12);
        scales[2 * i] = a & 0x3f3f3f3f;
        scales[2 * i + 1] = (c & 0x0f0f0f0f) | (a >> 6 & 0x03030303) << 4;
        minima[2 * i] = b & 0x3f3f3f3f;
        minima[2 * i + 1] = (c >> 4 & 0x0f0f0f0f) | (b >> 6 & 0x03030303) << 4;
        UNROLL for (int j = 0; j < 8; j++) {
            d[8 * i + (uint32_t)j] = half_at(block);
            m[8 * i + (uint32_t)j] = -half_at(block + 2);
        }
    }
    UNROLL for (int v = 0; v < RUN; v += VL) {
        store(s->d + v, to_float(load_u8((const uint8_t *)scales + v)) * load(d + v));
        store(s->m + v, to_float(load_u8((const uint8_t *)minima + v)) * load(m + v));
    }
}

INLINE void scales_q6_k(const uint8_t *block, float *d) {
    float scale = half_at(block + 208);
    UNROLL for (int v = 0; v < 16; v += VL) {
        store(d + v, to_float(load_i8(block + 192 + v)) * scale);
    }
}

/* Scales of groups g .. g + n - 1, n <= RUN; g is a multiple of 8 for K types. */
INLINE void load_scales(pd_type type, const uint8_t *row, uint32_t g, uint32_t n, run_scales *s) {
    const uint8_t *b = group_at(type, row, g);
    uint32_t stride = block_bytes(type);
    if (!has_scales(type)) return;
    if (type == PD_TYPE_Q6_K) {
        for (uint32_t i = 0; i < n / 8; i++) scales_q6_k(b + i * stride, s->d + 16 * i);
    } else if (is_k_type(type)) {
        scales_k(b, stride, n / 8, s);
    } else {
        scales_32(b, stride, n, s->d);
        if (has_minimum(type)) scales_32(b + 2, stride, n, s->m);
    }
}

/* ---- quants --------------------------------------------------------------------------------- */

INLINE vi lanes(void) {
    vi v;
    for (int i = 0; i < VL; i++) v[i] = i;
    return v;
}

/* Low nibbles are values 0..15, high nibbles 16..31; `high` holds the fifth bits. */
INLINE void quants_q5(const uint8_t *qs, uint32_t high, int offset, vf *q) {
    vi bits = (vi){0} + (int32_t)high;
    UNROLL for (int v = 0; v < NV / 2; v++) {
        vi b = load_u8(qs + v * VL), at = lanes() + v * VL;
        q[v] = to_float(((b & 15) | (bits >> at & 1) << 4) - offset);
        q[v + NV / 2] = to_float(((b >> 4) | (bits >> (at + 16) & 1) << 4) - offset);
    }
}

INLINE vb load_bytes(const uint8_t *p) {
    vb b;
    memcpy(&b, p, sizeof b);
    return b;
}

/* 32 bytes to floats, through memory: the load widens. */
INLINE void spread(const uint8_t *t, bool is_signed, vf *q) {
    UNROLL for (int v = 0; v < NV; v++) {
        q[v] = to_float(is_signed ? load_i8(t + v * VL) : load_u8(t + v * VL));
    }
}

/* s: which of the block's eight groups; t = s % 4, a constant where this is inlined. Bytes are
 * worked on in 16-bit lanes, the masks cut off what a shift brings over from the neighbour. */
INLINE void quants_q5_k(const uint8_t *block, uint32_t s, int t, vf *q) {
    uint8_t bytes[32];
    UNROLL for (int i = 0; i < 32; i += (int)sizeof(vb)) {
        vb low = load_bytes(block + 48 + s / 2 * 32 + i) >> (t % 2 * 4) & 0x0f0f;
        vb high = load_bytes(block + 16 + i) >> (uint16_t)s & 0x0101;
        vb r = low | high << 4;
        memcpy(bytes + i, &r, sizeof r);
    }
    spread(bytes, false, q);
}

/* A 6-bit q stands for q - 32, which is q ^ 32 with its sign bit (32) copied to bits 6 and 7. */
INLINE void quants_q6_k(const uint8_t *block, uint32_t s, int t, vf *q) {
    const uint8_t *ql = block + s / 4 * 64 + t % 2 * 32, *qh = block + 128 + s / 4 * 32;
    uint8_t bytes[32];
    UNROLL for (int i = 0; i < 32; i += (int)sizeof(vb)) {
        vb low = load_bytes(ql + i) >> (t / 2 * 4) & 0x0f0f;
        vb high = load_bytes(qh + i) >> (2 * t) & 0x0303;
        vb r = (low | high << 4) ^ 0x2020, sign = r & 0x2020;
        r = r | sign << 1 | sign << 2;
        memcpy(bytes + i, &r, sizeof r);
    }
    spread(bytes, true, q);
}

/* The quants of group g, or its values when the type has no scales; u = g % 4 for K types. */
INLINE void load_quants(pd_type type, const uint8_t *row, uint32_t g, int u, vf *q) {
    const uint8_t *b = group_at(type, row, g);
    switch (type) {
    case PD_TYPE_F32:
        UNROLL for (int v = 0; v < NV; v++) memcpy(&q[v], b + v * VL * 4, sizeof(vf));
        return;
    case PD_TYPE_F16: UNROLL for (int v = 0; v < NV; v++) q[v] = load_f16(b + v * VL * 2); return;
    case PD_TYPE_BF16: UNROLL for (int v = 0; v < NV; v++) q[v] = load_bf16(b + v * VL * 2); return;
    case PD_TYPE_Q4_0:
        UNROLL for (int v = 0; v < NV / 2; v++) {
            vi n = load_u8(b + 2 + v * VL);
            q[v] = nibble_minus_8(n);
            q[v + NV / 2] = nibble_minus_8(n >> 4);
        }
        return;
    case PD_TYPE_Q4_1:
        UNROLL for (int v = 0; v < NV / 2; v++) {
            vi n = load_u8(b + 4 + v * VL);
            q[v] = nibble(n);
            q[v + NV / 2] = nibble(n >> 4);
        }
        return;
    case PD_TYPE_Q5_0: quants_q5(b + 6, word_at(b + 2), 16, q); return;
    case PD_TYPE_Q5_1: quants_q5(b + 8, word_at(b + 4), 0, q); return;
    case PD_TYPE_Q8_0:
        UNROLL for (int v = 0; v < NV; v++) q[v] = to_float(load_i8(b + 2 + v * VL));
        return;
    case PD_TYPE_Q4_K:
        UNROLL for (int v = 0; v < NV; v++) {
            q[v] = nibble(load_u8(b + 16 + g % 8 / 2 * 32 + v * VL) >> (u % 2 * 4));
        }
        return;
    case PD_TYPE_Q5_K: quants_q5_k(b, g % 8, u, q); return;
    case PD_TYPE_Q6_K: quants_q6_k(b, g % 8, u, q); return;
    }
}

/* d of vector v of the i-th group of a run. */
INLINE float scale_of(pd_type type, const run_scales *s, uint32_t i, int v) {
    return type == PD_TYPE_Q6_K ? s->d[2 * i + (uint32_t)(v * VL / 16)] : s->d[i];
}

/* The values of group g, the i-th of its run. */
INLINE void load_values(pd_type type, const uint8_t *row, uint32_t g, int u, uint32_t i,
                        const run_scales *s, vf *w) {
    load_quants(type, row, g, u, w);
    if (!has_scales(type)) return;
    UNROLL for (int v = 0; v < NV; v++) {
        w[v] = w[v] * scale_of(type, s, i, v);
        if (has_minimum(type)) w[v] += s->m[i];
    }
}

INLINE void unpack_typed(pd_type type, const uint8_t *src, uint32_t n, float *dst) {
    const int step = is_k_type(type) ? 4 : 1;
    for (uint32_t g0 = 0; g0 < n / 32; g0 += RUN) {
        uint32_t n_run = n / 32 - g0 < RUN ? n / 32 - g0 : RUN;
        run_scales s;
        load_scales(type, src, g0, n_run, &s);
        for (uint32_t i = 0; i < n_run; i += (uint32_t)step) {
            UNROLL for (int u = 0; u < step; u++) {
                uint32_t j = i + (uint32_t)u;
                vf w[NV];
                load_values(type, src, g0 + j, u, j, &s, w);
                UNROLL for (int v = 0; v < NV; v++) store(dst + (g0 + j) * 32 + v * VL, w[v]);
            }
        }
    }
    uint32_t rest = n % 32; /* F32, F16 and BF16 only */
    if (rest) pd_decode(type, src + (size_t)(n - rest) * block_bytes(type), rest, dst + n - rest);
}

#endif
