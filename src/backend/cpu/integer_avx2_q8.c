/* The integer kernels for AVX2, 8-bit activations. Two products of a quant of up to 7 bits have a
 * sum of 16.  SPDX-License-Identifier: MIT
 */
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
#define PLANES       1
#define SIGNED_QUADS 0
#define MOST_BITS    6

TARGET_BEGIN("avx2,fma,f16c")

#include "backend/cpu/integer_types.h"

INLINE vi dot(vi sum, vs w, vs a) {
    __m256i pairs = _mm256_maddubs_epi16((__m256i)w, (__m256i)a);
    sum += (vi)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    __asm__("" : "+x"(sum)); /* else sums of several products are formed first, in memory */
    return sum;
}
#define SHORT_SUMS
INLINE vs dot_short(vs sum, vs w, vs a) {
    sum += (vs)_mm256_maddubs_epi16((__m256i)w, (__m256i)a);
    __asm__("" : "+x"(sum)); /* as below */
    return sum;
}
INLINE vi add_short(vi sum, vs pairs) {
    return sum + (vi)_mm256_madd_epi16((__m256i)pairs, _mm256_set1_epi16(1));
}
INLINE vf load_halves(const uint8_t *p) {
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

#include "backend/cpu/integer_body.h"

static const pd_cpu_integer_kernels table = INTEGER_TABLE("avx2");

TARGET_END

const pd_cpu_integer_kernels *pd_cpu_integer_avx2_q8(void) {
    bool there = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return there ? &table : NULL;
}

#endif
