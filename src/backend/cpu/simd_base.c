/* The vector kernels for whatever the compiler targets by default (SSE2, NEON, ...), without
 * intrinsics: four-float vectors of the compiler's own.  SPDX-License-Identifier: MIT
 */
#include "backend/cpu/kernels.h"

#include <math.h>
#include <string.h>

#define VL      4
#define PANEL_M 3
#define PANEL_N 4

#include "backend/cpu/simd_types.h"

INLINE vi load_u8(const uint8_t *p) {
    return (vi){p[0], p[1], p[2], p[3]};
}
INLINE vi load_i8(const uint8_t *p) {
    return (vi){(int8_t)p[0], (int8_t)p[1], (int8_t)p[2], (int8_t)p[3]};
}
INLINE vf load_f16(const uint8_t *p) {
    uint16_t h[VL];
    memcpy(h, p, sizeof h);
    return (vf){pd_f16_to_f32(h[0]), pd_f16_to_f32(h[1]), pd_f16_to_f32(h[2]), pd_f16_to_f32(h[3])};
}
INLINE void store_f16(uint16_t *p, vf v) {
    for (int i = 0; i < VL; i++) p[i] = pd_f32_to_f16(v[i]);
}
INLINE float half_to_float(uint16_t h) {
    return pd_f16_to_f32(h);
}
INLINE vf nibble(vi v) {
    return __builtin_convertvector(v & 15, vf);
}
INLINE vf nibble_minus_8(vi v) {
    return __builtin_convertvector((v & 15) - 8, vf);
}
INLINE float hsum(vf v) {
    return (v[0] + v[1]) + (v[2] + v[3]);
}

#include "backend/cpu/simd_body.h"

static const pd_cpu_kernels table = SIMD_TABLE("base");

const pd_cpu_kernels *pd_cpu_kernels_base(void) {
    return &table;
}
