// What the tiled products share: constants and the store. A workgroup makes BM weight rows x
// BN rows of x, each invocation TM x TN of them; the tail of the last tile works on clamped rows and
// is not stored. SPDX-License-Identifier: MIT
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = PD_WORKGROUP) in;
layout(constant_id = PD_WORKGROUP) const uint WG = 64; // (BM / TM) * (BN / TN)
layout(constant_id = PD_MATMUL_WTYPE) const uint WTYPE = PD_WEIGHT_Q4_0;
layout(constant_id = PD_MATMUL_BM) const uint BM = 64;
layout(constant_id = PD_MATMUL_BN) const uint BN = 64;
layout(constant_id = PD_MATMUL_TM) const uint TM = 8; // multiples of 4
layout(constant_id = PD_MATMUL_TN) const uint TN = 8;
layout(constant_id = PD_MATMUL_EPILOGUE) const uint EPILOGUE = PD_VK_EPILOGUE_NONE;
layout(constant_id = PD_MATMUL_XTYPE) const uint XTYPE = PD_ACT_F32;
layout(constant_id = PD_MATMUL_YTYPE) const uint YTYPE = PD_ACT_F32; // others: TM = 8; I16: GEGLU, BM / TM = 8

#include "product.glsl"

const uint TM4 = TM / 4u;
vec4 acc[TM4 * TN]; // [column][4 weight rows]

void clear_tile() {
    [[unroll]] for (uint i = 0u; i < TM4 * TN; i++) acc[i] = vec4(0.0);
}

void store_values(uint first_m, uint row, uint n) {
    [[unroll]] for (uint m = 0u; m < TM; m++) {
        uint o = first_m + m;
        if (o >= args.n_weight_rows + args.n_zeros) break;
        vec4 v = acc[n * TM4 + m / 4u];
        if (IS_GEGLU) {
            if ((m & 1u) == 0u) y[output_at(row, o / 2u)] = gelu(v[m & 3u]) * v[(m & 3u) + 1u];
        } else {
            uint at = output_at(row, o);
            y[at] = o < args.n_weight_rows ? finished(v[m & 3u], o, at) : 0.0;
        }
    }
}

// As halves: quads of weight rows all exist or none does.
void store_quads(uint first_m, uint row, uint n) {
    [[unroll]] for (uint m = 0u; m < TM; m += 4u) {
        uint o = first_m + m;
        if (o >= args.n_weight_rows + args.n_zeros) break;
        vec4 v = vec4(0.0);
        if (o < args.n_weight_rows)
            [[unroll]] for (uint e = 0u; e < 4u; e++) v[e] = finished(acc[n * TM4 + m / 4u][e], o + e, 0u);
        out_f16[output_at(row, o) / 4u] = halves_of(v);
    }
}

// 8 weight rows are 4 outputs of GEGLU, and the 8 invocations side by side make a block.
void store_geglu_quad(uint first_m, uint row, uint n) {
    vec4 low = acc[n * TM4], high = acc[n * TM4 + TM4 - 1u];
    vec4 v = vec4(gelu(low.x) * low.y, gelu(low.z) * low.w, gelu(high.x) * high.y, gelu(high.z) * high.w);
    bool exists = row < args.n_rows && first_m < args.n_weight_rows;
    store4(exists, output_at(row, first_m / 2u) / 4u, v);
}

// first_m, first_n: of this invocation.
void store_tile(uint first_m, uint first_n) {
    [[unroll]] for (uint n = 0u; n < TN; n++) {
        if (YTYPE != PD_ACT_F32 && IS_GEGLU) store_geglu_quad(first_m, first_n + n, n);
        else if (first_n + n >= args.n_rows) break;
        else if (YTYPE != PD_ACT_F32) store_quads(first_m, first_n + n, n);
        else store_values(first_m, first_n + n, n);
    }
}
