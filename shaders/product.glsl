// What products of stored weights and rows of x have alike, however they are cut: buffers, reading,
// and what becomes of a sum. The includer declares WG, WTYPE, EPILOGUE, XTYPE and YTYPE.
// SPDX-License-Identifier: MIT

#define STORE_BINDING PD_BIND_PRODUCT_OUT
layout(std430, binding = PD_BIND_PRODUCT_X) readonly buffer X { uvec4 x[]; };     // [rows][n_blocks]
layout(std430, binding = PD_BIND_PRODUCT_OUT) buffer Out { float y[]; };            // [rows][out_stride]
layout(std430, binding = PD_BIND_PRODUCT_WEIGHT_Q) readonly buffer WeightQ { uvec4 wq[]; };
layout(std430, binding = PD_BIND_PRODUCT_WEIGHT_S) readonly buffer WeightS { uint ws[]; };
layout(std430, binding = PD_BIND_PRODUCT_WEIGHT_H) readonly buffer WeightH { uint wh[]; };
layout(std430, binding = PD_BIND_PRODUCT_BIAS) readonly buffer Bias { float bias[]; };
layout(push_constant) uniform Push { pd_args_matmul args; };

#include "weights.glsl"
#include "activations.glsl"
#include "epilogue.glsl"
#include "store.glsl"
