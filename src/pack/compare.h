/* Two files side by side: what pd_files_compare is made of, and `peridot inspect A B`.
 * SPDX-License-Identifier: MIT */
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

/* Root of the mean square difference over that of a; 0 when they are equal. */
double compare_rms(const compare_sums *s);
static inline bool compare_is_same(const compare_tensor *t) {
    return t->a && t->b && t->same_shape && t->sums.same_bytes;
}
bool compare_values_same(const pd_gguf_value *a, const pd_gguf_value *b);
/* The setting of that key in the other file, or NULL. */
const pd_gguf_value *compare_find_value(const pd_gguf *g, const pd_gguf_value *v);

/* Pairs the tensors of a and b and reads them: fills the rest. Free it also after an error. */
pd_status compare_files(comparison *c, pd_error *err);
void compare_free(comparison *c); /* closes the files too */

/* compare_read.c: fills the sums. Errors: CANCELLED, MEMORY_HOST. */
pd_status compare_read(comparison *c, pd_error *err);

#endif
