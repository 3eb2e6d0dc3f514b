// argmax, first half: the best allowed id of each part of a row, and how many of its values are not
// finite. Workgroup (part, output). SPDX-License-Identifier: MIT
#version 450
#include "args.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 256;

layout(std430, binding = 0) readonly buffer X { float x[]; };      // [outs][n_values]
layout(std430, binding = 1) writeonly buffer Part { uvec4 part[]; }; // [outs][n_parts] id, value, bad, 0
layout(push_constant) uniform Push { pd_args_argmax args; };

#include "best.glsl"

void main() {
    uint per_part = (args.n_values + args.n_parts - 1u) / args.n_parts;
    uint first = gl_WorkGroupID.x * per_part, end = min(first + per_part, args.n_values);
    float value = 0.0;
    uint id = NO_ID, bad = 0u;
    for (uint i = first + gl_LocalInvocationID.x; i < end; i += WG) {
        float v = x[gl_WorkGroupID.y * args.n_values + i];
        // by its bits: a driver may assume that NaN and infinity do not happen
        if ((floatBitsToUint(v) & 0x7f800000u) == 0x7f800000u) bad++;
        else if (i < args.allowed_end && (i < args.hole_first || i >= args.hole_end) &&
                 is_better(v, i, value, id)) {
            value = v;
            id = i;
        }
    }
    reduce_best(value, id, bad);
    if (gl_LocalInvocationID.x == 0u)
        part[gl_WorkGroupID.y * args.n_parts + gl_WorkGroupID.x] =
            uvec4(best_id[0], floatBitsToUint(best_value[0]), best_bad[0], 0u);
}
