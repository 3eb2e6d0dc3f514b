/* Super-blocks of 256 values: Q4_K, Q5_K, Q6_K.
 *
 *     Q4_K  f16 d; f16 dmin; u8 sc[12];             u8 qs[128]   y = d S q - dmin M
 *     Q5_K  f16 d; f16 dmin; u8 sc[12]; u8 qh[32];  u8 qs[128]   y = d S q - dmin M
 *     Q6_K  u8 ql[128]; u8 qh[64]; i8 sc[16]; f16 d              y = d sc (q - 32)
 *
 * Q4_K and Q5_K: 8 sub-blocks of 32 values; sc packs their 6-bit scales S and minima M:
 *
 *     byte  0..3    S of sub-blocks 0..3 in bits 0..5; bits 4,5 of S of 4..7 in bits 6,7
 *           4..7    M of sub-blocks 0..3 in bits 0..5; bits 4,5 of M of 4..7 in bits 6,7
 *           8..11   bits 0..3 of S (low nibble) and of M (high nibble) of sub-blocks 4..7
 *
 * Sub-blocks 2g and 2g+1 are the low and high nibbles of qs[32g .. 32g+31]; in Q5_K bit s of qh[l]
 * is the fifth bit of value l of sub-block s. Q6_K: 16 sub-blocks of 16 values; quarter k of half n
 * (32 values) has its low bits in ql and bits 4,5 in bits 2k, 2k+1 of qh.
 *
 * The encoders are ggml-quants.c's without an importance matrix: make_qx_quants for Q6_K (scale
 * search with weights x^2), make_qkx2_quants for the others (scale and minimum by weighted least
 * squares over a ladder of trial scales).
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "file/quant_blocks.h"

enum { SUPER = 256, SUB = 32, N_SUB = 8, SUB6 = 16, N_SUB6 = 16 };
enum { Q4_K_BYTES = 144, Q5_K_BYTES = 176, Q6_K_BYTES = 210 };
enum { SCALES_AT = 4, Q4_AT = 16, Q5_HIGH_AT = 16, Q5_AT = 48 };
enum { Q6_HIGH_AT = 128, Q6_SCALES_AT = 192, Q6_D_AT = 208 };

/* Round half to even, into lo..hi; NaN becomes lo. Sums with 1.5 * 2^23 are rounded to whole
 * numbers, which compilers vectorise, while rintf is a call where the processor may lack the
 * instruction. */
static inline float round_within(float x, float lo, float hi) {
    float inside = x > lo ? x : lo;
    inside = inside < hi ? inside : hi;
    return inside + 0x1.8p23f - 0x1.8p23f;
}

static inline int nearest(float x, int lo, int hi) {
    return (int)round_within(x, (float)lo, (float)hi);
}

/* ---- 6-bit scales -------------------------------------------------------------------------- */

static void load_scales(const uint8_t *sc, uint8_t *scale, uint8_t *min) {
    for (int s = 0; s < 4; s++) {
        scale[s] = sc[s] & 63;
        min[s] = sc[s + 4] & 63;
        scale[s + 4] = (uint8_t)((sc[s + 8] & 15) | sc[s] >> 6 << 4);
        min[s + 4] = (uint8_t)(sc[s + 8] >> 4 | sc[s + 4] >> 6 << 4);
    }
}

static void store_scales(uint8_t *sc, const uint8_t *scale, const uint8_t *min) {
    for (int s = 0; s < 4; s++) {
        sc[s] = (uint8_t)(scale[s] | scale[s + 4] >> 4 << 6);
        sc[s + 4] = (uint8_t)(min[s] | min[s + 4] >> 4 << 6);
        sc[s + 8] = (uint8_t)((scale[s + 4] & 15) | (min[s + 4] & 15) << 4);
    }
}

/* ---- Q4_K and Q5_K: decode ----------------------------------------------------------------- */

/* qh: the fifth bits, or NULL for Q4_K. */
static void decode_super(const uint8_t *block, const uint8_t *qh, const uint8_t *qs, float *dst) {
    uint8_t scale[N_SUB], min[N_SUB];
    float d = load_f16(block), dmin = load_f16(block + 2);
    load_scales(block + SCALES_AT, scale, min);
    for (int s = 0; s < N_SUB; s++) {
        float ds = d * (float)scale[s], dm = dmin * (float)min[s];
        for (int l = 0; l < SUB; l++) {
            int q = qs[s / 2 * SUB + l] >> (s % 2 * 4) & 15;
            if (qh) q |= (qh[l] >> s & 1) << 4;
            dst[s * SUB + l] = ds * (float)q - dm;
        }
    }
}

