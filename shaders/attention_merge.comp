// attention_merge: the splits of a query's positions, each with its own maximum and total, to one
// result; for drivers on which attention cannot do it itself. One workgroup per (head, row).
// SPDX-License-Identifier: MIT
#version 450
#include "args.h"

layout(local_size_x_id = PD_WORKGROUP) in;
layout(constant_id = PD_WORKGROUP) const uint WG = 64;
layout(constant_id = PD_MERGE_HEAD_DIM) const uint HEAD_DIM = 256;
layout(constant_id = PD_MERGE_YTYPE) const uint YTYPE = PD_ACT_F32;

layout(std430, binding = PD_BIND_MERGE_PARTIAL) readonly buffer Partial { vec4 partial[]; }; // [rows][heads][splits][hd / 4 + 1]
#define STORE_BINDING PD_BIND_MERGE_OUT // [rows][out_stride4]
layout(push_constant) uniform Push { pd_args_merge args; };

#include "store.glsl"

const uint QUADS = HEAD_DIM / 4u;
#include "merge.glsl"

void main() {
    uint query = gl_WorkGroupID.y * args.n_heads + gl_WorkGroupID.x;
    uint splits = query * args.n_splits * (QUADS + 1u);
    for (uint first = 0u; first < QUADS; first += WG) {
        uint quad = first + gl_LocalInvocationID.x;
        vec4 v = quad < QUADS ? merged(splits, args.n_splits, quad) : vec4(0.0);
        uint at = gl_WorkGroupID.y * args.out_stride4 + gl_WorkGroupID.x * QUADS + quad;
        store4(quad < QUADS, at, v);
    }
}
