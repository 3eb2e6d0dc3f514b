/* Bodies of the vector kernels, included once per instruction set by a file that has defined
 *
 *     VL                 floats in a vector: 4, 8 or 16
 *     PANEL_M, PANEL_N   register block of the matrix kernel: activation rows x weight rows
 *     load_u8, load_i8   VL bytes widened to vi
 *     load_f16           VL halves widened to vf
 *     store_f16          vf to VL halves, nearest even
 *     nibble             low four bits of each element of a vi, as vf
 *     nibble_minus_8     the same, minus 8
 *     half_to_float      one half
 *     hsum               sum of a vf's elements
 *
 * (through simd_types.h, which makes vf and vi of VL).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_SIMD_BODY_H
#define PD_CPU_SIMD_BODY_H

#include <math.h>
#include <string.h>

/* ---- small pieces --------------------------------------------------------------------------- */

INLINE vf load(const float *p) {
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void store(float *p, vf v) {
    memcpy(p, &v, sizeof v);
}
INLINE vf to_float(vi v) {
    return __builtin_convertvector(v, vf);
}
INLINE vf pick(vi mask, vf a, vf b) {
    return (vf)(((vi)a & mask) | ((vi)b & ~mask));
}
INLINE float half_at(const uint8_t *p) {
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return half_to_float(h);
}
INLINE uint32_t word_at(const uint8_t *p) {
    uint32_t u;
    memcpy(&u, p, sizeof u);
    return u;
}
INLINE vf load_bf16(const uint8_t *p) {
    vi v;
    for (int i = 0; i < VL; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, sizeof h);
        v[i] = (int32_t)((uint32_t)h << 16);
    }
    return (vf)v;
}

/* exp to 2 ulp: 2^k * (Taylor to the 7th degree of the rest, |rest| <= ln 2 / 2). The argument is
 * clamped to what a float holds; NaN stays NaN. */
INLINE vf vexp(vf x) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    const vf hi = {0}, lo = {0};
    x = pick(x > hi + 88.0f, hi + 88.0f, x);
    x = pick(x < lo - 87.0f, lo - 87.0f, x);
    vf t = x * 1.44269504088896341f + magic;
    vi k = (vi)t - 0x4b400000; /* magic's bits */
    vf n = t - magic;
    vf r = x - n * 0.693145751953125f; /* ln 2, upper bits: n times it is exact */
    r = r - n * 1.42860682030941723e-6f;
    vf p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return p * (vf)((k + 127) << 23);
}

/* x * 0.5 * (1 + tanh(u)) = x / (1 + exp(-2u)) */
INLINE vf vgelu(vf x) {
    vf u2 = (x + x * x * x * 0.044715f) * 1.5957691216057308f;
    return x / (vexp(-u2) + 1.0f);
}

#include "backend/cpu/simd_decode.h"

#define UNPACK_OF_TYPE(T, ...)                                                                     \
    static void unpack_of_##T(const uint8_t *src, uint32_t n, float *dst) {                        \
        unpack_typed(PD_TYPE_##T, src, n, dst);                                                    \
    }
PD_WEIGHT_TYPES(UNPACK_OF_TYPE)
#undef UNPACK_OF_TYPE

static void simd_unpack(pd_type type, const uint8_t *src, uint32_t n, float *dst) {
    switch (type) {
#define UNPACK_CASE(T, ...)                                                                        \
    case PD_TYPE_##T: unpack_of_##T(src, n, dst); break;
        PD_WEIGHT_TYPES(UNPACK_CASE)
#undef UNPACK_CASE
    }
}

/* ---- matrix x many rows --------------------------------------------------------------------- */

/* M activation rows by N weight rows, both along k: M * N accumulators stay in registers, each k
 * step loads M + N vectors for M * N multiply-adds. */
INLINE void panel_block(int M, int N, const float *w, size_t ldw, uint32_t k, const float *x,
                        size_t ldx, float *out, size_t ldo, bool add) {
    vf acc[PANEL_M][PANEL_N];
    UNROLL for (int i = 0; i < M; i++) {
        UNROLL for (int j = 0; j < N; j++) acc[i][j] = (vf){0};
    }
    for (uint32_t c = 0; c + VL <= k; c += VL) {
        vf xv[PANEL_M];
        UNROLL for (int i = 0; i < M; i++) xv[i] = load(x + (size_t)i * ldx + c);
        UNROLL for (int j = 0; j < N; j++) {
            vf wv = load(w + (size_t)j * ldw + c);
            UNROLL for (int i = 0; i < M; i++) acc[i][j] += xv[i] * wv;
        }
    }
    UNROLL for (int i = 0; i < M; i++) {
        UNROLL for (int j = 0; j < N; j++) {
            float s = hsum(acc[i][j]), *o = out + (size_t)i * ldo + j;
            *o = add ? *o + s : s;
        }
    }
}

