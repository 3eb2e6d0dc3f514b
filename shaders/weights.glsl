// Reading stored weights, 32 at a time, from planes that allow 16-byte loads.
//
// A matrix [rows, K] is split into planes when it is loaded (repack.comp); nb = K / 32, ns = K / 256:
//
//     type   wq (uvec4)                                        ws (uint)                 wh (uint)
//     F32    [rows][nb][8]
//     F16    [rows][nb][4]                        BF16 alike
//     Q4_0   [rows][nb]     low nibbles 0..15,    [rows][ceil(nb/2)] two f16 d
//                           high nibbles 16..31
//     Q4_1   [rows][nb]                           [rows][nb] f16 d | f16 m << 16
//     Q5_0   [rows][nb]                           as Q4_0            [rows][nb] fifth bits
//     Q5_1   [rows][nb]                           as Q4_1            [rows][nb]
//     Q8_0   [rows][nb][2]                        as Q4_0
//     Q4_K   [rows][ns][9]  the stored block: {d|dmin, 12 scale bytes}, 128 nibble bytes
//     Q5_K   [rows][ns][11] the stored block: header, 32 high-bit bytes, 128 nibble bytes
//     Q6_K   [rows][ns][13] ql 8, qh 4, scales 1  [rows][ns] f16 d
//
// The includer declares WTYPE and the buffers wq, ws, wh. SPDX-License-Identifier: MIT

#include "weight_traits.glsl"

struct Block {
    uvec4 raw[8]; // as many as the type needs; the rest is never touched
    uint high;    // fifth bits (Q5_0, Q5_1), or the shift that selects a sub-block's bits
    vec2 d, m;    // value = d * q + m, for values 0..15 and 16..31
};

// Two halves of a word. Vulkan lets unpackHalf2x16 flush subnormal halves to zero, and the scales of
// Q4_K to Q6_K are often that small: those are made from their bits.
vec2 halves(uint word) {
    vec2 both = unpackHalf2x16(word);
    uvec2 magnitude = uvec2(word, word >> 16) & 0x7fffu;
    vec2 tiny = vec2(magnitude) * 5.9604644775390625e-8; // 2^-24
    if (magnitude.x < 0x400u) both.x = (word & 0x8000u) == 0u ? tiny.x : -tiny.x;
    if (magnitude.y < 0x400u) both.y = (word >> 31) == 0u ? tiny.y : -tiny.y;
    return both;
}

float half_at(uint word, uint which) {
    vec2 both = halves(word);
    return which == 0u ? both.x : both.y;
}

// Scale and minimum of sub-block s of a Q4_K or Q5_K header: two 6-bit numbers out of 12 bytes.
vec2 k_scale_min(uvec4 header, uint s) {
    uint lo = (header[1] >> (8u * (s & 3u))) & 0xffu; // bytes 0..3
    uint mi = (header[2] >> (8u * (s & 3u))) & 0xffu; // bytes 4..7
    uint hi = (header[3] >> (8u * (s & 3u))) & 0xffu; // bytes 8..11
    uint scale = s < 4u ? lo & 63u : (hi & 15u) | ((lo >> 6) << 4);
    uint minimum = s < 4u ? mi & 63u : (hi >> 4) | ((mi >> 6) << 4);
    vec2 d = halves(header[0]);
    return vec2(d.x * float(scale), -d.y * float(minimum));
}

// The quant that stands for zero, 2^(QUANT_BITS - 1): a constant, not a conversion, for the compilers' sake.
// Bytes are stored as signed ones.
const float ZERO_POINT = QUANT_BITS == 0u || HAS_MINIMUM ? 0.0
                         : QUANT_BITS == 4u              ? 8.0
                         : QUANT_BITS == 5u              ? 16.0
                         : QUANT_BITS == 6u              ? 32.0
                                                         : 128.0;
const bool IS_SIGNED = QUANT_BITS == 8u;

void fetch_scale(inout Block k, uint row, uint b, uint n_blocks, float zero_point) {
    float d = half_at(ws[row * ((n_blocks + 1u) / 2u) + b / 2u], b & 1u);
    k.d = vec2(d);
    k.m = vec2(-zero_point * d);
}

void fetch_scale_min(inout Block k, uint row, uint b, uint n_blocks) {
    vec2 dm = halves(ws[row * n_blocks + b]);
    k.d = dm.xx;
    k.m = dm.yy;
}

