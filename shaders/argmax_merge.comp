// argmax, second half: the best of a row's parts. One workgroup per output.
// SPDX-License-Identifier: MIT
#version 450
#include "args.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;

layout(std430, binding = 0) readonly buffer Part { uvec4 part[]; };  // [outs][n_parts]
layout(std430, binding = 1) writeonly buffer Out { uvec4 best[]; };  // [outs] id, value, bad, 0
layout(push_constant) uniform Push { pd_args_argmax args; };

#include "best.glsl"

void main() {
    float value = 0.0;
    uint id = NO_ID, bad = 0u;
    for (uint i = gl_LocalInvocationID.x; i < args.n_parts; i += WG) {
        uvec4 p = part[gl_WorkGroupID.y * args.n_parts + i];
        if (is_better(uintBitsToFloat(p.y), p.x, value, id)) {
            value = uintBitsToFloat(p.y);
            id = p.x;
        }
        bad += p.z;
    }
    reduce_best(value, id, bad);
    if (gl_LocalInvocationID.x == 0u)
        best[gl_WorkGroupID.y] = uvec4(best_id[0], floatBitsToUint(best_value[0]), best_bad[0], 0u);
}