void decode_Q4_K(const uint8_t *src, uint64_t n_blocks, float *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += Q4_K_BYTES, dst += SUPER)
        decode_super(src, NULL, src + Q4_AT, dst);
}

void decode_Q5_K(const uint8_t *src, uint64_t n_blocks, float *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += Q5_K_BYTES, dst += SUPER)
        decode_super(src, src + Q5_HIGH_AT, src + Q5_AT, dst);
}

/* ---- Q4_K and Q5_K: encode ----------------------------------------------------------------- */

/* Trial scales are (max_level + first + 0.1 k) / (max - min), k = 0..n_steps. */
typedef struct ladder {
    int max_level;
    float first;
    int n_steps;
} ladder;

/* x ~ scale * q + min, min <= 0. */
typedef struct affine {
    float scale, min;
} affine;

/* Weights rms + |x| of a sub-block's values, and what of the sums below levels do not change. */
typedef struct weights {
    float at[SUB], sum, sum_x;
} weights;

static weights weigh(const float *x) {
    weights w = {.sum = 0};
    float sum = 0;
    for (int l = 0; l < SUB; l++) sum += x[l] * x[l];
    float rms = sqrtf(sum / (float)SUB);
    for (int l = 0; l < SUB; l++) w.at[l] = rms + fabsf(x[l]);
    for (int l = 0; l < SUB; l++) {
        w.sum += w.at[l];
        w.sum_x += w.at[l] * x[l];
    }
    return w;
}

static float squared_error(const float *x, const weights *w, const float *q, affine a) {
    float terms[SUB], error = 0;
    for (int l = 0; l < SUB; l++) {
        float diff = a.scale * q[l] + a.min - x[l];
        terms[l] = w->at[l] * (diff * diff);
    }
    for (int l = 0; l < SUB; l++) error += terms[l];
    return error;
}

/* Weighted least squares of x over the levels q; false when they do not determine a line. */
static bool fit_affine(const float *x, const weights *w, const float *q, affine *out) {
    float wq = 0, wqq = 0, wqx = 0;
    for (int l = 0; l < SUB; l++) {
        wq += w->at[l] * q[l];
        wqq += w->at[l] * q[l] * q[l];
        wqx += w->at[l] * q[l] * x[l];
    }
    float det = w->sum * wqq - wq * wq;
    if (!(det > 0)) return false;
    out->scale = (w->sum * wqx - w->sum_x * wq) / det;
    out->min = (wqq * w->sum_x - wq * wqx) / det;
    if (out->min > 0) { /* the format subtracts minima only */
        out->min = 0;
        out->scale = wqx / wqq;
    }
    return true;
}

static void quantise_levels(const float *x, float inverse, float min, float top, float *q) {
    for (int l = 0; l < SUB; l++) q[l] = round_within(inverse * (x[l] - min), 0, top);
}

/* Scale and minimum of one sub-block, and the levels that go with them. */
static affine search_affine(const float *x, const ladder *steps, uint8_t *q) {
    float min = x[0], max = x[0], top = (float)steps->max_level;
    float levels[SUB], chosen[SUB];
    for (int l = 0; l < SUB; l++) {
        if (x[l] < min) min = x[l];
        if (x[l] > max) max = x[l];
    }
    if (min > 0) min = 0;
    memset(q, 0, SUB);
    if (max <= min) return (affine){0, min};
    weights w = weigh(x);
    float inverse = top / (max - min);
    affine best = {1 / inverse, min};
    quantise_levels(x, inverse, min, top, chosen);
    float best_error = squared_error(x, &w, chosen, best);
    for (int k = 0; k <= steps->n_steps; k++) {
        affine trial;
        inverse = (steps->first + 0.1f * (float)k + top) / (max - min);
        quantise_levels(x, inverse, min, top, levels);
        if (!fit_affine(x, &w, levels, &trial)) continue;
        float error = squared_error(x, &w, levels, trial);
        if (error < best_error) {
            best_error = error;
            best = trial;
            memcpy(chosen, levels, sizeof chosen);
        }
    }
    for (int l = 0; l < SUB; l++) q[l] = (uint8_t)chosen[l];
    return best;
}

