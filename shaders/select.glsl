// The k highest of n candidates, by a workgroup of WG (at least 16): a radix selection that looks at 8
// bits at a time, first of the keys, then, among equal keys that cannot all be taken, of the ids, lower
// ones first. The includer has
//     bool fetch(uint i, out uint key, out uint id)     candidate i; false: there is none
// Invocation j is the only one that fetches candidates j, j + WG, j + 2 WG, ...
// SPDX-License-Identifier: MIT

const uint SELECT_BINS = 256u, SELECT_GROUP = 16u;

shared uint select_bins[SELECT_BINS];
shared uint select_sums[SELECT_BINS / SELECT_GROUP];
shared uint select_found, select_above; // a digit, and how many candidates have a higher one

uint select_inverse(uint id) {
    return ~id & 0xffffffu;
}

// Bits of (key, inverse) that passes before `pass` have settled.
uvec2 select_mask(uint pass) {
    uint key = pass == 0u ? 0u : pass >= 4u ? 0xffffffffu : 0xffffffffu << (32u - 8u * pass);
    uint inverse = pass <= 4u ? 0u : 0xffffffu & (0xffffffu << (24u - 8u * (pass - 4u)));
    return uvec2(key, inverse);
}

// The digit that the candidate of rank `left` from above has.
void select_find(uint left) {
    uint i = gl_LocalInvocationIndex;
    if (i < SELECT_BINS / SELECT_GROUP) {
        uint sum = 0u;
        for (uint b = 0u; b < SELECT_GROUP; b++) sum += select_bins[i * SELECT_GROUP + b];
        select_sums[i] = sum;
    }
    barrier();
    if (i == 0u) {
        uint above = 0u, g = SELECT_BINS / SELECT_GROUP - 1u;
        while (g > 0u && above + select_sums[g] < left) above += select_sums[g--];
        uint b = g * SELECT_GROUP + SELECT_GROUP - 1u;
        while (b > g * SELECT_GROUP && above + select_bins[b] < left) above += select_bins[b--];
        select_found = b;
        select_above = above;
    }
    barrier();
}

// The lowest (key, inverse) among the k > 0 best; 0, which all are above, where there are fewer than k.
uvec2 select_threshold(uint n, uint k) {
    uvec2 threshold = uvec2(0u);
    uint left = k;
    for (uint pass = 0u; pass < 7u; pass++) {
        uvec2 mask = select_mask(pass);
        uint shift = pass < 4u ? 24u - 8u * pass : 16u - 8u * (pass - 4u);
        for (uint b = gl_LocalInvocationIndex; b < SELECT_BINS; b += WG) select_bins[b] = 0u;
        barrier();
        for (uint i = gl_LocalInvocationIndex; i < n; i += WG) {
            uint key, id;
            if (!fetch(i, key, id)) continue;
            uvec2 c = uvec2(key, select_inverse(id));
            if ((c & mask) != threshold) continue;
            atomicAdd(select_bins[((pass < 4u ? c.x : c.y) >> shift) & 0xffu], 1u);
        }
        barrier();
        select_find(left);
        left -= select_above;
        if (pass < 4u) threshold.x |= select_found << shift;
        else threshold.y |= select_found << shift;
        bool all_in = select_bins[select_found] <= left;
        barrier(); // the bins may be written again
        if (all_in) break;
    }
    return threshold;
}

bool select_is_in(uint key, uint id, uvec2 threshold) {
    return key > threshold.x || (key == threshold.x && select_inverse(id) >= threshold.y);
}
