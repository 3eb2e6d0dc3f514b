// matmul: matrix times many rows of x, for prompts. A tile of BM weight rows x BN rows of x per
// workgroup, 32 values of K at a time through shared memory, TM x TN results per invocation.
//
//     shared a [32][BM + 4]  decoded weights, K-major, so that TM neighbours are one vec4 load
//     shared b [32][BN + 4]
//
// The tail of the last tile works on clamped rows and is not stored. SPDX-License-Identifier: MIT
#version 450
#extension GL_EXT_control_flow_attributes : require
#include "args.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64; // (BM / TM) * (BN / TN)
layout(constant_id = 1) const uint WTYPE = PD_W_Q4_0;
layout(constant_id = 2) const uint BM = 64;
layout(constant_id = 3) const uint BN = 64;
layout(constant_id = 4) const uint TM = 8; // multiples of 4
layout(constant_id = 5) const uint TN = 8;
layout(constant_id = 6) const uint GEGLU = 0;

layout(std430, binding = 0) readonly buffer X { vec4 x[]; };      // [rows][n_blocks * 8]
layout(std430, binding = 1) writeonly buffer Out { float y[]; };  // [rows][out_stride]
layout(std430, binding = 2) readonly buffer WeightQ { uvec4 wq[]; };
layout(std430, binding = 3) readonly buffer WeightS { uint ws[]; };
layout(std430, binding = 4) readonly buffer WeightH { uint wh[]; };
layout(push_constant) uniform Push { pd_args_matmul args; };

#include "weights.glsl"
#include "gelu.glsl"

const uint AS = BM / 4u + 1u, BS = BN / 4u + 1u; // strides in vec4
shared vec4 a[32u * AS];
shared vec4 b[32u * BS];

void load_weights(uint first_row, uint block) {
    for (uint i = gl_LocalInvocationID.x; i < BM; i += WG) {
        Block k = fetch_block(min(first_row + i, args.n_weight_rows - 1u), block, args.n_blocks);
        [[unroll]] for (uint j = 0u; j < 8u; j++) {
            vec4 w = weight4(k, j);
            [[unroll]] for (uint e = 0u; e < 4u; e++) a[(4u * j + e) * AS + i / 4u][i & 3u] = w[e];
        }
    }
}

void load_x(uint first_row, uint block) {
    for (uint i = gl_LocalInvocationID.x; i < BN * 8u; i += WG) {
        uint n = i % BN, j = i / BN;
        vec4 v = x[(min(first_row + n, args.n_rows - 1u) * args.n_blocks + block) * 8u + j];
        [[unroll]] for (uint e = 0u; e < 4u; e++) b[(4u * j + e) * BS + n / 4u][n & 3u] = v[e];
    }
}

void main() {
    uint first_m = gl_WorkGroupID.x * BM, first_n = gl_WorkGroupID.y * BN;
    uint tm = gl_LocalInvocationID.x % (BM / TM) * TM, tn = gl_LocalInvocationID.x / (BM / TM) * TN;
    vec4 acc[TM / 4u * TN];
    [[unroll]] for (uint i = 0u; i < TM / 4u * TN; i++) acc[i] = vec4(0.0);

    for (uint block = 0u; block < args.n_blocks; block++) {
        load_weights(first_m, block);
        load_x(first_n, block);
        barrier();
        for (uint k = 0u; k < 32u; k++) {
            vec4 w[TM / 4u], v[TN / 4u];
            [[unroll]] for (uint i = 0u; i < TM / 4u; i++) w[i] = a[k * AS + tm / 4u + i];
            [[unroll]] for (uint i = 0u; i < TN / 4u; i++) v[i] = b[k * BS + tn / 4u + i];
            [[unroll]] for (uint n = 0u; n < TN; n++)
                [[unroll]] for (uint i = 0u; i < TM / 4u; i++)
                    acc[n * (TM / 4u) + i] += w[i] * v[n / 4u][n & 3u];
        }
        barrier();
    }

    [[unroll]] for (uint n = 0u; n < TN; n++) {
        uint row = first_n + tn + n;
        if (row >= args.n_rows) break;
        uint at = row * args.out_stride + args.out_first;
        [[unroll]] for (uint m = 0u; m < TM; m++) {
            uint o = first_m + tm + m;
            if (o >= args.n_weight_rows) break;
            vec4 v = acc[n * (TM / 4u) + m / 4u];
            if (GEGLU == 0u) y[at + o] = v[m & 3u];
            else if ((m & 1u) == 0u) y[at + o / 2u] = gelu(v[m & 3u]) * v[(m & 3u) + 1u];
        }
    }
}
