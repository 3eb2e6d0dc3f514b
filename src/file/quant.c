/* Stored number formats: the table of types, the 16-bit floats, and the way to each block format.
 *
 * The block formats themselves are in quant_32.c (blocks of 32 values) and quant_k.c (of 256).
 * Type ids, names and block sizes: ggml.h's enum ggml_type and ggml-common.h. Conversions between
 * f32 and the 16-bit floats round to the nearest, ties to even; NaN stays NaN.
 *
 * SPDX-License-Identifier: MIT
 */
#include "file/quant.h"

#include <assert.h>
#include <stddef.h>

#ifdef __F16C__
#include <immintrin.h>
#endif

#include "base/words.h"
#include "file/quant_blocks.h"

static const pd_type_info type_table[] = {
#define TYPE_ROW(T, shader, ggml, file, values, bytes, loads, scales, fifth, bits, min)            \
    {PD_TYPE_##T, #T, values, bytes, bits, min, file},
    PD_WEIGHT_TYPES(TYPE_ROW)
#undef TYPE_ROW
};
enum { N_TYPES = sizeof type_table / sizeof type_table[0] };

#define CHECK_ROW(T, shader, ggml, file, values, bytes, loads, scales, fifth, bits, min)           \
    static_assert(16 * loads + scales + fifth == bytes * (values == 1 ? 32 : 1),                   \
                  #T ": the planes have the block's bytes");                                       \
    static_assert(shader < PD_WEIGHT_COUNT, #T ": shaders' numbers have no gaps");
PD_WEIGHT_TYPES(CHECK_ROW)
#undef CHECK_ROW

/* Every id that ggml has given out; those without a name were withdrawn. */
static const char *const type_names[] = {
    [0] = "F32",     [1] = "F16",         [2] = "Q4_0",        [3] = "Q4_1",        [4] = "Q4_2",
    [5] = "Q4_3",    [6] = "Q5_0",        [7] = "Q5_1",        [8] = "Q8_0",        [9] = "Q8_1",
    [10] = "Q2_K",   [11] = "Q3_K",       [12] = "Q4_K",       [13] = "Q5_K",       [14] = "Q6_K",
    [15] = "Q8_K",   [16] = "IQ2_XXS",    [17] = "IQ2_XS",     [18] = "IQ3_XXS",    [19] = "IQ1_S",
    [20] = "IQ4_NL", [21] = "IQ3_S",      [22] = "IQ2_S",      [23] = "IQ4_XS",     [24] = "I8",
    [25] = "I16",    [26] = "I32",        [27] = "I64",        [28] = "F64",        [29] = "IQ1_M",
    [30] = "BF16",   [31] = "Q4_0_4_4",   [32] = "Q4_0_4_8",   [33] = "Q4_0_8_8",   [34] = "TQ1_0",
    [35] = "TQ2_0",  [36] = "IQ4_NL_4_4", [37] = "IQ4_NL_4_8", [38] = "IQ4_NL_8_8", [39] = "MXFP4",
};

const pd_type_info *pd_type_get(uint32_t gguf_type) {
    for (uint32_t i = 0; i < N_TYPES; i++)
        if ((uint32_t)type_table[i].type == gguf_type) return &type_table[i];
    return NULL;
}

const pd_type_info *pd_type_find(const char *name) {
    for (uint32_t i = 0; i < N_TYPES; i++)
        if (pd_same_in_any_case(type_table[i].name, name)) return &type_table[i];
    return NULL;
}

const char *pd_type_name(uint32_t gguf_type) {
    bool known = gguf_type < sizeof type_names / sizeof type_names[0] && type_names[gguf_type];
    return known ? type_names[gguf_type] : "an unknown type";
}

const pd_type_info *pd_type_list(uint32_t *n) {
    *n = N_TYPES;
    return type_table;
}

/* ---- the rules of llama.cpp's quantiser ----------------------------------------------------- */

pd_type pd_type_fitting(pd_type type, uint64_t cols) {
    if (cols % pd_type_get((uint32_t)type)->block_values == 0) return type;
    pd_type smaller = type == PD_TYPE_Q4_K   ? PD_TYPE_Q5_0
                      : type == PD_TYPE_Q5_K ? PD_TYPE_Q5_1
                                             : PD_TYPE_Q8_0;
    return cols % 32 == 0 ? smaller : PD_TYPE_F16;
}

pd_type pd_type_embedding(pd_type type) {
    bool same = pd_type_get((uint32_t)type)->block_values == 1 || type == PD_TYPE_Q8_0;
    return same ? type : PD_TYPE_Q6_K;
}

uint32_t pd_type_file_number(pd_type type) {
    return pd_type_get((uint32_t)type)->file_number;
}

/* ---- 16-bit floats ------------------------------------------------------------------------- */

static float f32_of_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of_f32(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* f16: sign 1, exponent 5 (bias 15), mantissa 10. f32: sign 1, exponent 8 (bias 127), mantissa 23.
 */
float pd_f16_to_f32(uint16_t h) {
#ifdef __F16C__
    return _cvtsh_ss(h);
#else
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 0x3ff;
    if (exponent == 31) /* infinity, or NaN, which becomes quiet */
        return f32_of_bits(sign | 0x7f800000 | mantissa << 13 | (mantissa ? 0x400000 : 0));
    if (exponent == 0) { /* mantissa * 2^-24 is exact */
        float magnitude = (float)mantissa * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return f32_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
#endif
}

uint16_t pd_f32_to_f16(float f) {
#ifdef __F16C__
    return _cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT);
#else
    uint32_t bits = bits_of_f32(f), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x1ff)); /* NaN, quiet */
    if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00);    /* 65520 and above */
    if (magnitude < 0x38800000) { /* below 2^-14: adding 0.5 leaves multiples of 2^-24, rounded */
        uint32_t sum = bits_of_f32(f32_of_bits(magnitude) + 0.5f);
        return (uint16_t)(sign | (sum - 0x3f000000));
    }
    uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | (magnitude - 0x38000000 + 0xfff + odd) >> 13);
#endif
}

