/* See head.h.  SPDX-License-Identifier: MIT */
#include "model/lm_head.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"

enum { BATCH_BYTES = 8 << 20, GRAIN_ROWS = 16 };

/* ---- choosing ------------------------------------------------------------------------------- */

static const pd_type_info *wanted_type(pd_head_type wanted) {
    switch (wanted) {
    case PD_HEAD_KEEP: break;
    case PD_HEAD_Q8_0: return pd_type_get(PD_TYPE_Q8_0);
    case PD_HEAD_Q6_K: return pd_type_get(PD_TYPE_Q6_K);
    case PD_HEAD_Q4_0: return pd_type_get(PD_TYPE_Q4_0);
    }
    return NULL;
}

static bool is_smaller(const pd_type_info *a, const pd_type_info *b) {
    return (uint64_t)a->block_bytes * b->block_values < (uint64_t)b->block_bytes * a->block_values;
}

pd_status pd_lm_head_choose(pd_weights *w, pd_head_type wanted, pd_lm_head *head, pd_error *err) {
    *head = (pd_lm_head){.stored = w->output};
    const pd_tensor *stored = w->output;
    const pd_type_info *type = wanted_type(wanted);
    if (!type) return PD_OK;
    if (!is_smaller(type, pd_type_get((uint32_t)stored->type))) {
        pd_log(PD_LOG_INFO, "model", "the head %s stays %s: %s would not be smaller", stored->name,
               pd_type_name((uint32_t)stored->type), type->name);
        return PD_OK;
    }
    if (stored->ne[0] % type->block_values != 0) {
        pd_status status = PD_RAISE(err, PD_ERR_UNSUPPORTED,
                                    "the head %s cannot become %s: its rows have %" PRIu64
                                    " values, which is no multiple of %" PRIu32,
                                    stored->name, type->name, stored->ne[0], type->block_values);
        return pd_error_hint(err, status, "rows of any Gemma 3 fit Q8_0 and Q4_0");
    }
    head->tensor = *stored;
    head->tensor.type = type->type;
    head->tensor.data = NULL;
    head->tensor.n_bytes = stored->ne[1] * pd_type_row_bytes(type, stored->ne[0]);
    head->requantised = true;
    if (w->token_embd == stored) w->token_embd = &head->tensor;
    w->output = &head->tensor;
    w->bytes_per_token -= stored->n_bytes - head->tensor.n_bytes;
    return PD_OK;
}

/* ---- filling -------------------------------------------------------------------------------- */

typedef struct fill_job {
    const pd_tensor *from, *to;
    uint8_t *out;
    uint64_t from_row, to_row; /* bytes */
    uint64_t first;            /* row of the batch */
    float *values;             /* [n_threads, width] one decoded row per thread */
} fill_job;

static void fill_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const fill_job *job = ctx;
    uint64_t width = job->from->ne[0];
    float *values = job->values + thread * width;
    for (uint64_t row = job->first + begin; row < job->first + end; row++) {
        pd_decode(job->from->type, job->from->data + row * job->from_row, width, values);
        pd_encode(job->to->type, values, width, job->out + row * job->to_row);
    }
}

static pd_status fill_batches(fill_job *job, pd_pool *pool, pd_progress_fn progress, void *ctx,
                              pd_error *err) {
    uint64_t n_rows = job->from->ne[1], at_once = BATCH_BYTES / job->from_row + 1;
    for (uint64_t n; job->first < n_rows; job->first += n) {
        n = n_rows - job->first < at_once ? n_rows - job->first : at_once;
        pd_pool_run(pool, (uint32_t)n, GRAIN_ROWS, fill_rows, job);
        if (progress && !progress(ctx, (job->first + n) * job->from_row, job->from->n_bytes))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped while the head was requantised");
    }
    return PD_OK;
}

static pd_status allocate(pd_lm_head *head, uint8_t **out, pd_error *err) {
    uint64_t bytes = head->tensor.n_bytes, free_bytes = pd_host_memory_free_bytes();
    *out = free_bytes && bytes > free_bytes ? NULL : pd_alloc(bytes, 1);
    if (*out) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST,
                    "the head as %s needs %.1f MiB of host memory, %.1f MiB are free",
                    pd_type_name((uint32_t)head->tensor.type), (double)bytes / 1048576.0,
                    (double)free_bytes / 1048576.0);
}

pd_status pd_lm_head_fill(pd_lm_head *head, uint32_t n_threads, pd_progress_fn progress, void *ctx,
                          pd_error *err) {
    if (!head->requantised) return PD_OK;
    const pd_tensor *from = head->stored, *to = &head->tensor;
    fill_job job = {.from = from,
                    .to = to,
                    .from_row = from->n_bytes / from->ne[1],
                    .to_row = to->n_bytes / to->ne[1]};
    pd_pool *pool = NULL;
    PD_TRY(allocate(head, &job.out, err));
    head->tensor.data = job.out;
    pd_status status = pd_pool_create(n_threads, &pool, err);
    if (status == PD_OK) {
        job.values = pd_alloc(pd_pool_n_threads(pool) * from->ne[0], sizeof *job.values);
        status = job.values ? fill_batches(&job, pool, progress, ctx, err)
                            : PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to requantise the head");
    }
    pd_pool_destroy(pool);
    pd_free(job.values);
    if (status != PD_OK) pd_lm_head_drop(head);
    return status;
}

void pd_lm_head_drop(pd_lm_head *head) {
    if (head->requantised) pd_free((void *)head->tensor.data);
    head->tensor.data = NULL;
}
