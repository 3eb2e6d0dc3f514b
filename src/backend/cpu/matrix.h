/* Products of many rows on a matrix unit that multiplies bfloat16 and sums in f32: one table of
 * functions per kind of unit.
 *
 * A bfloat16 has 8 significant bits. A value is kept in one part, rounded, or in two:
 *
 *     x = high + low        high = x rounded, low = x - high rounded: 16 bits together
 *
 * and a product of values in two parts is three products, high * high + high * low + low * high;
 * what is left out, low * low, is 2^-16 of it at most.
 *
 * The unit multiplies tiles of 16 rows by 32 columns, 1 KiB. Columns of a block of 32 come in pairs
 * in the order of integer.h: pair 4u + 2q + j is columns 16q + 4u + j and two after it, as packed
 * weights have them. A tile of activations has its rows one after the other; one of weights has
 * pair after pair, of each the two columns of all 16 rows. Columns behind the last are zeros.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_MATRIX_H
#define PD_CPU_MATRIX_H

#include <stddef.h>

#include "backend/cpu/packed.h"

enum { PD_CPU_TILE_ROWS = PD_CPU_GROUP_ROWS, PD_CPU_TILE_VALUES = PD_CPU_TILE_ROWS * PD_CPU_BLOCK };

/* Up to 32 activation rows times up to 32 weight rows, over n_blocks blocks of columns. */
typedef struct pd_cpu_matrix_block {
    const uint16_t *x[2], *w[2]; /* [n_blocks, parts] tiles of 16 rows each; [1] may be NULL */
    uint32_t n_blocks, x_parts, w_parts; /* parts 1, 1; 2, 1; or 2, 2 */
    float *out;                          /* [activation row, ldo]: a column for each weight row */
    size_t ldo;
    bool add; /* to what out has */
} pd_cpu_matrix_block;

/* How a unit was set up. */
typedef struct pd_cpu_matrix_state {
    uint8_t bytes[64];
} pd_cpu_matrix_state;

typedef struct pd_cpu_matrix_kernels {
    const char *name;

    /* Around a thread's calls of multiply and burn; the unit is then as the thread's caller had it.
     */
    void (*begin)(pd_cpu_matrix_state *before);
    void (*end)(const pd_cpu_matrix_state *before);
    /* n_rows <= 16 rows of k columns to tiles [blocks, parts]; rows that are not there are 0. */
    void (*arrange)(const float *x, size_t ldx, uint32_t n_rows, uint32_t k, uint32_t parts,
                    uint16_t *tiles);
    /* n tiles of rows, as arrange makes them, to tiles of weights, in place. */
    void (*transpose)(uint16_t *tiles, uint32_t n);
    /* Rows of halves over which a product sums, `width` columns of each, a multiple of 16, to tiles
     * of weights [width / 16, all_blocks, 2], of which n_rows fill the first blocks; rows outside
     * [begin, end) count as zeros. */
    void (*pair_rows)(const uint16_t *rows, size_t ldr, uint32_t n_rows, uint32_t begin,
                      uint32_t end, uint32_t width, uint16_t *tiles, uint32_t all_blocks);
    /* n blocks of a packed group to tiles of weights [n, parts]. scales: room for 64 * n floats. */
    void (*unpack)(pd_type type, const uint8_t *group, uint32_t k, uint32_t first_block, uint32_t n,
                   uint32_t parts, float *scales, uint16_t *tiles);
    void (*multiply)(const pd_cpu_matrix_block *block);
    /* n rounds of burn_flops additions and multiplications, as fast as they go. */
    float (*burn)(uint32_t n);
    uint32_t burn_flops;
} pd_cpu_matrix_kernels;

/* NULL when this processor or this system lacks it. */
#ifdef __x86_64__
const pd_cpu_matrix_kernels *pd_cpu_matrix_amx(void);
#endif

#endif
