// gather: out[o] = x[out_rows[o]], whatever the format. Workgroup (piece of the row, output). SPDX-License-Identifier: MIT
#version 450
#include "args.h"

layout(local_size_x_id = PD_WORKGROUP) in;
layout(constant_id = PD_WORKGROUP) const uint WG = 64;

layout(std430, binding = PD_BIND_GATHER_STEP) readonly buffer Step { uint step_words[]; };
layout(std430, binding = PD_BIND_GATHER_X) readonly buffer X { uvec4 x[]; };     // [rows][units]
layout(std430, binding = PD_BIND_GATHER_OUT) writeonly buffer Out { uvec4 y[]; };  // [outs][units]
layout(push_constant) uniform Push { pd_args_gather args; };

void main() {
    uint c = gl_GlobalInvocationID.x, o = gl_WorkGroupID.y;
    if (c >= args.units) return;
    uint row = step_words[args.outs_at + o];
    y[o * args.units + c] = x[row * args.units + c];
}
