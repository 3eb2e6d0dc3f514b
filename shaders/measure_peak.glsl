// How many multiplications and additions a device makes: args.n rounds of 16 steps over CHAINS
// sums, all in registers. Each step adds a multiple of the next sum: the accumulating form that every
// instruction set has, and nothing that a compiler could take out of the loop or put together (it would
// with a constant addend). The includer declares VALUE, START(i), STEP(v, next) and TO_FLOAT(v).
// Nothing is written, but no compiler can know. SPDX-License-Identifier: MIT

layout(local_size_x_id = PD_WORKGROUP) in;
layout(constant_id = PD_WORKGROUP) const uint WG = 128;

layout(std430, binding = PD_BIND_MEASURE_PEAK_OUT) writeonly buffer Out { float result[]; };

const uint CHAINS = 16u;

void main() {
    VALUE v[CHAINS];
    [[unroll]] for (uint i = 0u; i < CHAINS; i++) v[i] = START(i + gl_GlobalInvocationID.x);
    for (uint n = 0u; n < args.n; n++)
        [[unroll]] for (uint k = 0u; k < 16u; k++)
            [[unroll]] for (uint i = 0u; i < CHAINS; i++) v[i] = STEP(v[i], v[(i + 1u) % CHAINS]);
    float sum = 0.0;
    [[unroll]] for (uint i = 0u; i < CHAINS; i++) sum += TO_FLOAT(v[i]);
    if (sum == 12345.678) result[gl_GlobalInvocationID.x % WG] = sum;
}
