/* The vector kernels of the fast CPU backend: one table of functions per instruction set.
 *
 * The bodies are written once, in simd_body.h, over vectors of VL floats; simd_avx512.c,
 * simd_avx2.c and simd_base.c compile them for their instruction set. All accumulation is in f32,
 * in VL (or more) partial sums. No pointer needs an alignment beyond its element's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_KERNELS_H
#define PD_CPU_KERNELS_H

#include <stddef.h>

#include "file/quant.h"

enum {
    PD_CPU_GEMV_MAX = 4 /* most activation rows of one gemv call */
};

typedef struct pd_cpu_kernels {
    const char *name;

    /* n stored values to float; n a multiple of the type's block. */
    void (*unpack)(pd_type type, const uint8_t *src, uint32_t n, float *dst);
    /* out[i * ldo + r] = dot(stored row r, x + i * ldx) for r < n_rows, i < m <= PD_CPU_GEMV_MAX;
     * the rows are decoded in registers. */
    void (*gemv)(pd_type type, const uint8_t *rows, uint64_t row_bytes, uint32_t n_rows, uint32_t k,
                 const float *x, size_t ldx, uint32_t m, float *out, size_t ldo);
    /* out[i * ldo + r] = dot(w + r * ldw, x + i * ldx), or += when `add`; register-blocked. */
    void (*panel)(const float *w, size_t ldw, uint32_t n_rows, uint32_t k, const float *x,
                  size_t ldx, uint32_t m, float *out, size_t ldo, bool add);

    void (*scale)(float *x, uint32_t n, float s);
    void (*add)(const float *x, uint32_t n, float *out); /* out[j] += x[j] */
    void (*gelu)(float *x, uint32_t n);
    void (*geglu)(const float *gate, const float *up, uint32_t n, float *out);
    /* The norm operation of one row (plan/op.h); residual and post may be NULL. */
    void (*norm)(const float *x, float *residual, const float *post, const float *weight, float eps,
                 uint32_t n, float *out);
    /* The layernorm operation of one row. */
    void (*layernorm)(const float *x, const float *weight, const float *bias, float eps, uint32_t n,
                      float *out);
    /* out = rotate(rms(x) * weight) * scale for one head; cosines and sines are [n / 2]. */
    void (*rope)(const float *x, const float *weight, float eps, const float *cosines,
                 const float *sines, float scale, uint32_t n, float *out);
    void (*to_f16)(const float *x, uint32_t n, uint16_t *out);

    float (*max)(const float *x, uint32_t n); /* NaN is passed over; -inf when nothing else */
    float (*exp_sum)(float *x, uint32_t n, float max); /* x = exp(x - max); returns the sum */
    /* out[i * ldo + j] = sum over k < n_k of p[i * ldp + k] * v[k * ldv + j], or += when `add`;
     * i < m, j < width. */
    void (*mix)(const float *p, size_t ldp, uint32_t m, const float *v, size_t ldv, uint32_t n_k,
                uint32_t width, float *out, size_t ldo, bool add);
    uint32_t (*count_nonfinite)(const float *x, uint32_t n);

    /* n rounds of burn_flops additions and multiplications in registers, as fast as they go. */
    float (*burn)(uint32_t n, float scale, float offset);
    uint32_t burn_flops;
} pd_cpu_kernels;

/* NULL when not compiled in, or when this processor lacks the instructions. */
const pd_cpu_kernels *pd_cpu_kernels_avx512(void);
const pd_cpu_kernels *pd_cpu_kernels_avx2(void);
const pd_cpu_kernels *pd_cpu_kernels_base(void); /* always there */

#endif
