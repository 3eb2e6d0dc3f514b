// What the tiled products share: constants, buffers and the store. A workgroup makes BM weight rows x
// BN rows of x, each invocation TM x TN of them; the tail of the last tile works on clamped rows and
// is not stored. SPDX-License-Identifier: MIT
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64; // (BM / TM) * (BN / TN)
layout(constant_id = 1) const uint WTYPE = PD_W_Q4_0;
layout(constant_id = 2) const uint BM = 64;
layout(constant_id = 3) const uint BN = 64;
layout(constant_id = 4) const uint TM = 8; // multiples of 4
layout(constant_id = 5) const uint TN = 8;
layout(constant_id = 6) const uint GEGLU = 0;
layout(constant_id = 7) const uint XTYPE = PD_X_F32;
layout(constant_id = 8) const uint YTYPE = PD_X_F32; // others: GEGLU, TM = 8, BM / TM = 8

#define STORE_BINDING 1
layout(std430, binding = 0) readonly buffer X { uvec4 x[]; };     // [rows][n_blocks]
layout(std430, binding = 1) writeonly buffer Out { float y[]; };  // [rows][out_stride]
layout(std430, binding = 2) readonly buffer WeightQ { uvec4 wq[]; };
layout(std430, binding = 3) readonly buffer WeightS { uint ws[]; };
layout(std430, binding = 4) readonly buffer WeightH { uint wh[]; };
layout(push_constant) uniform Push { pd_args_matmul args; };

#include "weights.glsl"
#include "activations.glsl"
#include "gelu.glsl"
#include "store.glsl"

const uint TM4 = TM / 4u;
vec4 acc[TM4 * TN]; // [column][4 weight rows]

void clear_tile() {
    [[unroll]] for (uint i = 0u; i < TM4 * TN; i++) acc[i] = vec4(0.0);
}

void store_values(uint first_m, uint row, uint n) {
    uint at = row * args.out_stride + args.out_first;
    [[unroll]] for (uint m = 0u; m < TM; m++) {
        uint o = first_m + m;
        if (o >= args.n_weight_rows) break;
        vec4 v = acc[n * TM4 + m / 4u];
        if (GEGLU == 0u) y[at + o] = v[m & 3u];
        else if ((m & 1u) == 0u) y[at + o / 2u] = gelu(v[m & 3u]) * v[(m & 3u) + 1u];
    }
}

// 8 weight rows are 4 outputs of GEGLU, and the 8 invocations side by side make a block.
void store_quad(uint first_m, uint row, uint n) {
    vec4 low = acc[n * TM4], high = acc[n * TM4 + TM4 - 1u];
    vec4 v = vec4(gelu(low.x) * low.y, gelu(low.z) * low.w, gelu(high.x) * high.y, gelu(high.z) * high.w);
    bool exists = row < args.n_rows && first_m < args.n_weight_rows;
    store4(exists, (row * args.out_stride + args.out_first + first_m / 2u) / 4u, v);
}

// first_m, first_n: of this invocation.
void store_tile(uint first_m, uint first_n) {
    [[unroll]] for (uint n = 0u; n < TN; n++) {
        if (YTYPE != PD_X_F32) store_quad(first_m, first_n + n, n);
        else if (first_n + n < args.n_rows) store_values(first_m, first_n + n, n);
    }
}