float pd_bf16_to_f32(uint16_t h) {
    return f32_of_bits((uint32_t)h << 16);
}

uint16_t pd_f32_to_bf16(float f) {
    uint32_t bits = bits_of_f32(f);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40); /* NaN, quiet */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* ---- formats of one value per block -------------------------------------------------------- */

void decode_F32(const uint8_t *src, uint64_t n, float *dst) {
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *at = src + 4 * i;
        dst[i] = f32_of_bits((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
                             (uint32_t)at[3] << 24);
    }
}

void encode_F32(const float *src, uint64_t n, uint8_t *dst) {
    for (uint64_t i = 0; i < n; i++)
        for (unsigned k = 0; k < 4; k++) dst[4 * i + k] = (uint8_t)(bits_of_f32(src[i]) >> 8 * k);
}

void decode_F16(const uint8_t *src, uint64_t n, float *dst) {
    for (uint64_t i = 0; i < n; i++) dst[i] = load_f16(src + 2 * i);
}

void encode_F16(const float *src, uint64_t n, uint8_t *dst) {
    for (uint64_t i = 0; i < n; i++) store_f16(dst + 2 * i, src[i]);
}

void decode_BF16(const uint8_t *src, uint64_t n, float *dst) {
    for (uint64_t i = 0; i < n; i++)
        dst[i] = pd_bf16_to_f32((uint16_t)(src[2 * i] | src[2 * i + 1] << 8));
}

void encode_BF16(const float *src, uint64_t n, uint8_t *dst) {
    for (uint64_t i = 0; i < n; i++) {
        uint16_t h = pd_f32_to_bf16(src[i]);
        dst[2 * i] = (uint8_t)h;
        dst[2 * i + 1] = (uint8_t)(h >> 8);
    }
}

/* ---- dispatch ------------------------------------------------------------------------------ */

void pd_decode(pd_type type, const void *src, uint64_t n, float *dst) {
    switch (type) {
#define DECODE_CASE(T, shader, ggml, file, values, ...)                                            \
    case PD_TYPE_##T: decode_##T(src, n / values, dst); break;
        PD_WEIGHT_TYPES(DECODE_CASE)
#undef DECODE_CASE
    }
}

void pd_encode(pd_type type, const float *src, uint64_t n, void *dst) {
    switch (type) {
#define ENCODE_CASE(T, shader, ggml, file, values, ...)                                            \
    case PD_TYPE_##T: encode_##T(src, n / values, dst); break;
        PD_WEIGHT_TYPES(ENCODE_CASE)
#undef ENCODE_CASE
    }
}
