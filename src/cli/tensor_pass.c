/* Giving back the pages of a mapping behind a reader.  SPDX-License-Identifier: MIT */
#include "cli/tensor_pass.h"

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
