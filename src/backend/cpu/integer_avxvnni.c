/* The integer kernels for AVX-VNNI: AVX2 whose products are added as they are made.
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/integer.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "backend/cpu/target.h"

#define VB           32
#define FEW          4
#define FEW_ROWS     16 /* Zen 5: as fast as a panel from there on */
#define MANY         6  /* twelve sums of sixteen registers */
#define PLANES       0
#define SIGNED_QUADS 0
#define MOST_BITS    8

TARGET_BEGIN("avx2,fma,f16c,avxvnni")

#include "backend/cpu/integer_types.h"

INLINE vi dot(vi sum, vs a, vs b) {
    return (vi)_mm256_dpwssd_avx_epi32((__m256i)sum, (__m256i)a, (__m256i)b);
}
INLINE vf load_halves(const uint8_t *p) {
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

#include "backend/cpu/integer_body.h"

static const pd_cpu_integer_kernels table = INTEGER_TABLE("avx-vnni");

TARGET_END

/* Leaf 7, sub-leaf 1, EAX bit 4; not every compiler has a name for it. */
static bool has_avxvnni(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 4 & 1;
}

const pd_cpu_integer_kernels *pd_cpu_integer_avxvnni(void) {
    bool there = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_avxvnni();
    return there ? &table : NULL;
}

#endif
