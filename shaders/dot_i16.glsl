// Dot products of blocks in integers, four products an instruction, for quantised weights and rows of
// 16-bit integers in two bytes, q = 256 high + low. Over 16 values
//
//     sum of (d_w n + m_w) (d_x q) = d_w d_x (256 sum of n high + sum of n low) + m_w d_x sum of q
//
// Rows in single bytes would halve the instructions, but their rounding, 0.6 % of a product, passes
// 3 % of the logits on some models; these make 0.01 %.
//
// The SPIR-V instruction is named by its number: glslang 12 does not know it yet.
// SPDX-License-Identifier: MIT
#extension GL_EXT_spirv_intrinsics : require

#define X_QUAD uvec2 /* high bytes, low bytes */
#define W_QUAD uint
#define PART ivec2
#define OFFSET float

// OpSDot of two words as four signed bytes each (PackedVectorFormat4x8Bit = 0); the capabilities are
// DotProduct and DotProductInput4x8BitPacked.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int dot_4x8(uint a, uint b, spirv_literal uint packed_format);

X_QUAD x_quad(uint at, uint j) { return uvec2(x[at * 5u + j / 4u][j & 3u], x[at * 5u + 2u + j / 4u][j & 3u]); }
W_QUAD w_quad(Block k, uint j) { return quants4(k, j); }
PART mac(PART part, W_QUAD w, X_QUAD v) { return part + ivec2(dot_4x8(w, v.x, 0), dot_4x8(w, v.y, 0)); }
OFFSET add_offset(OFFSET o, X_QUAD v) { return o; }

float scaled(Block k, uint h, PART part, OFFSET o, uint at) {
    vec3 scale = uintBitsToFloat(x[at * 5u + 4u].xyz);
    return k.d[h] * scale.x * float(256 * part.x + part.y) + k.m[h] * (h == 0u ? scale.y : scale.z);
}
