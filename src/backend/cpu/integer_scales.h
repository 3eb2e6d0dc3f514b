/* Scales of packed weights (packed.h) to floats, for integer_body.h and matrix_amx.c, and with their
 * definitions: vectors of LANES rows, PARTS of which make 16; load_halves.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_INTEGER_SCALES_H
#define PD_CPU_INTEGER_SCALES_H

INLINE void store_floats(float *out, vf v) {
    memcpy(out, &v, sizeof v);
}

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

/* d and m of one block and LANES rows. */
INLINE void expand_block(const pd_cpu_packing *p, int offset, const uint8_t *group, uint32_t b,
                         int lane, float *d, float *m) {
    vf scale;
    switch (p->scales) {
    case PD_CPU_SCALES_D:
        scale = load_halves(group + 32 * b + 2 * lane);
        store_floats(d, scale);
        store_floats(m, scale * (float)-offset);
        break;
    case PD_CPU_SCALES_DM:
        store_floats(d, load_halves(group + 64 * b + 2 * lane));
        store_floats(m, load_halves(group + 64 * b + 32 + 2 * lane));
        break;
    case PD_CPU_SCALES_K:
        group += b / 8 * PD_CPU_K_BYTES;
        store_floats(d,
                     load_halves(group + 2 * lane) * unsigned_bytes(group + 64, b % 8, lane));
        store_floats(m, -load_halves(group + 32 + 2 * lane) *
                            unsigned_bytes(group + 192, b % 8, lane));
        break;
    case PD_CPU_SCALES_K16:
        group += b / 8 * PD_CPU_K16_BYTES;
        UNROLL for (int h = 0; h < 2; h++) {
            scale = load_halves(group + 2 * lane) *
                    signed_bytes(group + 32 + 128 * h, b % 8, lane);
            store_floats(d + h * PD_CPU_GROUP_ROWS, scale);
            store_floats(m + h * PD_CPU_GROUP_ROWS, scale * (float)-offset);
        }
        break;
    }
}

/* Of blocks [first, first + n). offset: what the quants are more than what they stand for, which m
 * takes away. */
static void expand_scales(const pd_cpu_packing *p, int offset, const uint8_t *group, uint32_t first,
                          uint32_t n, float *d, float *m) {
    uint32_t step = p->scales == PD_CPU_SCALES_K16 ? 2 * PD_CPU_GROUP_ROWS : PD_CPU_GROUP_ROWS;
    for (uint32_t b = first; b < first + n; b++, d += step, m += step) {
        UNROLL for (int part = 0; part < PARTS; part++) {
            expand_block(p, offset, group, b, part * LANES, d + part * LANES, m + part * LANES);
        }
    }
}

#endif
