// measure_read: reads both buffers in 16-byte pieces, PIECES of them in flight per invocation, and keeps
// nothing: the one value for which it would write is not among what is read, but no compiler knows that.
// SPDX-License-Identifier: MIT
#version 450
#extension GL_EXT_control_flow_attributes : require
#include "args.h"

layout(local_size_x_id = PD_WORKGROUP) in;
layout(constant_id = PD_WORKGROUP) const uint WG = 128;

layout(std430, binding = PD_BIND_MEASURE_COPY_FROM) readonly buffer From { uvec4 from[]; };
layout(std430, binding = PD_BIND_MEASURE_COPY_TO) buffer To { uvec4 to[]; };
layout(push_constant) uniform Push { pd_args_measure args; };

const uint PIECES = 4u; // of each

void main() {
    uint first = gl_WorkGroupID.x * WG * PIECES + gl_LocalInvocationID.x;
    if (first + (PIECES - 1u) * WG >= args.n) return; // n is a multiple of WG * PIECES
    uvec4 a[PIECES], b[PIECES], sum = uvec4(0u);
    [[unroll]] for (uint i = 0u; i < PIECES; i++) {
        a[i] = from[first + i * WG];
        b[i] = to[first + i * WG];
    }
    [[unroll]] for (uint i = 0u; i < PIECES; i++) sum ^= a[i] ^ b[i];
    if (all(equal(sum, uvec4(floatBitsToUint(args.factor))))) to[first] = sum;
}
