// 32-bit floats to halves: each to the nearest, of two equally near to the even one. packHalf2x16 may
// round as the driver likes, and AMD's cuts off, which biases all that is kept in halves towards zero.
// So it is done on the bits. SPDX-License-Identifier: MIT

uint half_bits(float v) {
    uint b = floatBitsToUint(v), a = b & 0x7fffffffu;
    uint h = ((a + 0xfffu + ((a >> 13) & 1u)) >> 13) - (112u << 10); // the biases 127 and 15
    if (a < 0x38800000u) h = uint(roundEven(uintBitsToFloat(a) * 16777216.0)); // in steps of 2^-24
    if (a >= 0x477ff000u) h = a > 0x7f800000u ? 0x7e00u : 0x7c00u; // NaN; infinity, 65520 and more
    return h | ((b >> 16) & 0x8000u);
}

uint pack_halves(vec2 v) {
    return half_bits(v.x) | half_bits(v.y) << 16;
}

// By its bits: a driver may assume that NaN and infinity do not happen.
bool all_finite(vec4 v) {
    return all(notEqual(floatBitsToUint(v) & 0x7f800000u, uvec4(0x7f800000u)));
}

// Values to PD_ACT_F16 (activations.glsl).
uvec2 halves_of(vec4 v) {
    const float most = 65504.0;
    vec4 h = v / PD_ACT_F16_SCALE;
    if (all_finite(v)) h = clamp(h, -most, most); // a NaN or an infinity has to be seen
    return uvec2(pack_halves(h.xy), pack_halves(h.zw));
}
