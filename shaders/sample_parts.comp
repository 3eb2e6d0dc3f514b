// What draw wants to know of the parts of a row, where the product that made the row does not tell:
// the best allowed id, and how many values are not finite. SPAN invocations to a part; workgroups: parts
// in x, outputs in y. SPDX-License-Identifier: MIT
#version 450
#include "args.h"

layout(local_size_x_id = PD_WORKGROUP) in;
layout(constant_id = PD_WORKGROUP) const uint WG = 512;
layout(constant_id = PD_SAMPLE_PARTS_PART) const uint PART = 64; // values
layout(constant_id = PD_SAMPLE_PARTS_SPAN) const uint SPAN = 16;

layout(std430, binding = PD_BIND_SAMPLE_PARTS_X) readonly buffer X { float x[]; };          // [outs][n_values]
layout(std430, binding = PD_BIND_SAMPLE_PARTS_PARTS) writeonly buffer Parts { uvec2 parts[]; }; // [outs][n_parts], see args.h
layout(push_constant) uniform Push { pd_args_sample args; };

const uint BEST_ROOM = WG;
#include "best.glsl"

void main() {
    uint lane = gl_LocalInvocationID.x, part = gl_WorkGroupID.x * (WG / SPAN) + lane / SPAN;
    uint first = part * PART, end = min(first + PART, args.n_values);
    Best b = Best(0u, 0u, 0u);
    for (uint id = first + lane % SPAN; id < end; id += SPAN)
        add_value(b, x[gl_WorkGroupID.y * args.n_values + id], id);
    reduce_best(b);
    if (lane % SPAN == 0u && part < args.n_parts)
        parts[gl_WorkGroupID.y * args.n_parts + part] = best_record(lane, PART);
}