/* M activation rows by all weight rows. */
INLINE void panel_rows(int M, const float *w, size_t ldw, uint32_t n_rows, uint32_t k,
                       const float *x, size_t ldx, float *out, size_t ldo, bool add) {
    uint32_t r = 0;
    for (; r + PANEL_N <= n_rows; r += PANEL_N)
        panel_block(M, PANEL_N, w + r * ldw, ldw, k, x, ldx, out + r, ldo, add);
    for (; r < n_rows; r++) panel_block(M, 1, w + r * ldw, ldw, k, x, ldx, out + r, ldo, add);
}
#if PANEL_M != 3 && PANEL_M != 6
#error "PANEL_M must be 3 or 6"
#endif

/* The last k % VL values of a panel. */
static void panel_tail(const float *w, size_t ldw, uint32_t n_rows, uint32_t k, const float *x,
                       size_t ldx, uint32_t m, float *out, size_t ldo) {
    for (uint32_t i = 0; i < m; i++) {
        for (uint32_t r = 0; r < n_rows; r++) {
            for (uint32_t c = k - k % VL; c < k; c++) {
                out[i * ldo + r] += x[i * ldx + c] * w[r * ldw + c];
            }
        }
    }
}

static void simd_panel(const float *w, size_t ldw, uint32_t n_rows, uint32_t k, const float *x,
                       size_t ldx, uint32_t m, float *out, size_t ldo, bool add) {
    for (uint32_t i = 0; i < m;) {
        const float *xi = x + i * ldx;
        float *oi = out + i * ldo;
        uint32_t step = m - i < PANEL_M ? m - i : PANEL_M;
        switch (step) {
        case 1: panel_rows(1, w, ldw, n_rows, k, xi, ldx, oi, ldo, add); break;
        case 2: panel_rows(2, w, ldw, n_rows, k, xi, ldx, oi, ldo, add); break;
        case 3: panel_rows(3, w, ldw, n_rows, k, xi, ldx, oi, ldo, add); break;
#if PANEL_M == 6
        case 4: panel_rows(4, w, ldw, n_rows, k, xi, ldx, oi, ldo, add); break;
        case 5: panel_rows(5, w, ldw, n_rows, k, xi, ldx, oi, ldo, add); break;
        case 6: panel_rows(6, w, ldw, n_rows, k, xi, ldx, oi, ldo, add); break;
#endif
        }
        i += step;
    }
    if (k % VL) panel_tail(w, ldw, n_rows, k, x, ldx, m, out, ldo);
}

#include "backend/cpu/simd_gemv.h"

/* ---- rows and heads ------------------------------------------------------------------------- */

static void simd_scale(float *x, uint32_t n, float s) {
    for (uint32_t i = 0; i < n; i++) x[i] *= s;
}

static void simd_add(const float *x, uint32_t n, float *out) {
    for (uint32_t i = 0; i < n; i++) out[i] += x[i];
}

static void simd_gelu(float *x, uint32_t n) {
    uint32_t i = 0;
    for (; i + VL <= n; i += VL) store(x + i, vgelu(load(x + i)));
    if (i == n) return;
    float rest[VL] = {0};
    memcpy(rest, x + i, (n - i) * sizeof(float));
    store(rest, vgelu(load(rest)));
    memcpy(x + i, rest, (n - i) * sizeof(float));
}

static void simd_geglu(const float *gate, const float *up, uint32_t n, float *out) {
    uint32_t i = 0;
    for (; i + VL <= n; i += VL) store(out + i, vgelu(load(gate + i)) * load(up + i));
    if (i == n) return;
    float g[VL] = {0}, u[VL] = {0};
    memcpy(g, gate + i, (n - i) * sizeof(float));
    memcpy(u, up + i, (n - i) * sizeof(float));
    store(g, vgelu(load(g)) * load(u));
    memcpy(out + i, g, (n - i) * sizeof(float));
}

