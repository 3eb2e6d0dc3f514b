/* The stored types of weights: included by C and by GLSL. Whatever there is one of per type is made
 * from this list; how values are packed is in file/quant_32.c and file/quant_k.c.
 *
 *     shader   the number of the type's planes, specialisation constant WTYPE (weights.glsl)
 *     ggml     the type's id in a GGUF file; rows stand in its order
 *     file     general.file_type of a file whose layers have the type
 *     values   of a block; 1: not quantised
 *     bytes    of a block
 *
 * What a block is made of; of the types that are not quantised, 32 values:
 *
 *     loads    16-byte loads that hold its quants, and whatever is no plane of its own
 *     scales   bytes of a plane of scales: 0 none; 2 an f16 d; 4 an f16 d and an f16 m
 *     fifth    bytes of a plane of fifth bits
 *     bits     of a quant; 0: not quantised
 *     min      1: value = d * q + m with q >= 0; 0: value = d * (q - 2^(bits - 1))
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_WEIGHT_TYPES_H
#define PD_WEIGHT_TYPES_H

/* clang-format off */
#define PD_WEIGHT_TYPES(X) \
    /* name  shader ggml file  values bytes  loads scales fifth  bits min */ \
    X( F32,   0,     0,   0,   1,     4,     8,    0,     0,     0,   0)     \
    X( F16,   1,     1,   1,   1,     2,     4,    0,     0,     0,   0)     \
    X( Q4_0,  3,     2,   2,   32,    18,    1,    2,     0,     4,   0)     \
    X( Q4_1,  4,     3,   3,   32,    20,    1,    4,     0,     4,   1)     \
    X( Q5_0,  5,     6,   8,   32,    22,    1,    2,     4,     5,   0)     \
    X( Q5_1,  6,     7,   9,   32,    24,    1,    4,     4,     5,   1)     \
    X( Q8_0,  7,     8,   7,   32,    34,    2,    2,     0,     8,   0)     \
    X( Q4_K,  8,     12,  14,  256,   144,   9,    0,     0,     4,   1)     \
    X( Q5_K,  9,     13,  16,  256,   176,   11,   0,     0,     5,   1)     \
    X( Q6_K,  10,    14,  18,  256,   210,   13,   2,     0,     6,   0)     \
    X( BF16,  2,     30,  32,  1,     2,     4,    0,     0,     0,   0)

#ifdef VULKAN /* GLSL */
#define PD_WEIGHT_NUMBER(T, shader, ggml, file, values, bytes, loads, scales, fifth, bits, min) \
    const uint PD_WEIGHT_##T = uint(shader);
PD_WEIGHT_TYPES(PD_WEIGHT_NUMBER)
#else
#define PD_WEIGHT_NUMBER(T, shader, ...) PD_WEIGHT_##T = shader,
#define PD_WEIGHT_ONE(...)               +1
enum { PD_WEIGHT_TYPES(PD_WEIGHT_NUMBER) PD_WEIGHT_COUNT = PD_WEIGHT_TYPES(PD_WEIGHT_ONE) };
#undef PD_WEIGHT_ONE
#endif
#undef PD_WEIGHT_NUMBER
/* clang-format on */

#endif
