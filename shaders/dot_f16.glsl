// Dot products of blocks with packed f16 arithmetic, for quantised weights and rows in halves. Sums of
// 4 products are kept in f16, everything above in f32: sums of 16 lose twice as much.
//
// A quant becomes a half without a conversion: the bits 0x5400 + n are 64 + n / 16, for n below 1024.
// So weights enter as (n - zero) / 16 and rows as value / 16: no sum of 4 products passes 65504 before
// the rows' values pass some 10^5 (Q8_0: 3 * 10^4). SPDX-License-Identifier: MIT
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

#define X_QUAD f16vec4
#define W_QUAD f16vec4
#define PART f16vec4
#define OFFSET float

// Types that store a minimum have no zero point; theirs goes through the sum of the row's values.
f16vec2 half_pair(uint w) { return unpackFloat2x16(w); }

X_QUAD x_quad(uint at, uint j) {
    uvec4 w = x[at * 4u + j / 2u];
    uvec2 p = (j & 1u) == 0u ? w.xy : w.zw;
    return f16vec4(half_pair(p.x), half_pair(p.y));
}

W_QUAD w_quad(Block k, uint j) {
    uint w = quants4(k, j);
    if (IS_SIGNED) w ^= 0x80808080u; // signed bytes to bytes above 128
    f16vec2 even = half_pair((w & 0x00ff00ffu) | 0x54005400u);
    f16vec2 odd = half_pair(((w >> 8) & 0x00ff00ffu) | 0x54005400u);
    return f16vec4(even.x, odd.x, even.y, odd.y) - float16_t(64.0 + ZERO_POINT / 16.0);
}

PART mac(PART part, W_QUAD w, X_QUAD v) { return fma(w, v, part); }

OFFSET add_offset(OFFSET o, X_QUAD v) {
    if (!HAS_MINIMUM) return o;
    vec4 f = vec4(v);
    return o + f.x + f.y + f.z + f.w;
}

float scaled(Block k, uint h, PART part, OFFSET o, uint at) {
    vec4 f = vec4(part);
    float sum = 16.0 * PD_ACT_F16_SCALE * k.d[h] * (f.x + f.y + f.z + f.w);
    return HAS_MINIMUM ? sum + PD_ACT_F16_SCALE * k.m[h] * o : sum;
}
