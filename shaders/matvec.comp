// matvec: matrix times few columns (rows of x), for decoding. Bound by reading the weights once.
//
//     workgroup = WG / LANES row groups;  row group = LANES invocations along K, ROWS rows, COLS columns
//
// An invocation takes block b = lane, lane + LANES, ... of each of its ROWS rows (one 16-byte load
// each, in flight together), and every 16 bytes of x that it reads serve all of them. The partial sums
// of the lanes meet in shared memory. With GEGLU, rows 2 i and 2 i + 1 are gate and up of output i.
// More than COLS columns are a matter of workgroups in z.
// SPDX-License-Identifier: MIT
#version 450
#extension GL_EXT_control_flow_attributes : require
#include "args.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 128;
layout(constant_id = 1) const uint WTYPE = PD_W_Q4_0;
layout(constant_id = 2) const uint LANES = 16; // power of two
layout(constant_id = 3) const uint ROWS = 4;   // even with GEGLU
layout(constant_id = 4) const uint COLS = 1;
layout(constant_id = 5) const uint GEGLU = 0;

layout(std430, binding = 0) readonly buffer X { vec4 x[]; };      // [cols][n_blocks * 8]
layout(std430, binding = 1) writeonly buffer Out { float y[]; };  // [cols][out_stride]
layout(std430, binding = 2) readonly buffer WeightQ { uvec4 wq[]; };
layout(std430, binding = 3) readonly buffer WeightS { uint ws[]; };
layout(std430, binding = 4) readonly buffer WeightH { uint wh[]; };
layout(push_constant) uniform Push { pd_args_matmul args; };

#include "weights.glsl"
#include "gelu.glsl"

const uint GROUPS = WG / LANES;
shared float sums[ROWS * COLS * WG]; // [row, col][group][lane]

uint workgroup_index() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }

void main() {
    uint lane = gl_LocalInvocationID.x % LANES, first_col = gl_WorkGroupID.z * COLS;
    uint first_row = (workgroup_index() * GROUPS + gl_LocalInvocationID.x / LANES) * ROWS;
    float acc[ROWS * COLS];
    [[unroll]] for (uint i = 0u; i < ROWS * COLS; i++) acc[i] = 0.0;

    for (uint b = lane; b < args.n_blocks; b += LANES) {
        Block k[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            k[r] = fetch_block(min(first_row + r, args.n_weight_rows - 1u), b, args.n_blocks);
        [[unroll]] for (uint j = 0u; j < 8u; j++) {
            vec4 xs[COLS];
            [[unroll]] for (uint c = 0u; c < COLS; c++)
                xs[c] = x[(min(first_col + c, args.n_rows - 1u) * args.n_blocks + b) * 8u + j];
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                vec4 w = weight4(k[r], j);
                [[unroll]] for (uint c = 0u; c < COLS; c++) acc[r * COLS + c] += dot(w, xs[c]);
            }
        }
    }

    [[unroll]] for (uint i = 0u; i < ROWS * COLS; i++)
        sums[i * WG + gl_LocalInvocationID.x] = acc[i];
    barrier();
    for (uint n = LANES / 2u; n > 0u; n /= 2u) {
        if (lane < n)
            [[unroll]] for (uint i = 0u; i < ROWS * COLS; i++) {
                uint at = i * WG + gl_LocalInvocationID.x;
                sums[at] += sums[at + n];
            }
        barrier();
    }

    // one invocation per output: (group, output row, column)
    uint outs = GEGLU != 0u ? ROWS / 2u : ROWS;
    for (uint o = gl_LocalInvocationID.x; o < GROUPS * outs * COLS; o += WG) {
        uint group = o / (outs * COLS), r = o / COLS % outs, c = o % COLS;
        if (first_col + c >= args.n_rows) continue;
        uint n = (workgroup_index() * GROUPS + group) * outs + r;
        if (n >= (GEGLU != 0u ? args.n_weight_rows / 2u : args.n_weight_rows)) continue;
        float v;
        if (GEGLU != 0u) {
            float gate = sums[(2u * r * COLS + c) * WG + group * LANES];
            float up = sums[((2u * r + 1u) * COLS + c) * WG + group * LANES];
            v = gelu(gate) * up;
        } else {
            v = sums[(r * COLS + c) * WG + group * LANES];
        }
        y[(first_col + c) * args.out_stride + args.out_first + n] = v;
    }
}
