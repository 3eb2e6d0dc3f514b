/* Parts of `peridot verify`.  SPDX-License-Identifier: MIT */
#ifndef PD_PACK_VERIFY_H
#define PD_PACK_VERIFY_H

#include "cli/commands.h"
#include "pack/digest.h"
#include "file/gguf.h"

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
    pd_gguf *file;
    uint32_t n_threads;
    verify_stats *stats;      /* [tensors] */
    verify_finding *findings; /* [tensors] */
    cli_digest_text *digests; /* [parts] */
    uint64_t n_wrong, first_wrong;
    pd_error structure; /* what a run would refuse the file for; PD_OK: nothing */
} verification;

/* verify_read.c: reads every byte of the file once. Errors: CANCELLED, MEMORY_HOST, INTERNAL. */
pd_status verify_read(verification *v, pd_error *err);

/* verify_json.c */
pd_status verify_print_json(const verification *v, pd_error *err);

#endif
