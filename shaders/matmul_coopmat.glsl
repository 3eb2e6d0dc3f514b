// matmul_coopmat: matrix times many rows of x on matrix units, for prompts; the contract is that of
// matmul.comp, but x comes as PD_ACT_F16. A tile of BM weight rows x BN rows of x per workgroup and of
// WM x WN per subgroup, 32 values of K at a time through shared memory, sums in f32.
//
//     mat_a [STAGES][BM][5]         decoded weights, 8 halves each; the fifth uvec4 of a row is
//     mat_b [STAGES][BN][5]         padding, so that rows start in different banks
//     mat_c [subgroups][C_N][C_M]   results on their way out
//
// While one block of K is multiplied, the next is already on its way from memory into registers; with
// two STAGES it is also put into shared memory before the others have finished. A weight is the half
// nearest to its decoded value. The tail of the last tile works on clamped rows and is not stored.
// Workgroups are whole subgroups of SUBGROUP. SPDX-License-Identifier: MIT
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#include "args.h"

layout(local_size_x_id = PD_WORKGROUP) in;
layout(constant_id = PD_WORKGROUP) const uint WG = 128; // SUBGROUP * (BM / WM) * (BN / WN)
layout(constant_id = PD_COOPMAT_WTYPE) const uint WTYPE = PD_WEIGHT_Q4_0;
layout(constant_id = PD_COOPMAT_BM) const uint BM = 64;
layout(constant_id = PD_COOPMAT_BN) const uint BN = 64;
layout(constant_id = PD_COOPMAT_WM) const uint WM = 32; // a multiple of C_M
layout(constant_id = PD_COOPMAT_WN) const uint WN = 32; // a multiple of C_N
layout(constant_id = PD_COOPMAT_EPILOGUE) const uint EPILOGUE = PD_VK_EPILOGUE_NONE;
layout(constant_id = PD_COOPMAT_STAGES) const uint STAGES = 2;
layout(constant_id = PD_COOPMAT_SUBGROUP) const uint SUBGROUP = 32;
layout(constant_id = PD_COOPMAT_A_M) const uint A_M = 16; // 8 or 16, like all that follow
layout(constant_id = PD_COOPMAT_A_K) const uint A_K = 16;
layout(constant_id = PD_COOPMAT_B_N) const uint B_N = 16;
#ifdef GL_KHR_cooperative_matrix // factors agree by their constants
#define B_K A_K
#define C_M A_M
#define C_N B_N
#else // constants of their own keep the three types apart for the rewriting
layout(constant_id = PD_COOPMAT_B_K) const uint B_K = 16;
layout(constant_id = PD_COOPMAT_C_M) const uint C_M = 16;
layout(constant_id = PD_COOPMAT_C_N) const uint C_N = 16;
#endif
layout(constant_id = PD_COOPMAT_YTYPE) const uint YTYPE = PD_ACT_F32; // or PD_ACT_F16: outputs in fours

layout(std430, binding = PD_BIND_PRODUCT_X) readonly buffer X { uvec4 x[]; };     // [rows][n_blocks * 4]
layout(std430, binding = PD_BIND_PRODUCT_OUT) buffer Out { float y[]; };            // [rows][out_stride]
layout(std430, binding = PD_BIND_PRODUCT_OUT) writeonly buffer OutF16 { uvec2 out_f16[]; };
layout(std430, binding = PD_BIND_PRODUCT_WEIGHT_Q) readonly buffer WeightQ { uvec4 wq[]; };
layout(std430, binding = PD_BIND_PRODUCT_WEIGHT_S) readonly buffer WeightS { uint ws[]; };
layout(std430, binding = PD_BIND_PRODUCT_WEIGHT_H) readonly buffer WeightH { uint wh[]; };
layout(std430, binding = PD_BIND_PRODUCT_BIAS) readonly buffer Bias { float bias[]; };
layout(push_constant) uniform Push { pd_args_matmul args; };

const uint STRIDE = 5u;
shared uvec4 mat_a[STAGES * BM * STRIDE];
shared uvec4 mat_b[STAGES * BN * STRIDE];
shared float mat_c[WG / SUBGROUP * C_M * C_N];

const uint TILES_M = WM / C_M, TILES_N = WN / C_N, MAT_SUMS = TILES_M * TILES_N;

#include "coopmat.glsl"
#include "weights.glsl"
#include "halves.glsl"
#include "epilogue.glsl"

// A block of weights is decoded by two invocations, a block of x copied by four.
const uint W_ITEMS = BM * 2u, W_PASSES = (W_ITEMS + WG - 1u) / WG;
const uint X_ITEMS = BN * 4u, X_PASSES = (X_ITEMS + WG - 1u) / WG;

Block fetch_w(uint item, uint first_row, uint block) {
    uint row = first_row + min(item / 2u, BM - 1u);
    return fetch_block(min(row, args.n_weight_rows - 1u), block, args.n_blocks);
}

uvec4 fetch_x(uint item, uint first_row, uint block) {
    uint row = first_row + min(item / 4u, BN - 1u);
    return x[(min(row, args.n_rows - 1u) * args.n_blocks + block) * 4u + (item & 3u)];
}

uvec4 eight_halves(Block k, uint eight) {
    if (WTYPE == PD_WEIGHT_F16) return k.raw[eight];
    vec4 lo = weight4(k, 2u * eight), hi = weight4(k, 2u * eight + 1u);
    return uvec4(MAT_HALVES(lo.xy), MAT_HALVES(lo.zw), MAT_HALVES(hi.xy), MAT_HALVES(hi.zw));
}

