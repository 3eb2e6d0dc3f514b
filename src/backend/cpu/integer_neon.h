/* What NEON's tables of integer kernels share, for integer_body.h and with the types of
 * integer_types.h: the instructions. With ROW_PAIRS also those of 8-bit matrices (Armv8.6).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_INTEGER_NEON_H
#define PD_CPU_INTEGER_NEON_H

#include <arm_neon.h>

INLINE vi dot(vi sum, vs w, vs a) {
    return (vi)vdotq_s32((int32x4_t)sum, (int8x16_t)w, (int8x16_t)a);
}
INLINE vf load_halves(const uint8_t *p) {
    return (vf)vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

#ifdef ROW_PAIRS
/* {a0 w0, a0 w1, a1 w0, a1 w1} of rows of eight bytes. */
INLINE vi dot_pairs(vi sum, vi a, vi w) {
    return (vi)vmmlaq_s32((int32x4_t)sum, (int8x16_t)a, (int8x16_t)w);
}
INLINE vi two_rows(const uint8_t *first, const uint8_t *second) {
    return (vi)vcombine_u8(vld1_u8(first), vld1_u8(second));
}
#endif

#endif
