// repack: stored blocks, as they lie in the file, to the planes of weights.glsl. An invocation has a
// pair of neighbouring blocks of a row (whose f16 scales share a word), one block of 256 whose
// scale is a plane of its own, or, for the types whose stored form is a plane already, one 16-byte piece of a row.
//
// Blocks of 18, 22, 34 and 210 bytes are 2-byte aligned: everything is read through 16-bit halves of
// 32-bit words. SPDX-License-Identifier: MIT
#version 450
#include "args.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint WTYPE = PD_WEIGHT_Q4_0;

layout(std430, binding = 0) readonly buffer Stored { uint stored[]; };
layout(std430, binding = 1) writeonly buffer WeightQ { uvec4 wq[]; };
layout(std430, binding = 2) writeonly buffer WeightS { uint ws[]; };
layout(std430, binding = 3) writeonly buffer WeightH { uint wh[]; };
layout(push_constant) uniform Push { pd_args_repack args; };

#include "weight_traits.glsl"

uint u16_at(uint byte) { return (stored[byte / 4u] >> (8u * (byte & 2u))) & 0xffffu; }

uint u32_at(uint byte) { // 2-byte aligned
    uint w = byte / 4u;
    return (byte & 2u) == 0u ? stored[w] : (stored[w] >> 16) | (stored[w + 1u] << 16);
}

uvec4 u128_at(uint byte) {
    return uvec4(u32_at(byte), u32_at(byte + 4u), u32_at(byte + 8u), u32_at(byte + 12u));
}

// One block of 32 values, {scales, fifth bits, quants} as stored: its quants to wq (and wh); returns the word
// with its scales.
uint repack_32(uint byte, uint block) {
    uint scales = SCALE_BYTES == 4u ? u32_at(byte) : u16_at(byte);
    if (SCALE_BYTES == 4u) ws[block] = scales;
    if (FIFTH_BYTES != 0u) wh[block] = u32_at(byte + SCALE_BYTES);
    for (uint i = 0u; i < BLOCK_LOADS; i++)
        wq[block * BLOCK_LOADS + i] = u128_at(byte + SCALE_BYTES + FIFTH_BYTES + 16u * i);
    return scales;
}

const uint BLOCK_BYTES = 16u * BLOCK_LOADS + SCALE_BYTES + FIFTH_BYTES;

void repack_pair(uint from_row, uint row, uint pair) {
    uint b = 2u * pair;
    bool second = b + 1u < args.n_blocks;
    uint stored_block = from_row * args.n_blocks + b, block = row * args.n_blocks + b;
    uint scales = repack_32(stored_block * BLOCK_BYTES, block);
    if (second) scales |= repack_32((stored_block + 1u) * BLOCK_BYTES, block + 1u) << 16;
    if (SCALE_BYTES == 2u) ws[row * ((args.n_blocks + 1u) / 2u) + pair] = scales;
}

// One block of 256 values, {quants, scale}.
void repack_256(uint from_row, uint row, uint b) {
    uint byte = (from_row * args.n_blocks + b) * BLOCK_BYTES, block = row * args.n_blocks + b;
    for (uint i = 0u; i < BLOCK_LOADS; i++) wq[block * BLOCK_LOADS + i] = u128_at(byte + 16u * i);
    ws[block] = u16_at(byte + 16u * BLOCK_LOADS);
}

void main() {
    uint item = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * WG + gl_LocalInvocationID.x;
    if (item >= args.n_items) return;
    uint from_row = item / args.items_per_row, i = item % args.items_per_row;
    uint row = args.first_row + from_row * args.row_step;
    if (BLOCK_VALUES == 32u) {
        repack_pair(from_row, row, i);
    } else if (SCALE_BYTES != 0u) {
        repack_256(from_row, row, i);
    } else { // 16-byte pieces: rows are whole numbers of them
        uint at = 4u * item;
        wq[row * args.items_per_row + i] =
            uvec4(stored[at], stored[at + 1u], stored[at + 2u], stored[at + 3u]);
    }
}
