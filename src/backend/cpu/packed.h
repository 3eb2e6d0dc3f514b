/* Weights as the integer kernels read them: 16 rows interleaved, packed when a model is loaded.
 *
 * A group is 16 consecutive rows of a matrix with K columns; the last one of a matrix is filled up
 * with zeros. It holds the scales of all its blocks of 32 columns, then their quants.
 *
 * Quants lie in units of 64 bytes: four bytes of each of the 16 rows, row after row, so that one
 * 32-bit lane of a vector is one row and holds what comes next of it. With the columns of a block
 * counted from 0, unit u of
 *
 *   nibbles   has columns 4u .. 4u + 3 in the low four bits and 16 + 4u .. in the high ones,
 *             unsigned; 4 units a block (Q4_0's own order, so that packing it only moves words)
 *   bytes     has columns 4(u / 2) + 16(u % 2) .. + 3, signed; 8 units a block
 *
 * Five and six bits are stored as bytes. A value is d * q + m, with d and m from the scales:
 *
 *   D      Q4_0, Q5_0, Q8_0   [blocks] { half d[16] }                      m = -8 d or 0
 *   DM     Q4_1, Q5_1         [blocks] { half d[16], m[16] }
 *   K      Q4_K, Q5_K         [K / 256] { half d[16], m[16]; [8] { u8 sd[16], sm[16] } }
 *                             d = d * sd, m = -m * sm
 *   K16    Q6_K               [K / 256] { half d[16]; [8] { i8 low[16], high[16] } }
 *                             d = d * low for columns 0 .. 15 of a block, d * high for the others
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_PACKED_H
#define PD_CPU_PACKED_H

#include "file/quant.h"

enum {
    PD_CPU_GROUP_ROWS = 16,
    PD_CPU_UNIT_BYTES = 64,
    PD_CPU_BLOCK = 32 /* columns */
};

typedef enum pd_cpu_scales {
    PD_CPU_SCALES_D,
    PD_CPU_SCALES_DM,
    PD_CPU_SCALES_K,
    PD_CPU_SCALES_K16
} pd_cpu_scales;

typedef struct pd_cpu_packing {
    bool nibbles; /* else bytes */
    pd_cpu_scales scales;
    int32_t offset; /* what nibbles are more than the quants they stand for */
} pd_cpu_packing;

/* False: F32, F16 and BF16 are not packed. */
bool pd_cpu_packing_of(pd_type type, pd_cpu_packing *out);

/* Of a group: its bytes, a multiple of 64, and where its quants begin. */
uint64_t pd_cpu_group_bytes(const pd_cpu_packing *p, uint32_t k);
uint64_t pd_cpu_quants_at(const pd_cpu_packing *p, uint32_t k);
static inline uint32_t pd_cpu_block_bytes(const pd_cpu_packing *p) {
    return (p->nibbles ? 4 : 8) * PD_CPU_UNIT_BYTES;
}

/* Packs stored rows [0, n_rows), n_rows <= 16, to one group. */
void pd_cpu_pack_group(pd_type type, const uint8_t *rows, uint64_t row_bytes, uint32_t n_rows,
                       uint32_t k, uint8_t *group);

#endif
