/* Two files side by side: what pd_files_compare is made of.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_PACK_COMPARE_H
#define PD_PACK_COMPARE_H

#include "file/gguf.h"
#include "pack/work.h"

/* Values of b against those of a. */
typedef struct compare_sums {
    uint64_t n, n_differ;
    uint64_t worst_at;
    double worst; /* largest |b - a|; infinite where only one of them is finite */
    double sum_a_sq, sum_diff_sq;
    bool same_bytes; /* stored in one type, with equal bytes */
} compare_sums;

/* A tensor of either file; sums only when both have it in the same shape. */
typedef struct compare_tensor {
    const pd_tensor *a, *b; /* NULL: not in that file */
    bool same_shape;
    compare_sums sums;
} compare_tensor;

typedef struct comparison {
    pd_gguf *a, *b;
    const pd_files_work *work;
    compare_tensor *tensors; /* those of a in its order, then those of b alone */
    uint64_t n_tensors;
} comparison;

/* compare_read.c: fills the sums. Errors: CANCELLED, MEMORY_HOST. */
pd_status compare_read(comparison *c, pd_error *err);

#endif