/* 1 / sqrt(mean(x^2) + eps) */
INLINE float rms_factor(const float *x, uint32_t n, float eps) {
    vf a = {0}, b = {0};
    uint32_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        vf u = load(x + i), v = load(x + i + VL);
        a += u * u;
        b += v * v;
    }
    float sum = hsum(a + b);
    for (; i < n; i++) sum += x[i] * x[i];
    return 1.0f / sqrtf(sum / (float)n + eps);
}

static void simd_norm(const float *x, float *residual, const float *post, const float *weight,
                      float eps, uint32_t n, float *out) {
    const float *h = x;
    if (residual) {
        float f = rms_factor(x, n, eps);
        for (uint32_t i = 0; i < n; i++) residual[i] += x[i] * f * post[i];
        h = residual;
    }
    float f = rms_factor(h, n, eps);
    for (uint32_t i = 0; i < n; i++) out[i] = h[i] * f * weight[i];
}

/* The variance from differences: x may be far from zero. */
static void simd_layernorm(const float *x, const float *weight, const float *bias, float eps,
                           uint32_t n, float *out) {
    vf sum = {0};
    uint32_t i = 0;
    for (; i + VL <= n; i += VL) sum += load(x + i);
    float mean = hsum(sum);
    for (; i < n; i++) mean += x[i];
    mean /= (float)n;
    for (i = 0; i < n; i++) out[i] = x[i] - mean;
    float f = rms_factor(out, n, eps);
    for (i = 0; i < n; i++) out[i] = out[i] * f * weight[i] + bias[i];
}

static void simd_rope(const float *x, const float *weight, float eps, const float *cosines,
                      const float *sines, float scale, uint32_t n, float *out) {
    float f = rms_factor(x, n, eps) * scale;
    uint32_t half = n / 2;
    for (uint32_t j = 0; j < half; j++) {
        float a = x[j] * f * weight[j], b = x[j + half] * f * weight[j + half];
        out[j] = a * cosines[j] - b * sines[j];
        out[j + half] = b * cosines[j] + a * sines[j];
    }
}

static void simd_to_f16(const float *x, uint32_t n, uint16_t *out) {
    uint32_t i = 0;
    for (; i + VL <= n; i += VL) store_f16(out + i, load(x + i));
    for (; i < n; i++) out[i] = pd_f32_to_f16(x[i]);
}

/* ---- attention and argmax ------------------------------------------------------------------- */

static float simd_max(const float *x, uint32_t n) {
    vf best = (vf){0} - INFINITY;
    uint32_t i = 0;
    for (; i + VL <= n; i += VL) {
        vf v = load(x + i);
        best = pick(v > best, v, best);
    }
    float m = -INFINITY;
    for (int v = 0; v < VL; v++) m = best[v] > m ? best[v] : m;
    for (; i < n; i++) m = x[i] > m ? x[i] : m;
    return m;
}

static float simd_exp_sum(float *x, uint32_t n, float max) {
    vf sum = {0};
    uint32_t i = 0;
    for (; i + VL <= n; i += VL) {
        vf e = vexp(load(x + i) - max);
        store(x + i, e);
        sum += e;
    }
    float total = hsum(sum), rest[VL] = {0};
    if (i == n) return total;
    memcpy(rest, x + i, (n - i) * sizeof(float));
    store(rest, vexp(load(rest) - max));
    memcpy(x + i, rest, (n - i) * sizeof(float));
    for (uint32_t j = 0; j < n - i; j++) total += rest[j];
    return total;
}

#if PANEL_M == 6 /* 32 registers */
enum { MIX_M = 6, MIX_N = 4 };
#else /* 16 */
enum { MIX_M = 4, MIX_N = 2 };
#endif

/* M rows of the result by N vectors: their sums stay in registers, each k takes N loads and M
 * broadcasts for M * N multiply-adds. */
INLINE void mix_block(int M, int N, const float *p, size_t ldp, const float *v, size_t ldv,
                      uint32_t n_k, float *out, size_t ldo, bool add) {
    vf acc[MIX_M][MIX_N];
    UNROLL for (int i = 0; i < M; i++) {
        UNROLL for (int j = 0; j < N; j++) acc[i][j] =
            add ? load(out + (size_t)i * ldo + j * VL) : (vf){0};
    }
    for (uint32_t k = 0; k < n_k; k++) {
        vf x[MIX_N];
        UNROLL for (int j = 0; j < N; j++) x[j] = load(v + k * ldv + j * VL);
        UNROLL for (int i = 0; i < M; i++) {
            float s = p[(size_t)i * ldp + k];
            UNROLL for (int j = 0; j < N; j++) acc[i][j] += x[j] * s;
        }
    }
    UNROLL for (int i = 0; i < M; i++) {
        UNROLL for (int j = 0; j < N; j++) store(out + (size_t)i * ldo + j * VL, acc[i][j]);
    }
}

