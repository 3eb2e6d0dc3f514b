/* The integer kernels for whatever the compiler targets by default: SSE2 on x86, else plain C over
 * the compiler's own vectors.  SPDX-License-Identifier: MIT
 */
#include "backend/cpu/integer.h"

#include <math.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define VB           16
#define FEW          1
#define MANY         2 /* eight sums of sixteen registers */
#define PLANES       0
#define SIGNED_QUADS 0
#define MOST_BITS    8

#include "backend/cpu/integer_types.h"

#ifdef __SSE2__
INLINE vi dot(vi sum, vs a, vs b) {
    return sum + (vi)_mm_madd_epi16((__m128i)a, (__m128i)b);
}
#else
INLINE vi dot(vi sum, vs a, vs b) {
    for (int i = 0; i < 4; i++) sum[i] += a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
    return sum;
}
#endif
INLINE vf load_halves(const uint8_t *p) {
    uint16_t h[4];
    memcpy(h, p, sizeof h);
    return (vf){pd_f16_to_f32(h[0]), pd_f16_to_f32(h[1]), pd_f16_to_f32(h[2]), pd_f16_to_f32(h[3])};
}

#include "backend/cpu/integer_body.h"

static const pd_cpu_integer_kernels table = INTEGER_TABLE("base");

const pd_cpu_integer_kernels *pd_cpu_integer_base(void) {
    return &table;
}
