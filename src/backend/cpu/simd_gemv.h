/* Matrix times one to PD_CPU_GEMV_MAX activation rows, for simd_body.h.
 *
 * direct     the types that models are full of: decoded in registers, one instance per type and
 *            number of activation rows, two stored rows at a time where registers allow it
 * buffered   every other case: a few stored rows are decoded to floats in the first-level cache
 *            and go through the panel kernel
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_SIMD_GEMV_H
#define PD_CPU_SIMD_GEMV_H

#include "backend/cpu/prefetch.h"

enum {
    GEMV_ROWS = 2 /* most stored rows handled together */
};

/* Sums of GEMV_ROWS stored rows by M activation rows. */
typedef struct gemv_sums {
    vf at[GEMV_ROWS][PD_CPU_GEMV_MAX][NV];
} gemv_sums;

/* One activation row: the quants are multiplied as they are and the group's sum is scaled, which
 * takes fewer instructions than scaling every weight. */
INLINE void gemv_group_1(pd_type type, const vf *q, const vf *x, vf x_sum, uint32_t i,
                         const run_scales *s, vf *acc) {
    vf t = q[0] * x[0];
    UNROLL for (int v = 1; v < NV; v++) {
        if (type == PD_TYPE_Q6_K && v == NV / 2) {
            acc[0] += t * scale_of(type, s, i, 0);
            t = (vf){0};
        }
        t += q[v] * x[v];
    }
    acc[0] += t * scale_of(type, s, i, NV - 1);
    if (has_minimum(type)) acc[0] += x_sum * s->m[i];
}

/* Group g, the i-th of its run; R and M are constants where this is inlined. */
INLINE void gemv_group(pd_type type, int R, int M, const uint8_t *rows, uint64_t row_bytes,
                       uint32_t g, int u, uint32_t i, const run_scales *s, const float *x,
                       size_t ldx, gemv_sums *acc) {
    vf w[GEMV_ROWS][NV], xv[NV], x_sum = {0};
    if (M == 1 && has_scales(type)) {
        UNROLL for (int v = 0; v < NV; v++) {
            xv[v] = load(x + g * 32 + v * VL);
            if (has_minimum(type)) x_sum += xv[v];
        }
        UNROLL for (int r = 0; r < R; r++) {
            load_quants(type, rows + (uint64_t)r * row_bytes, g, u, w[r]);
            gemv_group_1(type, w[r], xv, x_sum, i, &s[r], acc->at[r][0]);
        }
        return;
    }
    UNROLL for (int r = 0; r < R; r++) {
        load_values(type, rows + (uint64_t)r * row_bytes, g, u, i, &s[r], w[r]);
    }
    UNROLL for (int m = 0; m < M; m++) {
        UNROLL for (int v = 0; v < NV; v++) {
            xv[v] = load(x + (size_t)m * ldx + g * 32 + v * VL);
            UNROLL for (int r = 0; r < R; r++) acc->at[r][m][v] += w[r][v] * xv[v];
        }
    }
}

INLINE void gemv_finish(int R, int M, const gemv_sums *acc, float *out, size_t ldo) {
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int m = 0; m < M; m++) {
            vf sum = acc->at[r][m][0];
            UNROLL for (int v = 1; v < NV; v++) sum += acc->at[r][m][v];
            out[(size_t)m * ldo + (size_t)r] = hsum(sum);
        }
    }
}

INLINE void prefetch_groups(pd_type type, const uint8_t *row, uint32_t g, uint32_t n) {
    const uint8_t *begin = group_at(type, row, g);
    prefetch(begin, (size_t)(group_at(type, row, g + n) - begin));
}

/* R stored rows by M activation rows; k is a multiple of 32. */
INLINE void gemv_block(pd_type type, int R, int M, const uint8_t *rows, uint64_t row_bytes,
                       uint32_t k, const float *x, size_t ldx, float *out, size_t ldo) {
    const int step = is_k_type(type) ? 4 : 1;
    gemv_sums acc;
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int m = 0; m < M; m++) {
            UNROLL for (int v = 0; v < NV; v++) acc.at[r][m][v] = (vf){0};
        }
    }
    for (uint32_t g0 = 0; g0 < k / 32; g0 += RUN) {
        uint32_t n_run = k / 32 - g0 < RUN ? k / 32 - g0 : RUN;
        run_scales s[GEMV_ROWS];
        UNROLL for (int r = 0; r < R; r++) {
            const uint8_t *row = rows + (uint64_t)r * row_bytes;
            prefetch_groups(type, row, g0, n_run);
            load_scales(type, row, g0, n_run, &s[r]);
        }
        for (uint32_t i = 0; i < n_run; i += (uint32_t)step) {
            UNROLL for (int u = 0; u < step; u++) {
                uint32_t j = i + (uint32_t)u;
                gemv_group(type, R, M, rows, row_bytes, g0 + j, u, j, s, x, ldx, &acc);
            }
        }
    }
    gemv_finish(R, M, &acc, out, ldo);
}

