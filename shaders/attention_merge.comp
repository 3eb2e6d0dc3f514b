// attention_merge: the splits of a query's positions, each with its own maximum and total, to one
// result. One workgroup per (head, row). SPDX-License-Identifier: MIT
#version 450
#include "args.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint HEAD_DIM = 256;

layout(std430, binding = 0) readonly buffer Partial { vec4 partial[]; }; // [rows][heads][splits][hd / 4 + 1]
layout(std430, binding = 1) writeonly buffer Out { vec4 o[]; };          // [rows][heads][hd / 4]
layout(push_constant) uniform Push { pd_args_merge args; };

const uint QUADS = HEAD_DIM / 4u;

void main() {
    uint query = gl_WorkGroupID.y * args.n_heads + gl_WorkGroupID.x;
    uint first = query * args.n_splits * (QUADS + 1u);
    float top = -3.0e38;
    for (uint s = 0u; s < args.n_splits; s++) {
        vec4 mt = partial[first + s * (QUADS + 1u) + QUADS];
        if (mt.y > 0.0) top = max(top, mt.x);
    }
    for (uint quad = gl_LocalInvocationID.x; quad < QUADS; quad += WG) {
        vec4 sum = vec4(0.0);
        float total = 0.0;
        for (uint s = 0u; s < args.n_splits; s++) {
            uint at = first + s * (QUADS + 1u);
            vec4 mt = partial[at + QUADS];
            if (!(mt.y > 0.0)) continue; // an empty split
            float scale = exp(mt.x - top);
            sum += partial[at + quad] * scale;
            total += mt.y * scale;
        }
        o[query * QUADS + quad] = sum / total;
    }
}