/* Header of a super-block (d, dmin, sc) and its 256 levels. */
static void encode_super(const float *src, const ladder *steps, uint8_t *block, uint8_t *q) {
    affine fit[N_SUB];
    uint8_t scale[N_SUB], min[N_SUB];
    float max_scale = 0, max_min = 0;
    for (int s = 0; s < N_SUB; s++) {
        fit[s] = search_affine(src + s * SUB, steps, q + s * SUB);
        max_scale = fmaxf(max_scale, fit[s].scale);
        max_min = fmaxf(max_min, -fit[s].min);
    }
    float inv_scale = max_scale > 0 ? 63.0f / max_scale : 0;
    float inv_min = max_min > 0 ? 63.0f / max_min : 0;
    for (int s = 0; s < N_SUB; s++) {
        scale[s] = (uint8_t)nearest(inv_scale * fit[s].scale, 0, 63);
        min[s] = (uint8_t)nearest(inv_min * -fit[s].min, 0, 63);
    }
    store_f16(block, max_scale / 63.0f);
    store_f16(block + 2, max_min / 63.0f);
    store_scales(block + SCALES_AT, scale, min);
    float d = load_f16(block), dmin = load_f16(block + 2);
    for (int s = 0; s < N_SUB; s++) { /* levels again, with the scales as they are stored */
        float ds = d * (float)scale[s], dm = dmin * (float)min[s];
        if (!(ds > 0)) continue; /* keeps the search's levels */
        for (int l = 0; l < SUB; l++) {
            float x = src[s * SUB + l];
            q[s * SUB + l] = (uint8_t)nearest((x + dm) / ds, 0, steps->max_level);
        }
    }
}

static void store_super_nibbles(uint8_t *qs, const uint8_t *q) {
    for (int g = 0; g < N_SUB / 2; g++)
        for (int l = 0; l < SUB; l++)
            qs[g * SUB + l] =
                (uint8_t)((q[2 * g * SUB + l] & 15) | (q[(2 * g + 1) * SUB + l] & 15) << 4);
}

void encode_Q4_K(const float *src, uint64_t n_blocks, uint8_t *dst) {
    static const ladder steps = {15, -1.0f, 20};
    uint8_t q[SUPER];
    for (uint64_t b = 0; b < n_blocks; b++, src += SUPER, dst += Q4_K_BYTES) {
        encode_super(src, &steps, dst, q);
        store_super_nibbles(dst + Q4_AT, q);
    }
}

void encode_Q5_K(const float *src, uint64_t n_blocks, uint8_t *dst) {
    static const ladder steps = {31, -0.5f, 15};
    uint8_t q[SUPER];
    for (uint64_t b = 0; b < n_blocks; b++, src += SUPER, dst += Q5_K_BYTES) {
        encode_super(src, &steps, dst, q);
        memset(dst + Q5_HIGH_AT, 0, SUB);
        for (int i = 0; i < SUPER; i++) {
            uint8_t *high = dst + Q5_HIGH_AT + i % SUB;
            *high = (uint8_t)(*high | (q[i] >> 4) << (i / SUB));
        }
        store_super_nibbles(dst + Q5_AT, q);
    }
}

/* ---- Q6_K ---------------------------------------------------------------------------------- */

static void decode_half_q6(const uint8_t *ql, const uint8_t *qh, const uint8_t *sc, float d,
                           float *dst) {
    for (int i = 0; i < SUPER / 2; i++) {
        int quarter = i / 32, l = i % 32; /* quarters 0, 1: low nibbles of ql; 2, 3: high ones */
        int low = ql[quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
        int high = qh[l] >> (quarter * 2) & 3;
        dst[i] = d * (float)(int8_t)sc[i / SUB6] * (float)((low | high << 4) - 32);
    }
}

void decode_Q6_K(const uint8_t *src, uint64_t n_blocks, float *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += Q6_K_BYTES, dst += SUPER) {
        float d = load_f16(src + Q6_D_AT);
        for (int n = 0; n < 2; n++)
            decode_half_q6(src + 64 * n, src + Q6_HIGH_AT + 32 * n, src + Q6_SCALES_AT + 8 * n, d,
                           dst + SUPER / 2 * n);
    }
}

