/* Two models, or one on two devices or in two precisions, over the same window: logits of both come
 * to the host some positions at a time, first the reference's, and each position's are compared by
 * one thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "engine/divergence.h"
#include "measure/score.h"
#include "plan/sample.h"

enum { SLICE = 64 }; /* positions at a time: at most 64 MiB of logits */

typedef struct pair_slice {
    pd_score_item *items; /* of the slice */
    const uint32_t *next; /* the token that follows each position */
    uint32_t first;       /* position of the slice's first row */
    uint32_t n_ids;       /* that both models have */
    uint32_t width;       /* of the reference's rows */
    float *reference;     /* [SLICE, width] */
    const float *logits;  /* the model's, from row `done` on */
    uint32_t logits_width;
    uint32_t done;
    pd_pool *pool;
} pair_slice;

/* A pd_logits_fn. */
static pd_status keep_rows(void *ctx, uint32_t pos, uint32_t n_rows, const float *logits,
                           pd_error *err) {
    pair_slice *s = ctx;
    (void)err;
    memcpy(s->reference + (size_t)(pos - s->first) * s->width, logits,
           (size_t)n_rows * s->width * sizeof *logits);
    return PD_OK;
}

/* The highest of those that may be drawn, as pd_session_argmax has it. */
static uint32_t best_of(const float *logits, uint32_t n) {
    return pd_sample_token(&(pd_sample_params){0}, logits, n);
}

static void compare_rows(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    pair_slice *s = ctx;
    (void)thread;
    for (uint32_t r = begin; r < end; r++) {
        const float *p = s->reference + (size_t)(s->done + r) * s->width;
        const float *q = s->logits + (size_t)r * s->logits_width;
        uint32_t next = s->next[s->done + r];
        pd_score_item *item = &s->items[s->done + r];
        pd_divergence d = pd_divergence_none();
        for (uint32_t id = 0; id < s->n_ids; id++)
            pd_divergence_add(&d, id, (double)p[id], (double)q[id]);
        item->kl = fmax(pd_divergence_kl(&d), 0); /* rounding */
        item->log_prob = (float)((double)q[next] - pd_divergence_log_sum_b(&d));
        item->reference_log_prob = (float)((double)p[next] - pd_divergence_log_sum_a(&d));
        item->best = best_of(q, s->n_ids);
        item->reference_best = best_of(p, s->n_ids);
    }
}

/* A pd_logits_fn. */
static pd_status compare_with_kept(void *ctx, uint32_t pos, uint32_t n_rows, const float *logits,
                                   pd_error *err) {
    pair_slice *s = ctx;
    (void)err;
    s->done = pos - s->first;
    s->logits = logits;
    pd_pool_run(s->pool, n_rows, 1, compare_rows, s);
    return PD_OK;
}

/* ids: up to the slice's end */
static pd_status run_slice(const pd_score_job *job, pair_slice *s, const uint32_t *ids,
                           uint32_t n_ids, pd_error *err) {
    pd_prompt prompt = {.ids = ids, .n_ids = n_ids};
    PD_TRY(pd_session_score(job->reference, &prompt, s->first, keep_rows, s, err));
    return pd_session_score(job->session, &prompt, s->first, compare_with_kept, s, err);
}

pd_status pd_score_pair_window(const pd_score_job *job, const uint32_t *ids, pd_pool *pool,
                               pd_score_item *items, pd_error *err) {
    uint32_t width = pd_model_get_info(job->reference_model)->n_vocab;
    uint32_t logits_width = pd_model_get_info(job->model)->n_vocab;
    pair_slice s = {.pool = pool,
                    .width = width,
                    .logits_width = logits_width,
                    .n_ids = width < logits_width ? width : logits_width};
    s.reference = pd_alloc((size_t)SLICE * width, sizeof *s.reference);
    if (!s.reference) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for logits");
    pd_status status = PD_OK;
    uint32_t last = job->windows.length - 1;
    for (uint32_t first = job->windows.first; status == PD_OK && first < last; first += SLICE) {
        s.first = first;
        s.items = items + (first - job->windows.first);
        s.next = ids + first + 1;
        status = run_slice(job, &s, ids, last - first < SLICE ? last : first + SLICE, err);
    }
    pd_free(s.reference);
    return status;
}
