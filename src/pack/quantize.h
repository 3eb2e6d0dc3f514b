/* Parts of `peridot quantize`.  SPDX-License-Identifier: MIT */
#ifndef PD_PACK_QUANTIZE_H
#define PD_PACK_QUANTIZE_H

#include "cli/commands.h"
#include "file/gguf.h"

typedef struct quantize_tensor {
    const pd_tensor *from;
    pd_type type;
    bool is_head;     /* the embedding, or the output matrix */
    bool is_fallback; /* the blocks of the wanted type do not divide its rows */
} quantize_tensor;

typedef struct quantize_job {
    const char *in_path, *out_path;
    pd_type type, head_type;
    bool head_named; /* by --embedding or --pure: it must fit */
    bool dry_run;
    uint32_t n_threads; /* 0: one per processor */
    pd_gguf *in;
    quantize_tensor *tensors; /* in the file's order */
    uint64_t n_tensors;
    uint64_t in_bytes, out_bytes, n_values; /* of the tensors */
    uint64_t n_fallback, n_requantised;
} quantize_job;

/* quantize_plan.c: which type each tensor of job->in gets; fills tensors and what is counted.
 * Errors: ARGUMENT when a type that the user named does not fit, MEMORY_HOST. */
pd_status quantize_plan(quantize_job *job, pd_error *err);
/* Metadata and the directory. */
void quantize_declare(const quantize_job *job, pd_gguf_writer *w);

/* quantize_write.c: all tensors' data. Errors: FORMAT for values that the types cannot hold,
 * CANCELLED, MEMORY_HOST. The writer keeps its own. */
pd_status quantize_write_data(const quantize_job *job, pd_gguf_writer *w, pd_error *err);

#endif
