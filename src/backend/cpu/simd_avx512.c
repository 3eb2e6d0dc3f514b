/* The vector kernels for AVX-512 (F, BW, DQ, VL).  SPDX-License-Identifier: MIT */
#include "backend/cpu/kernels.h"

#ifdef __x86_64__

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define VL      16
#define PANEL_M 6
#define PANEL_N 4

#ifdef __clang__
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))),                   \
    apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#endif

#include "backend/cpu/simd_types.h"

INLINE vi load_u8(const uint8_t *p) {
    return (vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
INLINE vi load_i8(const uint8_t *p) {
    return (vi)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
INLINE vf load_f16(const uint8_t *p) {
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
INLINE void store_f16(uint16_t *p, vf v) {
    _mm256_storeu_si256((__m256i *)(void *)p,
                        _mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT));
}
INLINE float half_to_float(uint16_t h) {
    return _cvtsh_ss(h);
}
INLINE float hsum(vf v) {
    return _mm512_reduce_add_ps((__m512)v);
}

#include "backend/cpu/simd_body.h"

static const pd_cpu_kernels table = SIMD_TABLE("avx512");

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC reset_options
#endif

const pd_cpu_kernels *pd_cpu_kernels_avx512(void) {
    bool there = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return there ? &table : NULL;
}

#else

const pd_cpu_kernels *pd_cpu_kernels_avx512(void) {
    return NULL;
}

#endif