/* A sub-block: its values, and their weights x^2 alone and times x. */
typedef struct sub_block6 {
    const float *x;
    float w[SUB6], wx[SUB6];
} sub_block6;

/* Levels for one trial scale, and the sums of the weighted least squares. */
static void levels_q6(const sub_block6 *b, float inverse, float *level, float *wlx, float *wll) {
    float sum_lx = 0, sum_ll = 0;
    for (int i = 0; i < SUB6; i++) level[i] = round_within(inverse * b->x[i], -32, 31);
    for (int i = 0; i < SUB6; i++) {
        sum_lx += b->wx[i] * level[i];
        sum_ll += b->w[i] * level[i] * level[i];
    }
    *wlx = sum_lx;
    *wll = sum_ll;
}

/* Scale of one sub-block, and the levels (-32..31) that go with it. */
static float search_q6(const float *x, int8_t *level) {
    float extreme = 0, wlx, wll, trial[SUB6], chosen[SUB6];
    sub_block6 b = {.x = x};
    for (int i = 0; i < SUB6; i++) {
        b.w[i] = x[i] * x[i];
        b.wx[i] = b.w[i] * x[i];
        if (fabsf(x[i]) > fabsf(extreme)) extreme = x[i];
    }
    memset(level, -32, SUB6);
    if (fabsf(extreme) < 1e-15f) return 0;
    levels_q6(&b, -32.0f / extreme, chosen, &wlx, &wll);
    float scale = wll != 0 ? wlx / wll : 0, best = scale * wlx;
    for (int is = -9; is <= 9; is++) {
        if (is == 0) continue;
        levels_q6(&b, -(32.0f + 0.1f * (float)is) / extreme, trial, &wlx, &wll);
        if (wll > 0 && wlx * wlx > best * wll) {
            memcpy(chosen, trial, sizeof chosen);
            scale = wlx / wll;
            best = scale * wlx;
        }
    }
    for (int i = 0; i < SUB6; i++) level[i] = (int8_t)chosen[i];
    return scale;
}

static void store_q6(uint8_t *block, const int8_t *level) {
    memset(block, 0, Q6_SCALES_AT);
    for (int i = 0; i < SUPER; i++) {
        int half = i / 128, quarter = i / 32 % 4, l = i % 32, q = level[i] + 32;
        uint8_t *low = block + 64 * half + quarter % 2 * 32 + l;
        uint8_t *high = block + Q6_HIGH_AT + 32 * half + l;
        *low = (uint8_t)(*low | (q & 15) << (quarter / 2 * 4));
        *high = (uint8_t)(*high | (q >> 4) << (quarter * 2));
    }
}

static void encode_super_q6(const float *src, uint8_t *block) {
    float scale[N_SUB6], extreme = 0;
    int8_t level[SUPER];
    for (int s = 0; s < N_SUB6; s++) {
        scale[s] = search_q6(src + s * SUB6, level + s * SUB6);
        if (fabsf(scale[s]) > fabsf(extreme)) extreme = scale[s];
    }
    if (!(fabsf(extreme) >= 1e-15f)) {
        memset(block, 0, Q6_K_BYTES);
        return;
    }
    float inverse = -128.0f / extreme;
    store_f16(block + Q6_D_AT, 1 / inverse);
    float d = load_f16(block + Q6_D_AT);
    for (int s = 0; s < N_SUB6; s++) {
        int sc = nearest(inverse * scale[s], -128, 127);
        float dd = d * (float)sc;
        block[Q6_SCALES_AT + s] = (uint8_t)(int8_t)sc;
        if (dd == 0) continue; /* keeps the search's levels */
        for (int i = s * SUB6; i < (s + 1) * SUB6; i++)
            level[i] = (int8_t)nearest(src[i] / dd, -32, 31);
    }
    store_q6(block, level);
}

void encode_Q6_K(const float *src, uint64_t n_blocks, uint8_t *dst) {
    for (uint64_t b = 0; b < n_blocks; b++, src += SUPER, dst += Q6_K_BYTES)
        encode_super_q6(src, dst);
}
