// Reading rows of K values that matrix products multiply with; nb = K / 32 blocks:
//
//     F32  [rows][nb][8] uvec4   the values
//     F16  [rows][nb][4] uvec4   halves of value / PD_ACT_F16_SCALE
//     I16  [rows][nb][5] uvec4   integers q = 256 high + low, value = d q: 32 signed bytes high, 32 low,
//                                then {d, d * sum of q[0..15], d * sum of q[16..31], 0} as floats
//
// The includer declares XTYPE and the buffer x. Written by store.glsl. SPDX-License-Identifier: MIT

vec4 signed_bytes(uint w) {
    return vec4(bitfieldExtract(int(w), 0, 8), bitfieldExtract(int(w), 8, 8),
                bitfieldExtract(int(w), 16, 8), bitfieldExtract(int(w), 24, 8));
}

// Values 4 j .. 4 j + 3 of block `at` of [rows][nb].
vec4 x4(uint at, uint j) {
    if (XTYPE == PD_ACT_F32) return uintBitsToFloat(x[at * 8u + j]);
    if (XTYPE == PD_ACT_F16) {
        uvec4 w = x[at * 4u + j / 2u];
        uvec2 p = (j & 1u) == 0u ? w.xy : w.zw;
        return PD_ACT_F16_SCALE * vec4(unpackHalf2x16(p.x), unpackHalf2x16(p.y));
    }
    vec4 high = signed_bytes(x[at * 5u + j / 4u][j & 3u]), low = signed_bytes(x[at * 5u + 2u + j / 4u][j & 3u]);
    return (256.0 * high + low) * uintBitsToFloat(x[at * 5u + 4u].x);
}
