// norm: RMS norm of a row, alone or as post-norm + residual + next pre-norm in one pass over memory:
//
//     out = rms(x) * weight                                      (RESIDUAL = 0)
//     h  += rms(x) * post_weight;  out = rms(h) * weight         (RESIDUAL = 1)
//
// One workgroup per row; each invocation keeps its ITEMS vec4 of the row in registers.
// SPDX-License-Identifier: MIT
#version 450
#include "args.h"

layout(local_size_x_id = PD_WORKGROUP) in;
layout(constant_id = PD_WORKGROUP) const uint WG = 256;
layout(constant_id = PD_NORM_ITEMS) const uint ITEMS = 1; // ceil(width4 / WG)
layout(constant_id = PD_NORM_RESIDUAL) const uint RESIDUAL = 0;
layout(constant_id = PD_NORM_YTYPE) const uint YTYPE = PD_ACT_F32;

layout(std430, binding = PD_BIND_NORM_X) readonly buffer X { vec4 x[]; };          // [rows][width4]
layout(std430, binding = PD_BIND_NORM_RESIDUAL) buffer Residual { vec4 h[]; };            // [rows][width4]
#define STORE_BINDING PD_BIND_NORM_OUT // [rows][width4]
layout(std430, binding = PD_BIND_NORM_POST) readonly buffer Post { vec4 post_weight[]; }; // [width4]
layout(std430, binding = PD_BIND_NORM_WEIGHT) readonly buffer Weight { vec4 weight[]; };    // [width4]
layout(push_constant) uniform Push { pd_args_norm args; };

#include "reduce.glsl"
#include "store.glsl"

float inverse_rms(float sum_of_squares) {
    return inversesqrt(workgroup_sum(sum_of_squares) * args.inv_width + args.eps);
}

void main() {
    uint first = gl_WorkGroupID.x * args.width4;
    vec4 v[ITEMS];
    float squares = 0.0;
    for (uint i = 0u; i < ITEMS; i++) {
        uint c = gl_LocalInvocationID.x + i * WG;
        v[i] = c < args.width4 ? x[first + c] : vec4(0.0);
        squares += dot(v[i], v[i]);
    }
    float inv = inverse_rms(squares);
    if (RESIDUAL != 0u) {
        squares = 0.0;
        for (uint i = 0u; i < ITEMS; i++) {
            uint c = gl_LocalInvocationID.x + i * WG;
            if (c < args.width4) {
                v[i] = h[first + c] + v[i] * inv * post_weight[c];
                h[first + c] = v[i];
            }
            squares += dot(v[i], v[i]);
        }
        inv = inverse_rms(squares);
    }
    for (uint i = 0u; i < ITEMS; i++) {
        uint c = gl_LocalInvocationID.x + i * WG;
        store4(c < args.width4, first + c, v[i] * inv * (c < args.width4 ? weight[c] : vec4(0.0)));
    }
}