// Every index into a block is a constant: others would send it from registers to memory.
void put_w(uint item, uint stage, Block k) {
    if (W_ITEMS % WG != 0u && item >= W_ITEMS) return;
    uint at = (stage * BM + item / 2u) * STRIDE + (item & 1u) * 2u;
    if ((item & 1u) == 0u) {
        mat_a[at] = eight_halves(k, 0u);
        mat_a[at + 1u] = eight_halves(k, 1u);
    } else {
        mat_a[at] = eight_halves(k, 2u);
        mat_a[at + 1u] = eight_halves(k, 3u);
    }
}

void put_x(uint item, uint stage, uvec4 v) {
    if (X_ITEMS % WG != 0u && item >= X_ITEMS) return;
    mat_b[(stage * BN + item / 4u) * STRIDE + (item & 3u)] = v;
}

// One output of the subgroup's C: its weight row o (of GEGLU's two, the first) at mat_c[c].
float result(uint c, uint o, uint at) {
    float v = mat_c[c] * PD_ACT_F16_SCALE;
    if (IS_GEGLU) return gelu(v) * (mat_c[c + 1u] * PD_ACT_F16_SCALE);
    return o < args.n_weight_rows ? finished(v, o, at) : 0.0;
}

const uint STEP = IS_GEGLU ? 2u : 1u; // weight rows per output: gate and up lie next to each other

// The subgroup's C at mat_c[first]: results of weight rows first_m.. for rows first_n.. of x.
void store_results(uint first, uint first_m, uint first_n) {
    for (uint i = gl_SubgroupInvocationID; i < C_M * C_N / STEP; i += SUBGROUP) {
        uint o = first_m + i * STEP % C_M, row = first_n + i * STEP / C_M;
        if (o >= args.n_weight_rows + args.n_zeros || row >= args.n_rows) continue;
        uint at = output_at(row, o / STEP);
        y[at] = result(first + i * STEP, o, at);
    }
}

// The same, four outputs at a time, as halves.
void store_halves(uint first, uint first_m, uint first_n) {
    const uint rows = 4u * STEP;
    for (uint i = gl_SubgroupInvocationID; i < C_M * C_N / rows; i += SUBGROUP) {
        uint o = first_m + i * rows % C_M, row = first_n + i * rows / C_M;
        if (o >= args.n_weight_rows + args.n_zeros || row >= args.n_rows) continue;
        vec4 v;
        UNROLL for (uint e = 0u; e < 4u; e++) v[e] = result(first + i * rows + e * STEP, o + e * STEP, 0u);
        out_f16[output_at(row, o / STEP) / 4u] = halves_of(v);
    }
}

void main() {
    const uint STEPS = 32u / A_K;
    uint first_m = (args.first_tile + gl_WorkGroupID.x) * BM, first_n = gl_WorkGroupID.y * BN;
    uint sub_m = gl_SubgroupID % (BM / WM) * WM, sub_n = gl_SubgroupID / (BM / WM) * WN;
    uint self = gl_LocalInvocationID.x;
    Block w[W_PASSES];
    uvec4 v[X_PASSES];
    MAT_DECLARE_C
    UNROLL for (uint i = 0u; i < MAT_SUMS; i++) MAT_ZERO_C(i);

    UNROLL for (uint p = 0u; p < W_PASSES; p++)
        put_w(self + p * WG, 0u, fetch_w(self + p * WG, first_m, 0u));
    UNROLL for (uint p = 0u; p < X_PASSES; p++)
        put_x(self + p * WG, 0u, fetch_x(self + p * WG, first_n, 0u));
    barrier();

    for (uint block = 0u; block < args.n_blocks; block++) {
        uint stage = block % STAGES, next = block + 1u;
        if (next < args.n_blocks) {
            UNROLL for (uint p = 0u; p < W_PASSES; p++)
                w[p] = fetch_w(self + p * WG, first_m, next);
            UNROLL for (uint p = 0u; p < X_PASSES; p++)
                v[p] = fetch_x(self + p * WG, first_n, next);
        }
        uint at_a = (stage * BM + sub_m) * STRIDE, at_b = (stage * BN + sub_n) * STRIDE;
        UNROLL for (uint k = 0u; k < STEPS; k++) {
            MatA a[TILES_M];
            MatB b;
            UNROLL for (uint m = 0u; m < TILES_M; m++)
                MAT_LOAD_A(a[m], at_a + m * C_M * STRIDE + k * (A_K / 8u));
            UNROLL for (uint n = 0u; n < TILES_N; n++) {
                MAT_LOAD_B(b, at_b + n * C_N * STRIDE + k * (A_K / 8u));
                UNROLL for (uint m = 0u; m < TILES_M; m++)
                    MAT_MUL_ADD(a[m], b, n * TILES_M + m);
            }
        }
        if (STAGES == 1u) barrier();
        if (next < args.n_blocks) {
            UNROLL for (uint p = 0u; p < W_PASSES; p++)
                put_w(self + p * WG, next % STAGES, w[p]);
            UNROLL for (uint p = 0u; p < X_PASSES; p++)
                put_x(self + p * WG, next % STAGES, v[p]);
        }
        barrier();
    }

    uint at = gl_SubgroupID * C_M * C_N;
    UNROLL for (uint i = 0u; i < MAT_SUMS; i++) {
        MAT_STORE_C(i, at);
        subgroupMemoryBarrierShared();
        subgroupBarrier();
        uint out_m = first_m + sub_m + i % TILES_M * C_M, out_n = first_n + sub_n + i / TILES_M * C_N;
        if (YTYPE == PD_ACT_F16) store_halves(at, out_m, out_n);
        else store_results(at, out_m, out_n);
        subgroupBarrier();
    }
}
