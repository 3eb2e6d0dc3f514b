// draw: the best id of a row, and the token drawn from its k best, by the rules of sampling.h. One
// workgroup per output. In chained steps it then hands the token out and makes the next step's row.
//
// The row comes with the best of each of its parts (args.h). Where k parts have a best at or above some
// bound, the k best of the row are at or above it too, and so is the best of every part that one of them is
// in: only the k parts with the highest bests are looked at again.
//
// A mask of ids that may be drawn is applied to the parts before that: where the best of a part is not in
// it, the part's values that are make another best.
// SPDX-License-Identifier: MIT
#version 450
#include "sampling.h"

layout(local_size_x_id = PD_WORKGROUP) in;
layout(constant_id = PD_WORKGROUP) const uint WG = 512;
layout(constant_id = PD_SAMPLE_PART) const uint PART = 64; // values

layout(std430, binding = PD_BIND_SAMPLE_PARTS) buffer Parts { uvec2 parts[]; };           // [outs][n_parts], see args.h
layout(std430, binding = PD_BIND_SAMPLE_X) readonly buffer X { float x[]; };          // [outs][n_values]
layout(std430, binding = PD_BIND_SAMPLE_OUT) writeonly buffer Out { uvec4 results[]; }; // [outs] best, value, bad, drawn
layout(std430, binding = PD_BIND_SAMPLE_STATE) buffer State { uint state[]; };            // the step buffer from PD_STEP_STATE
layout(std430, binding = PD_BIND_SAMPLE_RING) writeonly buffer Ring { uvec4 ring[]; };   // [PD_RING_STEPS], as results
layout(push_constant) uniform Push { pd_args_sample args; };

const uint SPAN = WG, BEST_ROOM = WG;
#include "best.glsl"

uint k, first_part, row_at;
uint mask_at; // in state; 0: there is none
bool among_parts; // what fetch tells of: the parts' bests, or all values of the chosen parts
shared uint chosen[PD_SAMPLE_MAX_K];

bool is_in_mask(uint id) {
    return mask_at == 0u || (state[mask_at + id / 32u] >> (id % 32u) & 1u) != 0u;
}

bool fetch(uint i, out uint key, out uint id) {
    if (among_parts) {
        uvec2 best = parts[first_part + i];
        key = best.x;
        id = i * PART + (best.y & 0xffffu);
        return key != 0u;
    }
    id = chosen[i / PART] * PART + i % PART;
    uint bits = id < args.n_values ? floatBitsToUint(x[row_at + id]) : 0u;
    key = pd_sample_key(bits);
    return id < args.n_values && pd_sample_is_finite(bits) && pd_sample_is_allowed(id) && is_in_mask(id);
}

#include "select.glsl"

shared uint found_key[PD_SAMPLE_MAX_K], found_id[PD_SAMPLE_MAX_K]; // in any order
shared uint sorted_key[PD_SAMPLE_MAX_K], sorted_id[PD_SAMPLE_MAX_K];
shared uint weight[PD_SAMPLE_MAX_K];
shared uvec2 reached[PD_SAMPLE_MAX_K]; // sum of the weights up to here, {high, low}
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
    Best b = Best(0u, 0u, 0u);
    for (uint i = gl_LocalInvocationID.x; i < args.n_parts; i += WG) {
        uvec2 part = parts[first_part + i];
        add_candidate(b, part.x, i * PART + (part.y & 0xffffu));
        b.bad += part.y >> 16;
    }
    reduce_best(b);
}

uint best_found() {
    return best_key[0] != 0u ? best_id[0] : PD_SAMPLE_NO_ID;
}

// The best of a part's values that may be drawn, as {key, id}. Empty words of the mask cost nothing.
uvec2 best_in_mask(uint part) {
    uint begin = part * PART, end = min(begin + PART, min(args.n_values, PD_SAMPLE_END));
    Best b = Best(0u, 0u, 0u);
    for (uint first = begin; first < end; first += 32u) {
        uint bits = state[mask_at + first / 32u] >> (first % 32u); // of small parts, perhaps others' too
        for (; bits != 0u; bits &= bits - 1u) {
            uint id = first + uint(findLSB(bits));
            if (id < end) add_value(b, x[row_at + id], id);
        }
    }
    return uvec2(b.key, b.id);
}

// One workgroup for a whole row: with nearly all ids in the mask it reads little besides the parts, with
// few ids just their values, and at worst, half of them at random, half of the row, in no good order.
// Nobody waits for what is written: each invocation reads the parts that it alone writes, here and in all
// that follows.
void mask_parts() {
    for (uint i = gl_LocalInvocationID.x; i < args.n_parts; i += WG) {
        uvec2 part = parts[first_part + i];
        if (part.x == 0u || is_in_mask(i * PART + (part.y & 0xffffu))) continue;
        uvec2 best = best_in_mask(i);
        parts[first_part + i] = uvec2(best.x, (part.y & 0xffff0000u) | best.y % PART);
    }
}

