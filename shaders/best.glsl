// The better of two candidates of an arg-max, and its reduction over a workgroup of WG. A candidate is
// {value, id}; ties go to the lower id. SPDX-License-Identifier: MIT

const uint NO_ID = 0xffffffffu;

shared float best_value[WG];
shared uint best_id[WG];
shared uint best_bad[WG]; // values that were not finite

bool is_better(float value, uint id, float than_value, uint than_id) {
    return than_id == NO_ID || (id != NO_ID && (value > than_value || (value == than_value && id < than_id)));
}

// Leaves the result in element 0.
void reduce_best(float value, uint id, uint bad) {
    uint i = gl_LocalInvocationIndex;
    best_value[i] = value;
    best_id[i] = id;
    best_bad[i] = bad;
    barrier();
    for (uint n = WG / 2u; n > 0u; n /= 2u) {
        if (i < n) {
            if (is_better(best_value[i + n], best_id[i + n], best_value[i], best_id[i])) {
                best_value[i] = best_value[i + n];
                best_id[i] = best_id[i + n];
            }
            best_bad[i] += best_bad[i + n];
        }
        barrier();
    }
}
