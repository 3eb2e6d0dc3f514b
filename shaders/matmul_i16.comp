// matmul with integer dot products: quantised weights, rows of x in 16-bit integers. One block of 32
// values of K at a time through shared memory, as words of 4 bytes:
//
//     shared a [8][BM + 1]  quants, K-major
//     shared b [8][BN + 1]  {high bytes, low bytes}
//     shared a_scale [BM]   {d, m} of values 0..15 and of 16..31
//     shared b_scale [BN]   {d, d * sum of 0..15, d * sum of 16..31, 0}
//
// SPDX-License-Identifier: MIT
#version 450
#include "args.h"
#include "tile.glsl"
#include "dot_i16.glsl"

const bool HALVES = WTYPE == PD_WEIGHT_Q6_K; // the only type whose halves of a block differ in scale
const uint AS = BM + 1u, BS = BN + 1u;
shared uint a[8u * AS];
shared uvec2 b[8u * BS];
shared vec4 a_scale[BM];
shared vec4 b_scale[BN];

void load_weights(uint first_row, uint i, uint block) {
    Block k = fetch_block(min(first_row + i, args.n_weight_rows - 1u), block, args.n_blocks);
    [[unroll]] for (uint j = 0u; j < 8u; j++) a[j * AS + i] = w_quad(k, j);
    a_scale[i] = vec4(k.d.x, k.m.x, k.d.y, k.m.y);
}

void load_x(uint first_row, uint i, uint block) {
    uint at = min(first_row + i, args.n_rows - 1u) * args.n_blocks + block;
    [[unroll]] for (uint j = 0u; j < 8u; j++) b[j * BS + i] = x_quad(at, j);
    b_scale[i] = uintBitsToFloat(x[at * 5u + 4u]);
}

ivec2 part[TM * TN]; // [column][weight row], of high and of low bytes

void multiply(uint tm, uint tn, uint first, uint end) {
    [[unroll]] for (uint i = 0u; i < TM * TN; i++) part[i] = ivec2(0);
    [[unroll]] for (uint j = first; j < end; j++) {
        W_QUAD w[TM];
        X_QUAD v[TN];
        [[unroll]] for (uint m = 0u; m < TM; m++) w[m] = a[j * AS + tm + m];
        [[unroll]] for (uint n = 0u; n < TN; n++) v[n] = b[j * BS + tn + n];
        [[unroll]] for (uint n = 0u; n < TN; n++)
            [[unroll]] for (uint m = 0u; m < TM; m++)
                part[n * TM + m] = mac(part[n * TM + m], w[m], v[n]);
    }
}

// Adds the products of half h (2: the whole block).
void add_scaled(uint tm, uint tn, uint h) {
    [[unroll]] for (uint m = 0u; m < TM; m++) {
        vec4 s = a_scale[tm + m];
        vec2 dm = h == 1u ? s.zw : s.xy;
        [[unroll]] for (uint n = 0u; n < TN; n++) {
            vec4 xs = b_scale[tn + n];
            float sum = h == 0u ? xs.y : (h == 1u ? xs.z : xs.y + xs.z);
            ivec2 p = part[n * TM + m];
            acc[n * TM4 + m / 4u][m & 3u] += dm.x * xs.x * float(256 * p.x + p.y) + dm.y * sum;
        }
    }
}

void main() {
    uint first_m = (args.first_tile + gl_WorkGroupID.x) * BM, first_n = gl_WorkGroupID.y * BN;
    uint tm = gl_LocalInvocationID.x % (BM / TM) * TM, tn = gl_LocalInvocationID.x / (BM / TM) * TN;
    clear_tile();
    for (uint block = 0u; block < args.n_blocks; block++) {
        for (uint i = gl_LocalInvocationID.x; i < BM + BN; i += WG) {
            if (i < BM) load_weights(first_m, i, block);
            else load_x(first_n, i - BM, block);
        }
        barrier();
        if (HALVES) {
            multiply(tm, tn, 0u, 4u);
            add_scaled(tm, tn, 0u);
            multiply(tm, tn, 4u, 8u);
            add_scaled(tm, tn, 1u);
        } else {
            multiply(tm, tn, 0u, 8u);
            add_scaled(tm, tn, 2u);
        }
        barrier();
    }
    store_tile(first_m + tm, first_n + tn);
}
