// embed: out[r] = table[token(r)] * scale. One workgroup per row; an invocation decodes blocks of 32.
// The table comes in slices (a binding may be limited to 128 MiB): one dispatch per slice, and rows
// whose token lies in another one are left alone. Rows without a token are copied from `embeddings`, by one
// of the dispatches. SPDX-License-Identifier: MIT
#version 450
#include "args.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint WTYPE = PD_WEIGHT_Q4_0;

layout(std430, binding = 0) readonly buffer Step { uint step_words[]; };
layout(std430, binding = 1) writeonly buffer Out { vec4 h[]; }; // [rows][n_blocks * 8]
layout(std430, binding = 2) readonly buffer WeightQ { uvec4 wq[]; };
layout(std430, binding = 3) readonly buffer WeightS { uint ws[]; };
layout(std430, binding = 4) readonly buffer WeightH { uint wh[]; };
layout(std430, binding = 5) readonly buffer Embeddings { vec4 embeddings[]; }; // as Out
layout(push_constant) uniform Push { pd_args_embed args; };

#include "weights.glsl"

void main() {
    uint row = gl_WorkGroupID.x;
    uint token = step_words[PD_STEP_ROWS + 4u * row];
    if (token == PD_SHADER_TOKEN_EMBEDDED && args.copies != 0u) {
        uint first = row * args.n_blocks * 8u;
        for (uint i = gl_LocalInvocationID.x; i < args.n_blocks * 8u; i += WG) h[first + i] = embeddings[first + i];
    }
    token -= args.slice_first;
    if (token >= args.slice_rows) return; // tokens before the slice wrap to large numbers
    for (uint b = gl_LocalInvocationID.x; b < args.n_blocks; b += WG) {
        Block k = fetch_block(token, b, args.n_blocks);
        for (uint j = 0u; j < 8u; j++)
            h[(row * args.n_blocks + b) * 8u + j] = weight4(k, j) * args.scale;
    }
}
