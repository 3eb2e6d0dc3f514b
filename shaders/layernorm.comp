// layernorm: out = (x - mean) / sqrt(variance + eps) * weight + bias of a row. One workgroup per row; each
// invocation keeps its ITEMS vec4 of the row in registers, so the variance is that of differences.
// SPDX-License-Identifier: MIT
#version 450
#include "args.h"

layout(local_size_x_id = PD_WORKGROUP) in;
layout(constant_id = PD_WORKGROUP) const uint WG = 256;
layout(constant_id = PD_LAYERNORM_ITEMS) const uint ITEMS = 1; // ceil(stride4 / WG)
layout(constant_id = PD_LAYERNORM_YTYPE) const uint YTYPE = PD_ACT_F32;

layout(std430, binding = PD_BIND_LAYERNORM_X) readonly buffer X { vec4 x[]; };           // [rows][stride4]
#define STORE_BINDING PD_BIND_LAYERNORM_OUT // [rows][stride4]
layout(std430, binding = PD_BIND_LAYERNORM_WEIGHT) readonly buffer Weight { vec4 weight[]; }; // [values4]
layout(std430, binding = PD_BIND_LAYERNORM_BIAS) readonly buffer Bias { vec4 bias[]; };     // [values4]
layout(push_constant) uniform Push { pd_args_layernorm args; };

#include "reduce.glsl"
#include "store.glsl"

void main() {
    uint first = gl_WorkGroupID.x * args.stride4;
    vec4 v[ITEMS];
    float sum = 0.0, squares = 0.0;
    for (uint i = 0u; i < ITEMS; i++) {
        uint c = gl_LocalInvocationID.x + i * WG;
        v[i] = c < args.values4 ? x[first + c] : vec4(0.0);
        sum += v[i].x + v[i].y + v[i].z + v[i].w;
    }
    float mean = workgroup_sum(sum) * args.inv_width;
    for (uint i = 0u; i < ITEMS; i++) {
        if (gl_LocalInvocationID.x + i * WG < args.values4) v[i] -= mean;
        squares += dot(v[i], v[i]);
    }
    float inv = inversesqrt(workgroup_sum(squares) * args.inv_width + args.eps);
    for (uint i = 0u; i < ITEMS; i++) {
        uint c = gl_LocalInvocationID.x + i * WG;
        vec4 y = c < args.values4 ? v[i] * inv * weight[c] + bias[c] : vec4(0.0);
        store4(c < args.stride4, first + c, y);
    }
}
