/* See score.h.  SPDX-License-Identifier: MIT */
#include "measure/score.h"

#include <string.h>

#include "base/memory.h"
#include "engine/model.h"

pd_status pd_score_plan_windows(const pd_score_windows_desc *d, size_t n, pd_score_windows *w,
                                pd_error *err) {
    uint32_t length = d->length, stride = d->stride;
    if (stride >= length)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the stride must be below the window of %u tokens",
                        length);
    *w = (pd_score_windows){.length = length + stride / 2, .step = stride ? stride : length};
    if (n <= w->length) {
        *w = (pd_score_windows){.length = (uint32_t)n, .step = (uint32_t)n, .n = 1};
        return PD_OK;
    }
    if (!d->whole) w->first = stride ? w->length - stride - 1 : length / 2;
    size_t n_windows = stride ? (n - w->length + stride - 1) / stride : n / length;
    if (d->n_windows && n_windows > d->n_windows) n_windows = d->n_windows;
    if (n_windows * pd_score_per_window(w) > UINT32_MAX)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a text of %zu tokens is too long to score", n);
    w->n = (uint32_t)n_windows;
    return PD_OK;
}

typedef struct scratch {
    uint32_t *ids;    /* [windows.length] */
    float *log_probs; /* [per window] */
    uint32_t *best;
    pd_pool *pool; /* NULL without a reference */
} scratch;

/* Every window begins with <bos> if the text does. */
static void take_window(const pd_score_job *job, uint32_t window, uint32_t *ids) {
    const pd_score_windows *w = &job->windows;
    uint32_t bos = pd_vocab_special(job->model->vocab)->bos;
    memcpy(ids, job->ids + (size_t)window * w->step, w->length * sizeof *ids);
    if (job->ids[0] == bos) ids[0] = bos;
}

static void begin_items(const pd_score_windows *w, uint32_t window, const uint32_t *ids,
                        pd_score_item *items) {
    for (uint32_t i = 0; i < pd_score_per_window(w); i++) {
        uint32_t position = w->first + 1 + i;
        items[i] = (pd_score_item){.window = window, .position = position, .id = ids[position]};
    }
}

static pd_status score_window(const pd_score_job *job, const scratch *s, pd_score_item *items,
                              pd_error *err) {
    const pd_score_windows *w = &job->windows;
    PD_TRY(pd_session_log_probs(job->session, s->ids, w->length, w->first, s->log_probs, s->best,
                                err));
    for (uint32_t i = 0; i < pd_score_per_window(w); i++) {
        items[i].log_prob = s->log_probs[i];
        items[i].best = s->best[i];
    }
    return PD_OK;
}

static pd_status score_windows(const pd_score_job *job, const scratch *s, pd_score_item *items,
                               pd_error *err) {
    const pd_score_windows *w = &job->windows;
    for (uint32_t i = 0; i < w->n; i++, items += pd_score_per_window(w)) {
        take_window(job, i, s->ids);
        begin_items(w, i, s->ids, items);
        PD_TRY(job->reference ? pd_score_pair_window(job, s->ids, s->pool, items, err)
                              : score_window(job, s, items, err));
        if (job->progress && !job->progress(job->progress_ctx, i + 1, w->n))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u of %u windows", i + 1, w->n);
    }
    return PD_OK;
}

pd_status pd_score_run(const pd_score_job *job, pd_score_item *items, pd_error *err) {
    uint32_t n = pd_score_per_window(&job->windows);
    scratch s = {.ids = pd_alloc(job->windows.length, sizeof *s.ids),
                 .log_probs = pd_alloc(n, sizeof *s.log_probs),
                 .best = pd_alloc(n, sizeof *s.best)};
    pd_status status = PD_OK;
    if (!s.ids || !s.log_probs || !s.best)
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a window of %u tokens",
                          job->windows.length);
    if (status == PD_OK && job->reference) status = pd_pool_create(job->n_threads, &s.pool, err);
    if (status == PD_OK) status = score_windows(job, &s, items, err);
    if (s.pool) pd_pool_destroy(s.pool);
    pd_free(s.ids);
    pd_free(s.log_probs);
    pd_free(s.best);
    return status;
}
