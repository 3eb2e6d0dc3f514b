// draw, second half: the best of a row's parts, and the token drawn from the k best of their candidates,
// by the rules of sampling.h. One workgroup per output. In chained steps it then hands the token out and
// makes the next step's row. SPDX-License-Identifier: MIT
#version 450
#include "sampling.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 512;

layout(std430, binding = 0) readonly buffer Part { uint partial[]; };  // args.h
layout(std430, binding = 1) writeonly buffer Out { uvec4 results[]; }; // [outs] best, value, bad, drawn
layout(std430, binding = 2) buffer State { uint state[]; };            // the step buffer from PD_STEP_STATE
layout(std430, binding = 3) writeonly buffer Ring { uvec4 ring[]; };   // [PD_RING_STEPS], as results
layout(push_constant) uniform Push { pd_args_draw args; };

#include "best.glsl"

uint k, first_part;

bool fetch(uint i, out uint key, out uint id) {
    uint from = args.candidates_at + 2u * (first_part * PD_DRAW_MAX_K + i);
    key = partial[from];
    id = partial[from + 1u];
    return key != 0u;
}

#include "select.glsl"

shared uint found_key[PD_DRAW_MAX_K], found_id[PD_DRAW_MAX_K]; // in any order
shared uint sorted_key[PD_DRAW_MAX_K], sorted_id[PD_DRAW_MAX_K];
shared uint weight[PD_DRAW_MAX_K];
shared uvec2 reached[PD_DRAW_MAX_K]; // sum of the weights up to here, {high, low}
shared uint n_found, n_kept, drawn_id;

// ---- 64-bit sums: {high, low} ----

bool is_less(uvec2 a, uvec2 b) {
    return a.x < b.x || (a.x == b.x && a.y < b.y);
}

uvec2 part_of(uvec2 total, uint fraction) { // (total * fraction) >> 32
    uint high, low, carry;
    umulExtended(total.x, fraction, high, low);
    low = uaddCarry(low, pd_mul_high(total.y, fraction), carry);
    return uvec2(high + carry, low);
}

uvec2 reached_before(uint i) {
    return i == 0u ? uvec2(0u) : reached[i - 1u];
}

// ---- the draw ----

void find_best() {
    float value = 0.0;
    uint id = NO_ID, bad = 0u;
    for (uint i = gl_LocalInvocationID.x; i < args.n_parts; i += WG) {
        uint from = 4u * (first_part + i);
        float v = uintBitsToFloat(partial[from + 1u]);
        if (is_better(v, partial[from], value, id)) {
            value = v;
            id = partial[from];
        }
        bad += partial[from + 2u];
    }
    reduce_best(value, id, bad);
}

// The k best of all parts' candidates, best first; returns how many there are.
uint find_candidates() {
    uint local = 0u, n = args.n_parts * k;
    for (uint i = gl_LocalInvocationID.x; i < args.n_parts; i += WG) 
        local += min(partial[4u * (first_part + i) + 3u], k);
    atomicAdd(n_found, local);
    barrier();
    uint total = n_found;
    barrier();
    uvec2 threshold = total > k ? select_threshold(n, k) : uvec2(0u);
    if (gl_LocalInvocationID.x == 0u) n_found = 0u;
    barrier();
    for (uint i = gl_LocalInvocationID.x; i < n; i += WG) {
        uint key, id;
        if (!fetch(i, key, id) || !select_is_in(key, id, threshold)) continue;
        uint to = atomicAdd(n_found, 1u);
        found_key[to] = key;
        found_id[to] = id;
    }
    barrier();
    n = n_found;
    for (uint i = gl_LocalInvocationID.x; i < n; i += WG) {
        uint key = found_key[i], id = found_id[i], rank = 0u;
        for (uint j = 0u; j < n; j++)
            if (found_key[j] > key || (found_key[j] == key && found_id[j] < id)) rank++;
        sorted_key[rank] = key;
        sorted_id[rank] = id;
    }
    barrier();
    return n;
}

void weigh(uint n, float scale) {
    for (uint i = gl_LocalInvocationID.x; i < n; i += WG)
        weight[i] = pd_draw_weight(sorted_key[0], sorted_key[i], scale);
    barrier();
    for (uint i = gl_LocalInvocationID.x; i < n; i += WG) {
        uint high = 0u, low = 0u, carry; // sums of the weights' halves
        for (uint j = 0u; j <= i; j++) {
            high += weight[j] >> 16;
            low += weight[j] & 0xffffu;
        }
        low = uaddCarry(high << 16, low, carry);
        reached[i] = uvec2((high >> 16) + carry, low);
    }
    barrier();
}

void draw(uint at) {
    uint n = find_candidates();
    if (n == 0u) return;
    weigh(n, uintBitsToFloat(state[at + PD_DRAW_SCALE]));
    uint top_p = state[at + PD_DRAW_TOP_P], min_p = state[at + PD_DRAW_MIN_P];
    uvec2 enough = part_of(reached[n - 1u], top_p);
    // what either filter keeps is the first so many: weights fall
    for (uint i = gl_LocalInvocationID.x; i < n; i += WG)
        if ((top_p == 0u || i == 0u || is_less(reached_before(i), enough)) && weight[i] >= min_p)
            atomicAdd(n_kept, 1u);
    barrier();
    pd_philox_block block =
        pd_philox_block(state[at + PD_DRAW_COUNTER], state[at + PD_DRAW_COUNTER + 1u], 0u, 0u);
    block = pd_philox_rounds(block, state[at + PD_DRAW_SEED], state[at + PD_DRAW_SEED + 1u]);
    uvec2 target = part_of(reached[n_kept - 1u], block.a);
    for (uint i = gl_LocalInvocationID.x; i < n_kept; i += WG)
        if (is_less(target, reached[i]) && !is_less(target, reached_before(i))) drawn_id = sorted_id[i];
}

// The row of the next step. A step that runs although it is not wanted any more changes nothing.
void chain(uvec4 result, uint at) {
    const uint row = PD_STEP_ROWS - PD_STEP_STATE;
    state[PD_STATE_N_RUN]++;
    if (state[PD_STATE_GO] == 0u) return;
    ring[state[PD_STATE_N_STEPS]++ % PD_RING_STEPS] = result;
    state[row] = result.w;
    state[row + 1u]++; // position
    state[row + 3u]++; // end of what it sees
    if (k > 1u && ++state[at + PD_DRAW_COUNTER] == 0u) state[at + PD_DRAW_COUNTER + 1u]++;
    if (result.z != 0u || result.w == state[PD_STATE_STOPS] || result.w == state[PD_STATE_STOPS + 1u])
        state[PD_STATE_GO] = 0u;
}

void main() {
    uint o = gl_WorkGroupID.y, at = args.draws_at - PD_STEP_STATE + PD_DRAW_WORDS * o;
    first_part = o * args.n_parts;
    k = state[at + PD_DRAW_K];
    if (gl_LocalInvocationID.x == 0u) {
        n_found = n_kept = 0u;
        drawn_id = PD_DRAW_NO_ID;
    }
    find_best(); // ends with a barrier
    if (k > 1u) draw(at);
    barrier();
    if (gl_LocalInvocationID.x != 0u) return;
    uvec4 result = uvec4(best_id[0], floatBitsToUint(best_value[0]), best_bad[0], k > 1u ? drawn_id : best_id[0]);
    results[o] = result;
    if (state[PD_STATE_CHAINED] != 0u) chain(result, at);
}