/* M rows of the result, whole vectors of them. */
INLINE void mix_rows(int M, const float *p, size_t ldp, const float *v, size_t ldv, uint32_t n_k,
                     uint32_t width, float *out, size_t ldo, bool add) {
    uint32_t c = 0;
    for (; c + MIX_N * VL <= width; c += MIX_N * VL)
        mix_block(M, MIX_N, p, ldp, v + c, ldv, n_k, out + c, ldo, add);
    for (; c + VL <= width; c += VL) mix_block(M, 1, p, ldp, v + c, ldv, n_k, out + c, ldo, add);
}

/* The last width % VL columns. */
static void mix_tail(const float *p, size_t ldp, uint32_t m, const float *v, size_t ldv,
                     uint32_t n_k, uint32_t width, float *out, size_t ldo, bool add) {
    for (uint32_t i = 0; i < m; i++) {
        for (uint32_t c = width - width % VL; c < width; c++) {
            float sum = add ? out[i * ldo + c] : 0;
            for (uint32_t k = 0; k < n_k; k++) sum += p[i * ldp + k] * v[k * ldv + c];
            out[i * ldo + c] = sum;
        }
    }
}

static void simd_mix(const float *p, size_t ldp, uint32_t m, const float *v, size_t ldv,
                     uint32_t n_k, uint32_t width, float *out, size_t ldo, bool add) {
    uint32_t i = 0;
#if PANEL_M == 6
    for (; i + 6 <= m; i += 6)
        mix_rows(6, p + i * ldp, ldp, v, ldv, n_k, width, out + i * ldo, ldo, add);
#endif
    for (; i + 4 <= m; i += 4)
        mix_rows(4, p + i * ldp, ldp, v, ldv, n_k, width, out + i * ldo, ldo, add);
    for (; i + 2 <= m; i += 2)
        mix_rows(2, p + i * ldp, ldp, v, ldv, n_k, width, out + i * ldo, ldo, add);
    for (; i < m; i++) mix_rows(1, p + i * ldp, ldp, v, ldv, n_k, width, out + i * ldo, ldo, add);
    if (width % VL) mix_tail(p, ldp, m, v, ldv, n_k, width, out, ldo, add);
}

static uint32_t simd_count_nonfinite(const float *x, uint32_t n) {
    vi count = {0};
    uint32_t i = 0;
    for (; i + VL <= n; i += VL) count -= ((vi)load(x + i) & 0x7f800000) == 0x7f800000;
    uint32_t total = 0;
    for (int v = 0; v < VL; v++) total += (uint32_t)count[v];
    for (; i < n; i++) total += isfinite(x[i]) ? 0 : 1;
    return total;
}

/* Independent chains, more than a processor's FMA latency times its units: 4 cycles, 2 units. */
enum { BURN_CHAINS = 10 };

static float simd_burn(uint32_t n, float scale, float offset) {
    vf a[BURN_CHAINS], m = (vf){0} + scale, c = (vf){0} + offset, sum = {0};
    for (int i = 0; i < BURN_CHAINS; i++) a[i] = (vf){0} + (float)i;
    for (uint32_t k = 0; k < n; k++)
        for (int i = 0; i < BURN_CHAINS; i++) a[i] = a[i] * m + c;
    for (int i = 0; i < BURN_CHAINS; i++) sum += a[i];
    return hsum(sum);
}

#define SIMD_TABLE(isa)                                                                            \
    {                                                                                              \
        .name = isa, .unpack = simd_unpack, .gemv = simd_gemv, .panel = simd_panel,                \
        .scale = simd_scale, .add = simd_add, .gelu = simd_gelu, .geglu = simd_geglu,              \
        .norm = simd_norm, .layernorm = simd_layernorm, .rope = simd_rope, .to_f16 = simd_to_f16,  \
        .max = simd_max, .exp_sum = simd_exp_sum, .mix = simd_mix,                                 \
        .count_nonfinite = simd_count_nonfinite, .burn = simd_burn,                                \
        .burn_flops = 2 * VL * BURN_CHAINS                                                         \
    }

#endif
