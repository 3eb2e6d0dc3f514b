// matmul: matrix times many rows of x, for prompts. 32 values of K at a time through shared memory:
//
//     shared a [32][BM + 4]  decoded weights, K-major, so that TM neighbours are one vec4 load
//     shared b [32][BN + 4]
//
// With DOT_F16 the tiles and the sums of 8 products are halves; what lies above is f32 either way.
// SPDX-License-Identifier: MIT
#include "tile.glsl"
#ifdef DOT_F16
#include "dot_f16.glsl"
#define QUAD f16vec4
#else
#define QUAD vec4
#endif

const uint AS = BM / 4u + 1u, BS = BN / 4u + 1u; // strides in quads
shared QUAD a[32u * AS];
shared QUAD b[32u * BS];

void load_weights(uint first_row, uint block) {
    for (uint i = gl_LocalInvocationID.x; i < BM; i += WG) {
        Block k = fetch_block(min(first_row + i, args.n_weight_rows - 1u), block, args.n_blocks);
        [[unroll]] for (uint j = 0u; j < 8u; j++) {
            QUAD w = QUAD(weight4(k, j));
            [[unroll]] for (uint e = 0u; e < 4u; e++) a[(4u * j + e) * AS + i / 4u][i & 3u] = w[e];
        }
    }
}

void load_x(uint first_row, uint block) {
    for (uint i = gl_LocalInvocationID.x; i < BN * 8u; i += WG) {
        uint n = i % BN, j = i / BN;
        uint at = min(first_row + n, args.n_rows - 1u) * args.n_blocks + block;
#ifdef DOT_F16
        QUAD v = x_quad(at, j);
#else
        QUAD v = x4(at, j);
#endif
        [[unroll]] for (uint e = 0u; e < 4u; e++) b[(4u * j + e) * BS + n / 4u][n & 3u] = v[e];
    }
}

// Values first .. end - 1 of K.
void add_products(uint tm, uint tn, uint first, uint end) {
#ifdef DOT_F16
    QUAD part[TM4 * TN];
    [[unroll]] for (uint i = 0u; i < TM4 * TN; i++) part[i] = QUAD(0.0);
#else
#define part acc
#endif
    for (uint k = first; k < end; k++) {
        QUAD w[TM4], v[TN / 4u];
        [[unroll]] for (uint i = 0u; i < TM4; i++) w[i] = a[k * AS + tm / 4u + i];
        [[unroll]] for (uint i = 0u; i < TN / 4u; i++) v[i] = b[k * BS + tn / 4u + i];
        [[unroll]] for (uint n = 0u; n < TN; n++)
            [[unroll]] for (uint i = 0u; i < TM4; i++)
                part[n * TM4 + i] = fma(w[i], QUAD(v[n / 4u][n & 3u]), part[n * TM4 + i]);
    }
#ifdef DOT_F16
    [[unroll]] for (uint i = 0u; i < TM4 * TN; i++) acc[i] += PD_ACT_F16_SCALE * vec4(part[i]);
#endif
}

void main() {
    uint first_m = (args.first_tile + gl_WorkGroupID.x) * BM, first_n = gl_WorkGroupID.y * BN;
    uint tm = gl_LocalInvocationID.x % (BM / TM) * TM, tn = gl_LocalInvocationID.x / (BM / TM) * TN;
    clear_tile();
    for (uint block = 0u; block < args.n_blocks; block++) {
        load_weights(first_m, block);
        load_x(first_n, block);
        barrier();
#ifdef DOT_F16
        for (uint k = 0u; k < 32u; k += 8u) add_products(tm, tn, k, k + 8u);
#else
        add_products(tm, tn, 0u, 32u);
#endif
        barrier();
    }
    store_tile(first_m + tm, first_n + tn);
}
