// pool_norm: the mean of each square of pool x pool rows of a grid, and its RMS norm. One workgroup per
// square; each invocation keeps its ITEMS vec4 of the mean in registers. SPDX-License-Identifier: MIT
#version 450
#include "args.h"

layout(local_size_x_id = PD_WORKGROUP) in;
layout(constant_id = PD_WORKGROUP) const uint WG = 256;
layout(constant_id = PD_POOL_NORM_ITEMS) const uint ITEMS = 1; // ceil(stride4 / WG)
layout(constant_id = PD_POOL_NORM_YTYPE) const uint YTYPE = PD_ACT_F32;

layout(std430, binding = PD_BIND_POOL_NORM_X) readonly buffer X { vec4 x[]; };           // [grid][grid][stride4]
#define STORE_BINDING PD_BIND_POOL_NORM_OUT // [grid / pool][grid / pool][stride4]
layout(std430, binding = PD_BIND_POOL_NORM_WEIGHT) readonly buffer Weight { vec4 weight[]; }; // [values4]
layout(push_constant) uniform Push { pd_args_pool_norm args; };

#include "reduce.glsl"
#include "store.glsl"

vec4 mean_of_square(uint first_row, uint c) {
    vec4 sum = vec4(0.0);
    for (uint r = 0u; r < args.pool; r++)
        for (uint q = 0u; q < args.pool; q++) sum += x[(first_row + r * args.grid + q) * args.stride4 + c];
    return sum * args.inv_count;
}

void main() {
    uint side = args.grid / args.pool, o = gl_WorkGroupID.x;
    uint first_row = (o / side * args.grid + o % side) * args.pool;
    vec4 v[ITEMS];
    float squares = 0.0;
    for (uint i = 0u; i < ITEMS; i++) {
        uint c = gl_LocalInvocationID.x + i * WG;
        v[i] = c < args.values4 ? mean_of_square(first_row, c) : vec4(0.0);
        squares += dot(v[i], v[i]);
    }
    float inv = inversesqrt(workgroup_sum(squares) * args.inv_width + args.eps);
    for (uint i = 0u; i < ITEMS; i++) {
        uint c = gl_LocalInvocationID.x + i * WG;
        vec4 y = c < args.values4 ? v[i] * inv * weight[c] : vec4(0.0);
        store4(c < args.stride4, o * args.stride4 + c, y);
    }
}
