// Splits of a query's positions, each with its own maximum and total, to one result. The includer
// declares QUADS and the buffer partial: per split QUADS sums, then {maximum, total, 0, 0}.
// SPDX-License-Identifier: MIT

// 4 dimensions of the query whose splits begin at `first`.
vec4 merged(uint first, uint n_splits, uint quad) {
    float top = -3.0e38, total = 0.0;
    for (uint s = 0u; s < n_splits; s++) {
        vec4 mt = partial[first + s * (QUADS + 1u) + QUADS];
        if (mt.y > 0.0) top = max(top, mt.x);
    }
    vec4 sum = vec4(0.0);
    for (uint s = 0u; s < n_splits; s++) { // no branch, so that the loads do not wait for each other
        uint at = first + s * (QUADS + 1u);
        vec4 mt = partial[at + QUADS];
        float scale = mt.y > 0.0 ? exp(mt.x - top) : 0.0; // an empty split's sums are 0
        sum += partial[at + quad] * scale;
        total += mt.y * scale;
    }
    return sum / total;
}
