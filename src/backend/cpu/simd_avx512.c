/* The vector kernels for AVX-512 (F, BW, DQ, VL).  SPDX-License-Identifier: MIT */
#include "backend/cpu/kernels.h"

#ifdef __x86_64__

#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "backend/cpu/target.h"

#define VL      16
#define PANEL_M 6
#define PANEL_N 4

TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")

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
/* 16 strided halves at once; four bytes are read at each, which the blocks have. */
#define HAS_GATHER 1
INLINE void gather_f16(const uint8_t *p, uint32_t stride, uint32_t n, float *out) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i at = _mm512_mullo_epi32(lane, _mm512_set1_epi32((int)stride));
    __mmask16 wanted = (__mmask16)((1u << n) - 1);
    __m512i words = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), wanted, at, p, 1);
    _mm512_storeu_ps(out, _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words)));
}
INLINE float half_to_float(uint16_t h) {
    return _cvtsh_ss(h);
}
INLINE vf nibble(vi v) { /* a table look-up needs no mask and no conversion */
    const __m512 t = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return (vf)_mm512_permutexvar_ps((__m512i)v, t);
}
INLINE vf nibble_minus_8(vi v) {
    const __m512 t = _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
    return (vf)_mm512_permutexvar_ps((__m512i)v, t);
}
INLINE float hsum(vf v) {
    return _mm512_reduce_add_ps((__m512)v);
}

#include "backend/cpu/simd_body.h"

static const pd_cpu_kernels table = SIMD_TABLE("avx512");

TARGET_END

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
