// The best candidate for a draw among values, and how many of them are not finite: of each SPAN
// neighbouring invocations of a workgroup of WG. Both are powers of two. A candidate is {key, id}, key 0
// where there is none; ties go to the lower id. BEST_ROOM is WG, or 1 where nothing is reduced.
// SPDX-License-Identifier: MIT
#include "sampling.h"

struct Best {
    uint key, id;
    uint bad; // values that are not finite
};

shared uint best_key[BEST_ROOM], best_id[BEST_ROOM], best_bad[BEST_ROOM];

void add_candidate(inout Best b, uint key, uint id) {
    if (key < b.key || (key == b.key && id >= b.id)) return;
    b.key = key;
    b.id = id;
}

void add_value(inout Best b, float value, uint id) {
    uint bits = floatBitsToUint(value); // a driver may assume that NaN and infinity do not happen
    if (!pd_sample_is_finite(bits)) b.bad++;
    else if (pd_sample_is_allowed(id)) add_candidate(b, pd_sample_key(bits), id);
}

// Leaves the result of invocations SPAN * i and those that follow in elements SPAN * i.
void reduce_best(Best b) {
    uint i = gl_LocalInvocationIndex;
    best_key[i] = b.key;
    best_id[i] = b.id;
    best_bad[i] = b.bad;
    barrier();
    for (uint n = SPAN / 2u; n > 0u; n /= 2u) {
        if (i % SPAN < n) {
            b.bad += best_bad[i + n];
            add_candidate(b, best_key[i + n], best_id[i + n]);
            best_key[i] = b.key;
            best_id[i] = b.id;
            best_bad[i] = b.bad;
        }
        barrier();
    }
}

// The record of a part of `length` values (a power of two), whose result is in element i.
uvec2 best_record(uint i, uint length) {
    return uvec2(best_key[i], best_bad[i] << 16 | best_id[i] % length);
}
