/* Weights as the integer kernels read them: 16 rows interleaved, packed when a model is loaded.
 *
 * A group is 16 consecutive rows of a matrix with K columns; the last one of a matrix is filled up
 * with zeros. It holds the scales of all its blocks of 32 columns, then their quants.
 *
 * Quants lie in units of 64 bytes: four bytes of each of the 16 rows, row after row, so that one
 * 32-bit lane of a vector is one row and holds what comes next of it. With the columns of a block
 * counted from 0, a block is, by the bits of a quant,
 *
 *   4, 5, 6   four units of nibbles: unit u has columns 4u .. 4u + 3 in the low halves of its bytes
 *             and 16 + 4u .. in the high ones (Q4_0's own order, so that packing it moves words)
 *   5, 6      and behind them one or two units of the bits above, one or two of a quant. Column
 *             16q + 4u + 2l + j has its in 16-bit lane l of the row, from bit (4u + 2j + q) * (1 or
 *             2) on, counted through the units in pieces of 16
 *   8         eight units: unit i has columns 4(i / 2) + 16(i % 2) .. + 3, signed
 *
 * Quants of 4 and 5 bits are stored from 0 on, those of 6 bits from 0 for -32. A value is d * q +
 * m, with d and m from the scales:
 *
 *   D      Q4_0, Q5_0, Q8_0   [blocks] { half d[16] }                      m = -offset * d
 *   DM     Q4_1, Q5_1         [blocks] { half d[16], m[16] }
 *   K      Q4_K, Q5_K         [K / 256] { half d[16], m[16]; u8 sd[2][16][4], sm[2][16][4] }
 *                             d = d * sd, m = -m * sm
 *   K16    Q6_K               [K / 256] { half d[16]; i8 low[2][16][4], high[2][16][4] }
 *                             d = d * low for columns 0 .. 15 of a block, d * high for the others
 *
 * Of the eight blocks of 256 columns, block b has the bytes [b / 4][row][b % 4].
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_PACKED_H
#define PD_CPU_PACKED_H

#include "file/quant.h"

enum {
    PD_CPU_GROUP_ROWS = 16,
    PD_CPU_UNIT_BYTES = 64,
    PD_CPU_BLOCK = 32,    /* columns */
    PD_CPU_K_BYTES = 320, /* of the scales of 256 columns, K and K16 */
    PD_CPU_K16_BYTES = 288
};

typedef enum pd_cpu_scales {
    PD_CPU_SCALES_D,
    PD_CPU_SCALES_DM,
    PD_CPU_SCALES_K,
    PD_CPU_SCALES_K16
} pd_cpu_scales;

typedef struct pd_cpu_packing {
    uint32_t bits; /* of a stored quant: 4, 5, 6 or 8 */
    pd_cpu_scales scales;
    int32_t offset; /* what a quant of 4 or 5 bits is more than what it stands for */
} pd_cpu_packing;

/* False: F32, F16 and BF16 are not packed. */
bool pd_cpu_packing_of(pd_type type, pd_cpu_packing *out);

/* Of a group: its bytes, a multiple of 64, and where its quants begin. */
uint64_t pd_cpu_group_bytes(const pd_cpu_packing *p, uint32_t k);
uint64_t pd_cpu_quants_at(const pd_cpu_packing *p, uint32_t k);
static inline uint32_t pd_cpu_block_bytes(const pd_cpu_packing *p) {
    return p->bits * PD_CPU_UNIT_BYTES;
}

/* Packs stored rows [0, n_rows), n_rows <= 16, to one group. */
void pd_cpu_pack_group(pd_type type, const uint8_t *rows, uint64_t row_bytes, uint32_t n_rows,
                       uint32_t k, uint8_t *group);

#endif
