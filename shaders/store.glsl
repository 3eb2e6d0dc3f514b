// Writing rows in the formats of activations.glsl. The includer declares WG, YTYPE and STORE_BINDING.
// SPDX-License-Identifier: MIT

layout(std430, binding = STORE_BINDING) writeonly buffer OutF32 { vec4 out_f32[]; };
layout(std430, binding = STORE_BINDING) writeonly buffer OutF16 { uvec2 out_f16[]; };
layout(std430, binding = STORE_BINDING) writeonly buffer OutI16 { uint out_i16[]; };

#include "halves.glsl"

const uint STORE_ROOM = YTYPE == PD_ACT_I16 ? WG : 1u; // drivers give memory to what is never touched too
shared float store_max[STORE_ROOM];
shared int store_sum[STORE_ROOM];

uint packed_bytes(ivec4 v) {
    uvec4 b = uvec4(v) & 0xffu;
    return b.x | b.y << 8 | b.z << 16 | b.w << 24;
}

// The largest magnitude decides the scale; what is not finite makes the scale, so all of the block,
// infinite.
void store_i16(bool exists, uint at, vec4 v) {
    const float most = 32639.0; // 256 * 127 + 127
    uint lane = gl_LocalInvocationIndex, first = lane & ~7u;
    vec4 a = abs(v);
    store_max[lane] = all_finite(v) ? max(max(a.x, a.y), max(a.z, a.w)) : uintBitsToFloat(0x7f800000u);
    barrier();
    float top = 0.0;
    for (uint i = 0u; i < 8u; i++) top = max(top, store_max[first + i]);
    ivec4 q = ivec4(roundEven(v * (top > 0.0 ? most / top : 0.0)));
    store_sum[lane] = q.x + q.y + q.z + q.w;
    barrier();
    if (!exists) return;
    uint block = at / 8u * 20u, quad = at % 8u; // in words
    ivec4 high = (q + 128) >> 8;
    out_i16[block + quad] = packed_bytes(high);
    out_i16[block + 8u + quad] = packed_bytes(q - 256 * high);
    if (quad != 0u) return;
    float d = top / most;
    int low_half = 0, high_half = 0;
    for (uint i = 0u; i < 4u; i++) {
        low_half += store_sum[first + i];
        high_half += store_sum[first + 4u + i];
    }
    out_i16[block + 16u] = floatBitsToUint(d);
    out_i16[block + 17u] = floatBitsToUint(d * float(low_half));
    out_i16[block + 18u] = floatBitsToUint(d * float(high_half));
    out_i16[block + 19u] = 0u;
}

// Four values at `at` of [rows][K / 4]. All invocations of the workgroup call it together (those
// without a value say so); with I16, invocations 8 i .. 8 i + 7 hold the block's quads in order.
void store4(bool exists, uint at, vec4 v) {
    if (YTYPE == PD_ACT_I16) store_i16(exists, at, v);
    else if (!exists) return;
    else if (YTYPE == PD_ACT_F16) out_f16[at] = halves_of(v);
    else out_f32[at] = v;
}
