/* Stored number formats: names, block sizes, and the reference decoder and encoder of each.
 *
 * Layouts and formulas: llama.cpp's ggml-common.h and ggml-quants.c, as restated in quant.c beside
 * each decoder. The decoder here is the definition; every faster path is compared with it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_FILE_QUANT_H
#define PD_FILE_QUANT_H

#include <stdbool.h>
#include <stdint.h>

#include "weight_types.h"

/* Ids as GGUF stores them. */
typedef enum pd_type {
#define PD_TYPE_ID(T, shader, ggml, ...) PD_TYPE_##T = ggml,
    PD_WEIGHT_TYPES(PD_TYPE_ID)
#undef PD_TYPE_ID
} pd_type;

typedef struct pd_type_info {
    pd_type type;
    const char *name;      /* "Q4_0" */
    uint32_t block_values; /* values per block: 1, 32 or 256 */
    uint32_t block_bytes;
    uint32_t quant_bits; /* 0: not quantised */
    bool has_minimum;    /* quants begin at the block's minimum, not at the middle */
    uint32_t file_number;
} pd_type_info;

/* NULL for types that Peridot does not handle. */
const pd_type_info *pd_type_get(uint32_t gguf_type);
const pd_type_info *pd_type_find(const char *name); /* case-insensitive; NULL if unknown */
/* Name of any GGUF type id, also of those not handled ("Q2_K"), for messages. */
const char *pd_type_name(uint32_t gguf_type);
/* All handled types, in order of id; *n of them. */
const pd_type_info *pd_type_list(uint32_t *n);

/* llama.cpp's quantiser: `type`, or what it takes instead where the blocks do not divide a row. */
pd_type pd_type_fitting(pd_type type, uint64_t cols);
/* And what it gives an embedding that is also the output matrix when the layers get `type`. */
pd_type pd_type_embedding(pd_type type);
/* general.file_type of a file whose layers have `type`, by llama.cpp's numbers. */
uint32_t pd_type_file_number(pd_type type);

static inline uint64_t pd_type_row_bytes(const pd_type_info *t, uint64_t n_values) {
    return n_values / t->block_values * t->block_bytes;
}

/* n values (a multiple of the type's block) to float. src needs no alignment. */
void pd_decode(pd_type type, const void *src, uint64_t n, float *dst);
/* float to n stored values, by llama.cpp's reference quantisers (no importance matrix). */
void pd_encode(pd_type type, const float *src, uint64_t n, void *dst);

float pd_f16_to_f32(uint16_t h);
uint16_t pd_f32_to_f16(float f); /* nearest even, subnormals kept, overflow to infinity */
float pd_bf16_to_f32(uint16_t h);
uint16_t pd_f32_to_bf16(float f); /* nearest even */

#endif
