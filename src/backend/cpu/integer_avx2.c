/* The integer kernels for AVX2.  SPDX-License-Identifier: MIT */
#include "backend/cpu/integer.h"

#ifdef __x86_64__

#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "backend/cpu/target.h"

#define VB           32
#define FEW          4
#define MANY         6  /* twelve sums of sixteen registers */
#define FEW_ROWS     32 /* Zen 3: from 24 to 48 on, by type and length of rows */
#define PLANES       0
#define SIGNED_QUADS 0
#define MOST_BITS    8

TARGET_BEGIN("avx2,fma,f16c")

#include "backend/cpu/integer_types.h"

INLINE vi dot(vi sum, vs a, vs b) {
    sum += (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
    __asm__("" : "+x"(sum)); /* else sums of several products are formed first, in memory */
    return sum;
}
INLINE vf load_halves(const uint8_t *p) {
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

#include "backend/cpu/integer_body.h"

static const pd_cpu_integer_kernels table = INTEGER_TABLE("avx2");

TARGET_END

const pd_cpu_integer_kernels *pd_cpu_integer_avx2(void) {
    bool there = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return there ? &table : NULL;
}

#endif
