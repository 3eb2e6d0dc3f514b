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

typedef void (*decode_blocks_fn)(const uint8_t *src, uint64_t n_blocks, float *dst);
typedef void (*encode_blocks_fn)(const float *src, uint64_t n_blocks, uint8_t *dst);

void decode_q4_0(const uint8_t *src, uint64_t n_blocks, float *dst);
void decode_q4_1(const uint8_t *src, uint64_t n_blocks, float *dst);
void decode_q5_0(const uint8_t *src, uint64_t n_blocks, float *dst);
void decode_q5_1(const uint8_t *src, uint64_t n_blocks, float *dst);
void decode_q8_0(const uint8_t *src, uint64_t n_blocks, float *dst);
void decode_q4_k(const uint8_t *src, uint64_t n_blocks, float *dst);
void decode_q5_k(const uint8_t *src, uint64_t n_blocks, float *dst);
void decode_q6_k(const uint8_t *src, uint64_t n_blocks, float *dst);

void encode_q4_0(const float *src, uint64_t n_blocks, uint8_t *dst);
void encode_q4_1(const float *src, uint64_t n_blocks, uint8_t *dst);
void encode_q5_0(const float *src, uint64_t n_blocks, uint8_t *dst);
void encode_q5_1(const float *src, uint64_t n_blocks, uint8_t *dst);
void encode_q8_0(const float *src, uint64_t n_blocks, uint8_t *dst);
void encode_q4_k(const float *src, uint64_t n_blocks, uint8_t *dst);
void encode_q5_k(const float *src, uint64_t n_blocks, uint8_t *dst);
void encode_q6_k(const float *src, uint64_t n_blocks, uint8_t *dst);

#endif
