/* Products of packed weights (packed.h) with activations in integers: one table of functions per
 * instruction set. The bodies are written once, in integer_body.h.
 *
 * An activation is, with the scale of its block of 32 columns of its row,
 *
 *     x = scale * q            scale = max |x| / most,  q an integer, rounded to nearest
 *
 * so that a block's part of a product is d * scale * sum(q_w q) + m * scale * sum(q): integers are
 * multiplied and summed exactly, in 32 bits, and scaled once per block. Quants that are kept with
 * an offset, as q_w + offset, need no m: their sum begins with -offset * sum(q). `most` and how q
 * is kept:
 *
 *   pairs    32639 = 127 * 256 + 127, in 16 bits; two columns are multiplied at once
 *   quads    127, in 8 bits; four columns at once
 *   double   32639, as 256 * high + low, two signed bytes: the same instructions, twice
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_INTEGER_H
#define PD_CPU_INTEGER_H

#include <stddef.h>

#include "backend/cpu/packed.h"

enum {
    PD_CPU_MANY_MAX = 16,       /* most many_rows */
    PD_CPU_FEW_MAX = 32,        /* most few_rows */
    PD_CPU_PANEL_ROWS_MAX = 32, /* most panel_rows */
};

typedef struct pd_cpu_block_scale {
    float scale, sum;               /* scale * sum(q) */
    int32_t minus_first, minus_all; /* -sum(q): of columns 0 .. 15, and of all */
} pd_cpu_block_scale;

/* Rows of quantised activations. Of a block's 32 columns the order is that in which units give
 * weights to lanes, with u = 0..3, q = 0, 1 and j = 0, 1:
 *
 *   pairs    pair 4u + 2q + j: columns 16q + 4u + j and two after it
 *   quads    quad 2u + q: columns 16q + 4u .. + 3; double: all high bytes, then all low ones */
typedef struct pd_cpu_quants {
    uint8_t *values;            /* [rows, k * value_bytes] */
    pd_cpu_block_scale *scales; /* [rows, k / 32] */
    uint32_t k;
} pd_cpu_quants;

/* A piece of one group, or of two, for many activation rows, unpacked once: columns
 * [32 first_block, + 32 n_blocks). Of `panel_rows` rows. */
typedef struct pd_cpu_panel {
    uint8_t *units; /* [n_blocks, 8 or 16, rows]: two or four columns each */
    float *d, *m;   /* [n_blocks, rows], twice that for K16; m unused where there are no minima */
    uint32_t first_block, n_blocks;
} pd_cpu_panel;

typedef struct pd_cpu_integer_kernels {
    const char *name;

    /* One row of k columns, a multiple of 32. */
    void (*quantize)(const float *x, uint32_t k, uint8_t *values, pd_cpu_block_scale *scales);
    /* out[i * ldo + r] = row r of the group times activation row i, for all 16 and i < n_rows.
     * For few rows: the group is unpacked in registers, again for every few of them. */
    void (*few)(pd_type type, const uint8_t *group, const pd_cpu_quants *x, uint32_t n_rows,
                float *out, size_t ldo);
    /* Fills the panel's memory for its blocks with a group, as the one that `which` counts. */
    void (*unpack)(pd_type type, const uint8_t *group, uint32_t k, const pd_cpu_panel *panel,
                   uint32_t which);
    /* The same product as few's from a panel, r < panel_rows, activation rows
     * [first, first + n_rows); `add` to what out has. */
    void (*many)(pd_type type, const pd_cpu_panel *panel, const pd_cpu_quants *x, uint32_t first,
                 uint32_t n_rows, float *out, size_t ldo, bool add);
    /* n rounds of burn_flops additions and multiplications in registers, as fast as they go. */
    int32_t (*burn)(uint32_t n);
    uint32_t burn_flops;
    uint32_t most_bits;   /* of quants that it multiplies: 6 or 8 */
    uint32_t value_bytes; /* of an activation */
    uint32_t panel_rows;  /* weight rows of a panel: 16, or 32 */
    uint32_t many_rows;   /* activation rows that are handled at once, at most PD_CPU_MANY_MAX */
    uint32_t few_rows;    /* up to so many `few` is faster than a panel, at most PD_CPU_FEW_MAX */
} pd_cpu_integer_kernels;

enum { PD_CPU_PANEL_BLOCK_MAX = 16 * PD_CPU_UNIT_BYTES }; /* of 16 rows by 32 columns, at most */

/* NULL when this processor lacks the instructions. Activations in 16 bits, for the precision f16;
 * and in 8, for q8. */
#ifdef __x86_64__
const pd_cpu_integer_kernels *pd_cpu_integer_avx512vnni(void);
const pd_cpu_integer_kernels *pd_cpu_integer_avx512vnni_q8(void);
const pd_cpu_integer_kernels *pd_cpu_integer_avx512(void);
const pd_cpu_integer_kernels *pd_cpu_integer_avxvnni(void);
const pd_cpu_integer_kernels *pd_cpu_integer_avxvnni_q8(void);
const pd_cpu_integer_kernels *pd_cpu_integer_avx2(void);
const pd_cpu_integer_kernels *pd_cpu_integer_avx2_q8(void);
#endif
#ifdef __aarch64__
const pd_cpu_integer_kernels *pd_cpu_integer_neon_i8mm(void);
const pd_cpu_integer_kernels *pd_cpu_integer_neon_i8mm_q8(void);
const pd_cpu_integer_kernels *pd_cpu_integer_neon(void);
const pd_cpu_integer_kernels *pd_cpu_integer_neon_q8(void);
#endif
const pd_cpu_integer_kernels *pd_cpu_integer_base(void); /* always there */

#endif
