// log_prob: out[o] = ln softmax(x[o]) at the token of row out_rows[o], and ln sum exp(x[o]). One workgroup
// per output, which goes over its logits twice, for their maximum and for the sum of exp(x - maximum): they
// fit in the L2 cache the second time. SPDX-License-Identifier: MIT
#version 450
#include "args.h"

layout(local_size_x_id = PD_WORKGROUP) in;
layout(constant_id = PD_WORKGROUP) const uint WG = 512;

layout(std430, binding = PD_BIND_LOG_PROB_STEP) readonly buffer Step { uint step_words[]; };
layout(std430, binding = PD_BIND_LOG_PROB_X) readonly buffer X { float x[]; };    // [outs][n_values]
layout(std430, binding = PD_BIND_LOG_PROB_OUT) writeonly buffer Out { float y[]; }; // [outs][2]
layout(push_constant) uniform Push { pd_args_log_prob args; };

#include "reduce.glsl"

void main() {
    uint o = gl_WorkGroupID.x, first = o * args.n_values;
    float most = x[first];
    for (uint i = gl_LocalInvocationID.x; i < args.n_values; i += WG) most = max(most, x[first + i]);
    most = workgroup_max(most);
    float sum = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < args.n_values; i += WG) sum += exp(x[first + i] - most);
    sum = workgroup_sum(sum);
    if (gl_LocalInvocationID.x != 0u) return;
    uint token = step_words[PD_STEP_ROWS + 4u * step_words[args.outs_at + o]];
    y[2u * o] = x[first + token] - most - log(sum);
    y[2u * o + 1u] = most + log(sum);
}