// Those of n candidates that are in; returns how many, which may be more than there is room for.
uint collect(uint n, uvec2 threshold) {
    barrier(); // what was found before has been read
    if (gl_LocalInvocationID.x == 0u) n_found = 0u;
    barrier();
    for (uint i = gl_LocalInvocationID.x; i < n; i += WG) {
        uint key, id;
        if (!fetch(i, key, id) || !select_is_in(key, id, threshold)) continue;
        uint to = atomicAdd(n_found, 1u);
        if (to >= PD_SAMPLE_MAX_K) continue;
        found_key[to] = key;
        found_id[to] = id;
    }
    barrier();
    return n_found;
}

// The k best of the row in any order, and perhaps some that are worse; returns how many are found.
uint find_candidates() {
    among_parts = true;
    uvec2 threshold = select_threshold(args.n_parts, k);
    uint n = collect(args.n_parts, threshold);
    for (uint i = gl_LocalInvocationID.x; i < n; i += WG) chosen[i] = found_id[i] / PART;
    among_parts = false;
    uint found = collect(n * PART, threshold);
    if (found <= PD_SAMPLE_MAX_K) return found;
    return collect(n * PART, select_threshold(n * PART, k));
}

// Puts the k best of those found in order; returns how many there are.
uint sort_candidates() {
    uint n = find_candidates();
    for (uint i = gl_LocalInvocationID.x; i < n; i += WG) {
        uint key = found_key[i], id = found_id[i], rank = 0u;
        for (uint j = 0u; j < n; j++)
            if (found_key[j] > key || (found_key[j] == key && found_id[j] < id)) rank++;
        if (rank >= k) continue;
        sorted_key[rank] = key;
        sorted_id[rank] = id;
    }
    barrier();
    return min(n, k);
}

void weigh(uint n, float scale) {
    for (uint i = gl_LocalInvocationID.x; i < n; i += WG)
        weight[i] = pd_sample_weight(sorted_key[0], sorted_key[i], scale);
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
    uint n = sort_candidates();
    if (n == 0u) return;
    weigh(n, uintBitsToFloat(state[at + PD_SAMPLE_SCALE]));
    uint top_p = state[at + PD_SAMPLE_TOP_P], min_p = state[at + PD_SAMPLE_MIN_P];
    uvec2 enough = part_of(reached[n - 1u], top_p);
    // what either filter keeps is the first so many: weights fall
    for (uint i = gl_LocalInvocationID.x; i < n; i += WG)
        if ((top_p == 0u || i == 0u || is_less(reached_before(i), enough)) && weight[i] >= min_p)
            atomicAdd(n_kept, 1u);
    barrier();
    pd_philox_block block =
        pd_philox_block(state[at + PD_SAMPLE_COUNTER], state[at + PD_SAMPLE_COUNTER + 1u], 0u, 0u);
    block = pd_philox_rounds(block, state[at + PD_SAMPLE_SEED], state[at + PD_SAMPLE_SEED + 1u]);
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
    if (k > 1u && ++state[at + PD_SAMPLE_COUNTER] == 0u) state[at + PD_SAMPLE_COUNTER + 1u]++;
    if (result.z != 0u || result.w == state[PD_STATE_STOPS] || result.w == state[PD_STATE_STOPS + 1u])
        state[PD_STATE_GO] = 0u;
}

void main() {
    uint o = gl_WorkGroupID.y, at = args.sampling_at - PD_STEP_STATE + PD_SAMPLE_WORDS * o;
    first_part = o * args.n_parts;
    row_at = o * args.n_values;
    k = state[at + PD_SAMPLE_K];
    mask_at = state[at + PD_SAMPLE_MASK];
    if (gl_LocalInvocationID.x == 0u) {
        n_kept = 0u;
        drawn_id = PD_SAMPLE_NO_ID;
    }
    find_best(); // ends with a barrier
    uint best = best_found(), bad = best_bad[0];
    if (mask_at != 0u) {
        barrier(); // all have read that
        mask_parts();
        find_best();
    }
    if (k > 1u) draw(at);
    barrier();
    if (gl_LocalInvocationID.x != 0u) return;
    uint value = best != PD_SAMPLE_NO_ID ? floatBitsToUint(x[row_at + best]) : 0u;
    uvec4 result = uvec4(best, value, bad, k > 1u ? drawn_id : best_found());
    results[o] = result;
    if (state[PD_STATE_RUNS_AHEAD] != 0u) chain(result, at);
}