void fetch_k_block(inout Block k, uint row, uint b, uint n_blocks) {
    uint s = b & 7u;
    uint block = row * (n_blocks / 8u) + b / 8u;
    if (WTYPE == PD_WEIGHT_Q6_K) {
        uint at = block * 13u, half_block = s / 4u, r = s & 3u;
        uint l = at + 4u * half_block + 2u * (r & 1u), h = at + 8u + 2u * half_block;
        k.raw[0] = wq[l];
        k.raw[1] = wq[l + 1u];
        k.raw[2] = wq[h];
        k.raw[3] = wq[h + 1u];
        k.high = r;
        uint scales = wq[at + 12u][s / 2u] >> (16u * (s & 1u));
        float d = half_at(ws[block], 0u);
        k.d = d * vec2(bitfieldExtract(int(scales), 0, 8), bitfieldExtract(int(scales), 8, 8));
        k.m = -32.0 * k.d;
        return;
    }
    uint at = block * (WTYPE == PD_WEIGHT_Q4_K ? 9u : 11u);
    uint qs = at + (WTYPE == PD_WEIGHT_Q4_K ? 1u : 3u) + 2u * (s / 2u);
    k.raw[0] = wq[qs];
    k.raw[1] = wq[qs + 1u];
    if (WTYPE == PD_WEIGHT_Q5_K) {
        k.raw[2] = wq[at + 1u];
        k.raw[3] = wq[at + 2u];
    }
    k.high = s;
    vec2 dm = k_scale_min(wq[at], s);
    k.d = dm.xx;
    k.m = dm.yy;
}

// Block b (values 32 b .. 32 b + 31) of a row.
Block fetch_block(uint row, uint b, uint n_blocks) {
    Block k;
    uint at = row * n_blocks + b;
    if (BLOCK_LOADS == 8u) {
        for (uint i = 0u; i < 8u; i++) k.raw[i] = wq[at * 8u + i];
    } else if (BLOCK_LOADS == 4u) {
        for (uint i = 0u; i < 4u; i++) k.raw[i] = wq[at * 4u + i];
    } else if (BLOCK_VALUES == 256u) {
        fetch_k_block(k, row, b, n_blocks);
    } else {
        k.raw[0] = wq[at * BLOCK_LOADS];
        if (BLOCK_LOADS == 2u) k.raw[1] = wq[at * 2u + 1u];
        if (FIFTH_BYTES != 0u) k.high = wh[at];
        if (HAS_MINIMUM) fetch_scale_min(k, row, b, n_blocks);
        else fetch_scale(k, row, b, n_blocks, IS_SIGNED ? 0.0 : ZERO_POINT);
    }
    return k;
}

vec4 bytes_of(uint w) {
    return vec4(w & 0xffu, (w >> 8) & 0xffu, (w >> 16) & 0xffu, w >> 24);
}

// The integers of values 4 j .. 4 j + 3, one to a byte, before scale and offset: signed where it is a whole
// byte, else unsigned and below 64.
uint quants4(Block k, uint j) {
    if (IS_SIGNED) return k.raw[j / 4u][j & 3u];
    if (WTYPE == PD_WEIGHT_Q6_K) {
        uint low = (k.raw[j / 4u][j & 3u] >> (4u * (k.high >> 1))) & 0x0f0f0f0fu;
        uint high = (k.raw[2u + j / 4u][j & 3u] >> (2u * k.high)) & 0x03030303u;
        return low | (high << 4);
    }
    if (WTYPE == PD_WEIGHT_Q4_K || WTYPE == PD_WEIGHT_Q5_K) {
        uint w = (k.raw[j / 4u][j & 3u] >> (4u * (k.high & 1u))) & 0x0f0f0f0fu;
        if (WTYPE == PD_WEIGHT_Q5_K)
            w |= ((k.raw[2u + j / 4u][j & 3u] >> k.high) & 0x01010101u) << 4;
        return w;
    }
    uint w = (k.raw[0][j & 3u] >> (4u * (j / 4u))) & 0x0f0f0f0fu;
    if (FIFTH_BYTES != 0u) {
        uint four = (k.high >> (4u * j)) & 15u; // one bit to each byte, at its bit 4
        w |= ((four & 1u) | ((four & 2u) << 7) | ((four & 4u) << 14) | ((four & 8u) << 21)) << 4;
    }
    return w;
}

vec4 unpack_quants(uint w) {
    if (IS_SIGNED)
        return vec4(bitfieldExtract(int(w), 0, 8), bitfieldExtract(int(w), 8, 8),
                    bitfieldExtract(int(w), 16, 8), bitfieldExtract(int(w), 24, 8));
    return vec4(w & 0xffu, (w >> 8) & 0xffu, (w >> 16) & 0xffu, w >> 24);
}

// Values 4 j .. 4 j + 3 of the block; j = 0..7, constant after unrolling.
vec4 weight4(Block k, uint j) {
    if (WTYPE == PD_WEIGHT_F32) return uintBitsToFloat(k.raw[j]);
    if (WTYPE == PD_WEIGHT_F16) {
        uvec4 w = k.raw[j / 2u];
        uvec2 p = (j & 1u) == 0u ? w.xy : w.zw;
        return vec4(unpackHalf2x16(p.x), unpackHalf2x16(p.y));
    }
    if (WTYPE == PD_WEIGHT_BF16) {
        uvec4 w = k.raw[j / 2u];
        uvec2 p = (j & 1u) == 0u ? w.xy : w.zw;
        return uintBitsToFloat(uvec4(p.x << 16, p.x & 0xffff0000u, p.y << 16, p.y & 0xffff0000u));
    }
    return unpack_quants(quants4(k, j)) * k.d[j / 4u] + vec4(k.m[j / 4u]);
}
