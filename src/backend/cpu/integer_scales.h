/* Scales of packed weights (packed.h) to floats, for integer_body.h and matrix_amx.c, and with
 * their definitions: vectors of LANES rows, PARTS of which make 16; load_halves.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_INTEGER_SCALES_H
#define PD_CPU_INTEGER_SCALES_H

/* Bytes of block b of eight, LANES rows from `lane` on, to floats: without and with signs. */
INLINE vi block_words(const uint8_t *bytes, uint32_t b, int lane) {
    return LOAD_AS(vi, bytes + b / 4 * 64 + 4 * lane);
}
INLINE vf unsigned_bytes(const uint8_t *bytes, uint32_t b, int lane) {
    return __builtin_convertvector(block_words(bytes, b, lane) >> (int)(b % 4 * 8) & 255, vf);
}
INLINE vf signed_bytes(const uint8_t *bytes, uint32_t b, int lane) {
    vi top = block_words(bytes, b, lane) << (int)(24 - b % 4 * 8);
    return __builtin_convertvector(top >> 24, vf);
}

/* d and m of LANES rows in one block: of all its columns, or of its halves (K16). */
typedef struct row_scales {
    vf d[2], m[2];
} row_scales;

/* offset: what the quants are more than what they stand for, which m takes away. */
INLINE row_scales row_scales_at(pd_cpu_scales kind, int offset, const uint8_t *group, uint32_t b,
                                int lane) {
    row_scales s = {0};
    vf d, m;
    switch (kind) {
    case PD_CPU_SCALES_D:
        s.d[0] = load_halves(group + 32 * b + 2 * lane);
        s.m[0] = s.d[0] * (float)-offset;
        break;
    case PD_CPU_SCALES_DM:
        s.d[0] = load_halves(group + 64 * b + 2 * lane);
        s.m[0] = load_halves(group + 64 * b + 32 + 2 * lane);
        break;
    case PD_CPU_SCALES_K:
        group += b / 8 * PD_CPU_K_BYTES;
        d = load_halves(group + 2 * lane);
        m = load_halves(group + 32 + 2 * lane);
        s.d[0] = d * unsigned_bytes(group + 64, b % 8, lane);
        s.m[0] = -m * unsigned_bytes(group + 192, b % 8, lane);
        break;
    case PD_CPU_SCALES_K16:
        group += b / 8 * PD_CPU_K16_BYTES;
        d = load_halves(group + 2 * lane);
        UNROLL for (int h = 0; h < 2; h++) {
            s.d[h] = d * signed_bytes(group + 32 + 128 * h, b % 8, lane);
            s.m[h] = s.d[h] * (float)-offset;
        }
        break;
    }
    return s;
}

/* The same of all 16 rows and blocks [first, first + n), to d and m of a panel of `rows` rows: [n,
 * rows], or [n, 2, rows]. */
static void expand_scales(const pd_cpu_packing *p, int offset, const uint8_t *group, uint32_t first,
                          uint32_t n, uint32_t rows, float *d, float *m) {
    int halves = p->scales == PD_CPU_SCALES_K16 ? 2 : 1;
    for (uint32_t b = first; b < first + n; b++) {
        UNROLL for (int part = 0; part < PARTS; part++) {
            row_scales s = row_scales_at(p->scales, offset, group, b, part * LANES);
            for (int h = 0; h < halves; h++) {
                memcpy(d + (uint32_t)h * rows + part * LANES, &s.d[h], sizeof s.d[h]);
                memcpy(m + (uint32_t)h * rows + part * LANES, &s.m[h], sizeof s.m[h]);
            }
        }
        d += (uint32_t)halves * rows;
        m += (uint32_t)halves * rows;
    }
}

#endif
