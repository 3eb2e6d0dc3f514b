// For tests of the compiler and the pipelines: out[i] = in[i] * args.factor + BIAS
// SPDX-License-Identifier: MIT
#version 450
#include "scale_args.glsl"
#include "scale_args.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint BIAS = 0;

layout(std430, binding = 0) readonly buffer In { uint x[]; };
layout(std430, binding = 1) writeonly buffer Out { uint y[]; };
layout(push_constant) uniform Push { scale_args args; };

void main() {
    uint i = gl_GlobalInvocationID.x;
    if (i < args.n) y[i] = x[i] * args.factor + BIAS;
}
