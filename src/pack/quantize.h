/* Parts of pd_files_quantize.  SPDX-License-Identifier: MIT */
#ifndef PD_PACK_QUANTIZE_H
#define PD_PACK_QUANTIZE_H

#include "file/gguf.h"
#include "pack/work.h"

typedef struct quantize_tensor {
    const pd_tensor *from;
    pd_type type;
    bool is_head;     /* the embedding, or the output matrix */
    bool is_fallback; /* the blocks of the wanted type do not divide its rows */
} quantize_tensor;

typedef struct quantize_job {
    const char *in_path, *out_path;
    pd_type type, head_type;
    bool head_named; /* it must fit */
    const pd_files_work *work;
    pd_gguf *in;
    quantize_tensor *tensors;   /* in the file's order */
    pd_quantize_report *report; /* counts, sizes */
} quantize_job;

/* quantize_plan.c: which type each tensor of job->in gets; fills tensors and the report, but for
 * the time. Errors: ARGUMENT when a type that the user named does not fit, MEMORY_HOST. */
pd_status quantize_plan(quantize_job *job, pd_error *err);
/* Metadata and the directory. */
void quantize_declare(const quantize_job *job, pd_gguf_writer *w);

/* quantize_write.c: all tensors' data. Errors: FORMAT for values that the types cannot hold,
 * CANCELLED, MEMORY_HOST. The writer keeps its own. */
pd_status quantize_write_data(const quantize_job *job, pd_gguf_writer *w, pd_error *err);

#endif
