// Sums and maxima over a workgroup through shared memory, for any workgroup size that is a power of two and
// whatever the subgroup size is. The includer's local size is WG. SPDX-License-Identifier: MIT

shared float reduce_scratch[WG];

float workgroup_sum(float v) {
    uint i = gl_LocalInvocationIndex;
    reduce_scratch[i] = v;
    barrier();
    for (uint n = WG / 2u; n > 0u; n /= 2u) {
        if (i < n) reduce_scratch[i] += reduce_scratch[i + n];
        barrier();
    }
    float sum = reduce_scratch[0];
    barrier(); // the scratch may be written again
    return sum;
}

float workgroup_max(float v) {
    uint i = gl_LocalInvocationIndex;
    reduce_scratch[i] = v;
    barrier();
    for (uint n = WG / 2u; n > 0u; n /= 2u) {
        if (i < n) reduce_scratch[i] = max(reduce_scratch[i], reduce_scratch[i + n]);
        barrier();
    }
    float most = reduce_scratch[0];
    barrier();
    return most;
}
