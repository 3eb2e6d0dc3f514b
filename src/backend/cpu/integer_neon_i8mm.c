/* The integer kernels for NEON with products of 8-bit matrices (Armv8.6): two rows of eight columns
 * by two. 16-bit activations are two signed bytes, as in integer_neon.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/integer.h"

#ifdef __aarch64__

#include <arm_neon.h>
#include <math.h>
#include <string.h>
#include <sys/auxv.h>

#include "backend/cpu/target.h"

#define VB           16
#define FEW          2
#define MANY         2 /* 16 sums of 32 registers; pairs of rows */
#define PLANES       2
#define SIGNED_QUADS 1
#define MOST_BITS    8
#define ROW_PAIRS

#ifdef __clang__
TARGET_BEGIN("dotprod,i8mm")
#else
TARGET_BEGIN("arch=armv8.2-a+dotprod+i8mm")
#endif

#include "backend/cpu/integer_types.h"

INLINE vi dot(vi sum, vs w, vs a) {
    return (vi)vdotq_s32((int32x4_t)sum, (int8x16_t)w, (int8x16_t)a);
}
/* {a0 w0, a0 w1, a1 w0, a1 w1} of rows of eight bytes. */
INLINE vi dot_pairs(vi sum, vi a, vi w) {
    return (vi)vmmlaq_s32((int32x4_t)sum, (int8x16_t)a, (int8x16_t)w);
}
INLINE vi two_rows(const uint8_t *first, const uint8_t *second) {
    return (vi)vcombine_u8(vld1_u8(first), vld1_u8(second));
}
INLINE vf load_halves(const uint8_t *p) {
    return (vf)vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

#include "backend/cpu/integer_body.h"

static const pd_cpu_integer_kernels table = INTEGER_TABLE("neon-i8mm");

TARGET_END

#define HWCAP_DOT_PRODUCTS (1u << 20) /* HWCAP_ASIMDDP of the kernel's asm/hwcap.h */
#define HWCAP2_MATRICES    (1u << 13) /* HWCAP2_I8MM */

const pd_cpu_integer_kernels *pd_cpu_integer_neon_i8mm(void) {
    bool there = getauxval(AT_HWCAP) & HWCAP_DOT_PRODUCTS && getauxval(AT_HWCAP2) & HWCAP2_MATRICES;
    return there ? &table : NULL;
}

#endif
