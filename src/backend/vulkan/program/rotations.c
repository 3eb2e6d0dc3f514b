/* Angles of the rotations that a plan's operations do, as tables for the kernels.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "backend/vulkan/program/program.h"

static bool rotates(const pd_op *op) {
    return op->kind == PD_OP_QKV_ROPE_STORE && op->qkv.q_weight;
}

static bool same_rotation(const pd_op *a, const pd_op *b) {
    return a->qkv.rope_base == b->qkv.rope_base && a->qkv.angle_scale == b->qkv.angle_scale;
}

uint32_t pd_vk_rotation_index(const pd_program *p, uint32_t op_index, uint32_t *count) {
    uint32_t found = 0, n = 0;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        if (!rotates(&p->ops[i])) continue;
        uint32_t first = 0;
        while (!rotates(&p->ops[first]) || !same_rotation(&p->ops[first], &p->ops[i])) first++;
        if (first != i) continue; /* not the first of its kind */
        if (op_index < p->n_ops && same_rotation(&p->ops[op_index], &p->ops[i])) found = n;
        n++;
    }
    if (count) *count = n;
    return found;
}

/* Turns per position of pair j, as a 64-bit fraction: base^(-2j / head_dim) * scale / (2 pi) *
 * 2^64. */
void pd_vk_fill_rotations(const pd_program *p, uint32_t *words) {
    uint32_t half = p->desc.kv.head_dim / 2;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        if (!rotates(&p->ops[i])) continue;
        uint32_t *to = words + 2ull * half * pd_vk_rotation_index(p, i, NULL);
        for (uint32_t j = 0; j < half; j++) {
            long double exponent = -(long double)j / (long double)half;
            long double turns = powl((long double)p->ops[i].qkv.rope_base, exponent) *
                                (long double)p->ops[i].qkv.angle_scale / 6.283185307179586476925L;
            uint64_t fraction = (uint64_t)ldexpl(turns - floorl(turns), 64);
            to[2 * j] = (uint32_t)(fraction >> 32);
            to[2 * j + 1] = (uint32_t)fraction;
        }
    }
}
