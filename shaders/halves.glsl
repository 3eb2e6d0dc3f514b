// Values to PD_X_F16 (activations.glsl). SPDX-License-Identifier: MIT

// By its bits: a driver may assume that NaN and infinity do not happen.
bool all_finite(vec4 v) {
    return all(notEqual(floatBitsToUint(v) & 0x7f800000u, uvec4(0x7f800000u)));
}

uvec2 halves_of(vec4 v) {
    const float most = 65504.0;
    vec4 h = v / PD_X_F16_SCALE;
    if (all_finite(v)) h = clamp(h, -most, most); // a NaN or an infinity has to be seen
    return uvec2(packHalf2x16(h.xy), packHalf2x16(h.zw));
}
