/* Inside of quant.c: the decoder and encoder of each block format, for n whole blocks.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_FILE_QUANT_BLOCKS_H
#define PD_FILE_QUANT_BLOCKS_H

#include <stdint.h>
#include <string.h>

#include "file/quant.h"

/* Blocks lie at any address: their halves are read and written byte by byte, little-endian. */
static inline float load_f16(const uint8_t *at) {
    return pd_f16_to_f32((uint16_t)(at[0] | at[1] << 8));
}
static inline void store_f16(uint8_t *at, float f) {
    uint16_t h = pd_f32_to_f16(f);
    at[0] = (uint8_t)h;
    at[1] = (uint8_t)(h >> 8);
}

#define PROTOTYPES(T, ...)                                                                         \
    void decode_##T(const uint8_t *src, uint64_t n_blocks, float *dst);                            \
    void encode_##T(const float *src, uint64_t n_blocks, uint8_t *dst);
PD_WEIGHT_TYPES(PROTOTYPES)
#undef PROTOTYPES

#endif