#if VL == 4 /* eight vectors to a group: the code would be too large for what it gains */
#define GEMV_TYPES(X) X(Q4_0) X(Q8_0)
#else
#define GEMV_TYPES(X) X(F16) X(BF16) X(Q4_0) X(Q8_0) X(Q4_K) X(Q6_K)
#endif

/* M activation rows by stored rows from the first on, as many as go in blocks of R: returns how
 * many. */
INLINE uint32_t gemv_rows(pd_type type, int R, int M, const uint8_t *rows, uint64_t row_bytes,
                          uint32_t n_rows, uint32_t k, const float *x, size_t ldx, float *out,
                          size_t ldo) {
    uint32_t r = 0;
    for (; r + (uint32_t)R <= n_rows; r += (uint32_t)R)
        gemv_block(type, R, M, rows + r * row_bytes, row_bytes, k, x, ldx, out + r, ldo);
    return r;
}

INLINE uint32_t gemv_typed(pd_type type, const uint8_t *rows, uint64_t row_bytes, uint32_t n_rows,
                           uint32_t k, const float *x, size_t ldx, uint32_t m, float *out,
                           size_t ldo) {
    switch (m) {
    case 1: return gemv_rows(type, 2, 1, rows, row_bytes, n_rows, k, x, ldx, out, ldo);
    case 2: return gemv_rows(type, 2, 2, rows, row_bytes, n_rows, k, x, ldx, out, ldo);
    case 3: return gemv_rows(type, 1, 3, rows, row_bytes, n_rows, k, x, ldx, out, ldo);
    case 4: return gemv_rows(type, 1, 4, rows, row_bytes, n_rows, k, x, ldx, out, ldo);
    default: return 0;
    }
}

static uint32_t gemv_direct(pd_type type, const uint8_t *rows, uint64_t row_bytes, uint32_t n_rows,
                            uint32_t k, const float *x, size_t ldx, uint32_t m, float *out,
                            size_t ldo) {
    if (k % 32) return 0;
    switch (type) {
#define GEMV_CASE(T)                                                                               \
    case PD_TYPE_##T:                                                                              \
        return gemv_typed(PD_TYPE_##T, rows, row_bytes, n_rows, k, x, ldx, m, out, ldo);
        GEMV_TYPES(GEMV_CASE)
#undef GEMV_CASE
    default: return 0;
    }
}

static void gemv_buffered(pd_type type, const uint8_t *rows, uint64_t row_bytes, uint32_t n_rows,
                          uint32_t k, const float *x, size_t ldx, uint32_t m, float *out,
                          size_t ldo) {
    enum { BLOCK = 512 };
    float buffer[PANEL_N * BLOCK];
    const pd_type_info *info = pd_type_get(type);
    for (uint32_t r = 0; r < n_rows; r += PANEL_N) {
        uint32_t n = n_rows - r < PANEL_N ? n_rows - r : PANEL_N;
        for (uint32_t c = 0; c < k; c += BLOCK) {
            uint32_t nk = k - c < BLOCK ? k - c : BLOCK;
            for (uint32_t i = 0; i < n; i++) {
                const uint8_t *src = rows + (r + i) * row_bytes + pd_type_row_bytes(info, c);
                simd_unpack(type, src, nk, buffer + i * BLOCK);
            }
            simd_panel(buffer, BLOCK, n, nk, x + c, ldx, m, out + r, ldo, c > 0);
        }
    }
}

static void simd_gemv(pd_type type, const uint8_t *rows, uint64_t row_bytes, uint32_t n_rows,
                      uint32_t k, const float *x, size_t ldx, uint32_t m, float *out, size_t ldo) {
    uint32_t r = gemv_direct(type, rows, row_bytes, n_rows, k, x, ldx, m, out, ldo);
    gemv_buffered(type, rows + r * row_bytes, row_bytes, n_rows - r, k, x, ldx, m, out + r, ldo);
}

#endif
