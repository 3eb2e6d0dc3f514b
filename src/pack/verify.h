/* Parts of pd_files_verify.  SPDX-License-Identifier: MIT */
#ifndef PD_PACK_VERIFY_H
#define PD_PACK_VERIFY_H

#include "file/gguf.h"
#include "pack/digest.h"
#include "pack/work.h"

/* Of decoded values; all but the bad ones count for what stands behind n_bad. */
typedef struct verify_stats {
    uint64_t n, n_bad, first_bad; /* NaN or infinite */
    uint64_t n_zero, largest_at;
    float min, max, largest; /* largest: a magnitude */
    double sum, sum_abs, sum_sq;
} verify_stats;

void verify_count(const float *x, uint64_t n, uint64_t first, verify_stats *out);
/* Adds what lies behind the values of `sum`. */
void verify_add(verify_stats *sum, const verify_stats *more);

enum { VERIFY_TEXT_BYTES = 160 };
/* What is wrong with a tensor, or odd and worth a look; empty texts: nothing. */
typedef struct verify_finding {
    char wrong[VERIFY_TEXT_BYTES], odd[VERIFY_TEXT_BYTES];
} verify_finding;
void verify_judge(const pd_tensor *t, const verify_stats *s, verify_finding *out);

typedef struct verification {
    pd_verification report; /* first: pd_verification_free gets a pointer to it */
    pd_gguf *file;
    const pd_files_work *work;
    verify_stats *stats;         /* [tensors] */
    verify_finding *findings;    /* [tensors] */
    pd_verified_file *files;     /* [parts] */
    pd_verified_tensor *tensors; /* [tensors] */
} verification;

/* verify_read.c: reads every byte of the file once; fills stats, findings and the digests of files.
 * Errors: CANCELLED, MEMORY_HOST, INTERNAL. */
pd_status verify_read(verification *v, pd_error *err);

#endif
