// draw, first half: of each part of a row the best allowed id, how many values are not finite, and, where
// more than the best is asked for, the part's k best candidates in any order. Workgroup (part, output).
// SPDX-License-Identifier: MIT
#version 450
#include "sampling.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 512;

layout(std430, binding = 0) readonly buffer Step { uint step_words[]; };
layout(std430, binding = 1) readonly buffer X { float x[]; };       // [outs][n_values]
layout(std430, binding = 2) writeonly buffer Part { uint partial[]; }; // args.h
layout(push_constant) uniform Push { pd_args_draw args; };

#include "best.glsl"

uint first_id, row_at;

bool is_allowed(uint id) {
    return id < args.allowed_end && (id < args.hole_first || id >= args.hole_end);
}

bool fetch(uint i, out uint key, out uint id) {
    id = first_id + i;
    uint bits = floatBitsToUint(x[row_at + id]);
    key = pd_draw_key(bits);
    return pd_draw_is_finite(bits) && is_allowed(id);
}

#include "select.glsl"

shared uint n_found, n_written;

// The part's best and its counts; what is returned is for all invocations.
uint find_best(uint n, uint to) {
    float value = 0.0;
    uint id = NO_ID, bad = 0u, found = 0u;
    for (uint i = gl_LocalInvocationID.x; i < n; i += WG) {
        float v = x[row_at + first_id + i];
        // by its bits: a driver may assume that NaN and infinity do not happen
        if (!pd_draw_is_finite(floatBitsToUint(v))) {
            bad++;
        } else if (is_allowed(first_id + i)) {
            found++;
            if (is_better(v, first_id + i, value, id)) {
                value = v;
                id = first_id + i;
            }
        }
    }
    if (gl_LocalInvocationID.x == 0u) n_found = n_written = 0u;
    barrier();
    atomicAdd(n_found, found);
    reduce_best(value, id, bad);
    if (gl_LocalInvocationID.x == 0u) {
        partial[to] = best_id[0];
        partial[to + 1u] = floatBitsToUint(best_value[0]);
        partial[to + 2u] = best_bad[0];
        partial[to + 3u] = n_found;
    }
    return n_found;
}

void main() {
    uint o = gl_WorkGroupID.y, part = o * args.n_parts + gl_WorkGroupID.x;
    uint per_part = (args.n_values + args.n_parts - 1u) / args.n_parts;
    first_id = gl_WorkGroupID.x * per_part;
    row_at = o * args.n_values;
    uint n = min(first_id + per_part, args.n_values) - min(first_id, args.n_values);
    uint found = find_best(n, 4u * part);

    uint k = step_words[args.draws_at + PD_DRAW_WORDS * o + PD_DRAW_K];
    if (k <= 1u) return;
    uvec2 threshold = found > k ? select_threshold(n, k) : uvec2(0u);
    uint to = args.candidates_at + 2u * (o * args.n_parts * PD_DRAW_MAX_K + gl_WorkGroupID.x * k);
    for (uint i = gl_LocalInvocationID.x; i < n; i += WG) {
        uint key, id;
        if (!fetch(i, key, id) || !select_is_in(key, id, threshold)) continue;
        uint slot = atomicAdd(n_written, 1u);
        partial[to + 2u * slot] = key;
        partial[to + 2u * slot + 1u] = id;
    }
    for (uint slot = found + gl_LocalInvocationID.x; slot < k; slot += WG) partial[to + 2u * slot] = 0u;
}
