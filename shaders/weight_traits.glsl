// What the list of weight types says of WTYPE, which the includer declares; the words are explained there.
// SPDX-License-Identifier: MIT
#include "weight_types.h"

#define VALUES_OF(T, shader, ggml, file, values, bytes, loads, scales, fifth, bits, min) WTYPE == uint(shader) ? uint(values) :
#define LOADS_OF(T, shader, ggml, file, values, bytes, loads, scales, fifth, bits, min) WTYPE == uint(shader) ? uint(loads) :
#define SCALES_OF(T, shader, ggml, file, values, bytes, loads, scales, fifth, bits, min) WTYPE == uint(shader) ? uint(scales) :
#define FIFTH_OF(T, shader, ggml, file, values, bytes, loads, scales, fifth, bits, min) WTYPE == uint(shader) ? uint(fifth) :
#define BITS_OF(T, shader, ggml, file, values, bytes, loads, scales, fifth, bits, min) WTYPE == uint(shader) ? uint(bits) :
#define MIN_OF(T, shader, ggml, file, values, bytes, loads, scales, fifth, bits, min) WTYPE == uint(shader) ? uint(min) :

const uint BLOCK_VALUES = PD_WEIGHT_TYPES(VALUES_OF) 0u;
const uint BLOCK_LOADS = PD_WEIGHT_TYPES(LOADS_OF) 0u;
const uint SCALE_BYTES = PD_WEIGHT_TYPES(SCALES_OF) 0u;
const uint FIFTH_BYTES = PD_WEIGHT_TYPES(FIFTH_OF) 0u;
const uint QUANT_BITS = PD_WEIGHT_TYPES(BITS_OF) 0u;
const bool HAS_MINIMUM = (PD_WEIGHT_TYPES(MIN_OF) 0u) == 1u;
