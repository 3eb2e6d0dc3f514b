/* The integer kernels for AVX-512 with VNNI.  SPDX-License-Identifier: MIT */
#include "backend/cpu/integer.h"

#ifdef __x86_64__

#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "backend/cpu/target.h"

#define VB           64
#define FEW          8
#define FEW_ROWS     32 /* Zen 5: at 32 still a fifth faster than a panel */
#define TILE_GROUPS  2
#define MANY         6 /* twelve sums of 32 registers; another twelve are sums in floats */
#define PLANES       0
#define SIGNED_QUADS 0
#define MOST_BITS    8

TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")

#include "backend/cpu/integer_types.h"

INLINE vi dot(vi sum, vs a, vs b) {
    return (vi)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
}
INLINE vf load_halves(const uint8_t *p) {
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

#include "backend/cpu/integer_body.h"

static const pd_cpu_integer_kernels table = INTEGER_TABLE("avx512-vnni");

TARGET_END

const pd_cpu_integer_kernels *pd_cpu_integer_avx512vnni(void) {
    bool there = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                 __builtin_cpu_supports("avx512vnni");
    return there ? &table : NULL;
}

#endif
