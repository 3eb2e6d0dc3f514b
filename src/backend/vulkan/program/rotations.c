/* Angles of the rotations that a plan's operations do, as tables for the kernels.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "backend/vulkan/program/program.h"

/* Turns per position of pair j, as a 64-bit fraction: base^(-2j / head_dim) * scale / (2 pi) *
 * 2^64. */
void pd_vk_fill_rotations(const pd_program *p, uint32_t *words) {
    uint32_t half = p->desc.kv.head_dim / 2;
    for (uint32_t i = 0; i < p->n_rotations; i++) {
        const pd_rotation *r = &p->rotations[i];
        for (uint32_t j = 0; j < half; j++, words += 2) {
            long double exponent = -(long double)j / (long double)half;
            long double turns = powl((long double)r->base, exponent) * (long double)r->angle_scale /
                                6.283185307179586476925L;
            uint64_t fraction = (uint64_t)ldexpl(turns - floorl(turns), 64);
            words[0] = (uint32_t)(fraction >> 32);
            words[1] = (uint32_t)fraction;
        }
    }
}
