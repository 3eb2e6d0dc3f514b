/* See tensor_pass.h.  SPDX-License-Identifier: MIT */
#include "pack/tensor_pass.h"

#include <float.h>
#include <math.h>

/* The largest magnitude that does not become infinite. Scales are f16: what is above its range has
 * no place in any type but the two with the exponents of f32. */
static float limit_of(pd_type type) {
    return type == PD_TYPE_F32 ? FLT_MAX : type == PD_TYPE_BF16 ? 0x1.fefffep127f : 0x1.ffdffep15f;
}

bool pass_fits(const float *x, uint64_t n, pd_type type) {
    float limit = limit_of(type);
    unsigned n_outside = 0;
    for (uint64_t i = 0; i < n; i++) n_outside += !(fabsf(x[i]) <= limit);
    return n_outside == 0;
}

/* At least the page size of every system: whole pages only are given back, and the next call begins
 * where this one could not go on. */
enum { STEP_BYTES = 1 << 16 };

void pass_forget(pass_trail *trail, uint32_t part, uint64_t end) {
    if (trail->part != part) {
        const pd_mapping *before = pd_gguf_part_mapping(trail->file, trail->part);
        pd_mapping_forget(before, trail->at, before->size - trail->at);
        *trail = (pass_trail){.file = trail->file, .part = part};
    }
    if (end < trail->at + STEP_BYTES) return;
    end -= end % STEP_BYTES;
    pd_mapping_forget(pd_gguf_part_mapping(trail->file, part), trail->at, end - trail->at);
    trail->at = end;
}
