/* The vector kernels for AVX2 with FMA (and F16C, which every such processor has).
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/kernels.h"

#ifdef __x86_64__

#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "backend/cpu/target.h"

#define VL      8
#define PANEL_M 3
#define PANEL_N 4

TARGET_BEGIN("avx2,fma,f16c")

#include "backend/cpu/simd_types.h"

INLINE vi load_u8(const uint8_t *p) {
    return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}
INLINE vi load_i8(const uint8_t *p) {
    return (vi)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}
INLINE vf load_f16(const uint8_t *p) {
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
INLINE void store_f16(uint16_t *p, vf v) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT));
}
INLINE float half_to_float(uint16_t h) {
    return _cvtsh_ss(h);
}
INLINE vf nibble(vi v) {
    return __builtin_convertvector(v & 15, vf);
}
INLINE vf nibble_minus_8(vi v) {
    return __builtin_convertvector((v & 15) - 8, vf);
}
INLINE float hsum(vf v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    s = _mm_add_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

#include "backend/cpu/simd_body.h"

static const pd_cpu_kernels table = SIMD_TABLE("avx2");

TARGET_END

const pd_cpu_kernels *pd_cpu_kernels_avx2(void) {
    bool there = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return there ? &table : NULL;
}

#else

const pd_cpu_kernels *pd_cpu_kernels_avx2(void) {
    return NULL;
}

#endif
