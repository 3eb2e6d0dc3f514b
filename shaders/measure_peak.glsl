// How many multiplications and additions a device makes: args.n rounds of UNROLL steps over CHAINS
// independent values, all in registers. The includer declares VALUE, START(i), STEP(v) and
// TO_FLOAT(v). Nothing is written, but no compiler can know. SPDX-License-Identifier: MIT

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 128;

layout(std430, binding = 0) writeonly buffer Out { float result[]; };

const uint CHAINS = 16u, UNROLL = 4u;

void main() {
    VALUE v[CHAINS];
    [[unroll]] for (uint i = 0u; i < CHAINS; i++) v[i] = START(i + gl_GlobalInvocationID.x);
    for (uint n = 0u; n < args.n; n++)
        [[unroll]] for (uint u = 0u; u < UNROLL; u++)
            [[unroll]] for (uint i = 0u; i < CHAINS; i++) v[i] = STEP(v[i]);
    float sum = 0.0;
    [[unroll]] for (uint i = 0u; i < CHAINS; i++) sum += TO_FLOAT(v[i]);
    if (sum == 12345.678) result[gl_GlobalInvocationID.x % WG] = sum;
}
