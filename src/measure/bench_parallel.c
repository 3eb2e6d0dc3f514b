/* See bench_parallel.h.  SPDX-License-Identifier: MIT */
#include "measure/bench_parallel.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "plan/step.h"

/* ---- a test --------------------------------------------------------------------------------- */

uint64_t pd_parallel_n_prompt(const pd_parallel_test *t) {
    return (uint64_t)t->n_prompt * (t->shared_prompt ? 1 : t->n_seqs);
}

uint64_t pd_parallel_n_kv(const pd_parallel_test *t) {
    return pd_parallel_n_prompt(t) + (uint64_t)t->n_gen * t->n_seqs;
}

/* The last token that is drawn is nobody's row. */
static uint64_t positions_of(const pd_parallel_test *t) {
    return (uint64_t)t->n_prompt + t->n_gen;
}

/* A page more than the positions need: a prompt's last page is copied before it is gone on with.
 * All prompts are kept, whatever they take. */
pd_batch_desc pd_parallel_batch(const pd_parallel_test *t, pd_precision precision) {
    uint32_t n_ctx = (uint32_t)pd_round_up(positions_of(t) + PD_PAGE_POSITIONS, PD_PAGE_POSITIONS);
    return (pd_batch_desc){
        .session = {.n_ctx = n_ctx, .n_chunk = t->n_ubatch, .precision = precision},
        .n_parallel = t->n_seqs,
        .cache_bytes = UINT64_MAX - 1};
}

pd_status pd_parallel_check(const pd_parallel_test *t, uint32_t n_train, pd_error *err) {
    uint64_t n = positions_of(t);
    if (n <= n_train) return PD_OK;
    return PD_RAISE(err, PD_ERR_CONTEXT, "the tests need %llu positions, but the model has %u",
                    (unsigned long long)n, n_train);
}

/* ---- a run ---------------------------------------------------------------------------------- */

/* Until it is over it is the batch's thread's. */
struct pd_parallel {
    const pd_parallel_test *test;
    pd_batch *batch;
    const atomic_int *stop;
    uint32_t *ids;         /* [n_seqs, n_prompt + 1]: a prompt, and what its answer begins with */
    pd_request **requests; /* [2 * n_seqs] prompts, then answers */
    uint32_t n_requests;   /* of them handed over */
    uint32_t n_left;       /* of the kind that is being computed */
    uint64_t start_ns, fed_ns, end_ns;
    pd_error error; /* the first one; status PD_OK: none */
};
typedef struct pd_parallel run;

static void note_error(run *r, const pd_error *err) {
    if (r->error.status == PD_OK) r->error = *err;
}

static void cancel_all(run *r) {
    for (uint32_t i = 0; i < r->n_requests; i++) pd_request_cancel(r->requests[i]);
}

static void hand_over(run *r, const pd_request_desc *desc) {
    pd_error err;
    if (r->error.status != PD_OK) return;
    if (pd_batch_submit(r->batch, desc, &r->requests[r->n_requests], &err) == PD_OK)
        r->n_requests++;
    else
        note_error(r, &err);
}

/* The first n tokens of a sequence. */
static pd_request_desc request_of(run *r, uint32_t seq, uint32_t n, pd_event_fn fn) {
    const uint32_t *ids = r->ids + (size_t)seq * (r->test->n_prompt + 1);
    return (pd_request_desc){
        .prompt = {.ids = ids, .n_ids = n}, .ignore_stop = true, .fn = fn, .ctx = r};
}

/* What every event is asked; false: there is no going on. */
static bool goes_on(run *r, const pd_event *e) {
    if (r->stop && atomic_load(r->stop)) cancel_all(r);
    if (e->kind == PD_EVENT_DONE && e->status != PD_OK) {
        note_error(r, e->error);
        cancel_all(r);
    }
    return r->error.status == PD_OK;
}

/* A pd_event_fn of answers. */
static bool on_answer(void *ctx, const pd_event *e) {
    run *r = ctx;
    if (!goes_on(r, e) || e->kind != PD_EVENT_DONE) return true;
    if (e->stats->n_cached < r->test->n_prompt) {
        pd_error err;
        PD_RAISE(&err, PD_ERR_MEMORY_DEVICE,
                 "there is no room for %u sequences of %u positions at once", r->test->n_seqs,
                 pd_batch_n_ctx(r->batch));
        note_error(r, &err);
    }
    if (--r->n_left == 0) r->end_ns = pd_clock_ns();
    return true;
}

static void hand_over_answers(run *r) {
    r->n_left = r->test->n_seqs;
    for (uint32_t i = 0; i < r->test->n_seqs; i++) {
        pd_request_desc desc = request_of(r, i, r->test->n_prompt + 1, on_answer);
        desc.n_max = r->test->n_gen;
        hand_over(r, &desc);
    }
}

/* A pd_event_fn of prompts. */
static bool on_prompt(void *ctx, const pd_event *e) {
    run *r = ctx;
    if (!goes_on(r, e) || e->kind != PD_EVENT_DONE) return true;
    if (--r->n_left > 0) return true;
    r->fed_ns = pd_clock_ns();
    hand_over_answers(r);
    return true;
}

/* A pd_event_fn of the first request: all prompts are there when the next step is made. */
static bool on_first(void *ctx, const pd_event *e) {
    run *r = ctx;
    if (!goes_on(r, e) || e->kind != PD_EVENT_DONE) return true;
    r->n_left = r->test->shared_prompt ? 1 : r->test->n_seqs;
    r->start_ns = pd_clock_ns();
    for (uint32_t i = 0, n = r->n_left; i < n; i++) {
        pd_request_desc desc = request_of(r, i, r->test->n_prompt, on_prompt);
        desc.prompt_only = desc.no_cache = true;
        hand_over(r, &desc);
    }
    return true;
}

/* Each request's function has returned before its wait does, so that those it has handed over are
 * counted then. */
pd_status pd_parallel_once(pd_parallel *r, uint64_t *prompt_ns, uint64_t *gen_ns, pd_error *err) {
    pd_request *first;
    pd_request_desc desc = request_of(r, 0, 1, on_first);
    desc.prompt_only = desc.no_cache = true;
    pd_batch_clear(r->batch);
    r->n_requests = 0;
    PD_TRY(pd_batch_submit(r->batch, &desc, &first, err));
    pd_request_wait(first);
    pd_request_free(first);
    for (uint32_t i = 0; i < r->n_requests; i++) pd_request_wait(r->requests[i]);
    for (uint32_t i = 0; i < r->n_requests; i++) pd_request_free(r->requests[i]);
    *prompt_ns = r->fed_ns - r->start_ns;
    *gen_ns = r->end_ns - r->fed_ns;
    return pd_error_again(err, &r->error);
}

/* ---- all runs ------------------------------------------------------------------------------- */

static void share_prompt(const pd_parallel_test *t, uint32_t *ids) {
    for (uint32_t i = 1; i < t->n_seqs; i++)
        memcpy(ids + (size_t)i * (t->n_prompt + 1), ids, t->n_prompt * sizeof *ids);
}

static pd_status fill(run *r, pd_model *model, pd_precision precision, pd_error *err) {
    const pd_parallel_test *t = r->test;
    pd_batch_desc desc = pd_parallel_batch(t, precision);
    size_t n_ids = (size_t)t->n_seqs * (t->n_prompt + 1);
    r->ids = pd_alloc(n_ids, sizeof *r->ids);
    r->requests = pd_alloc((size_t)t->n_seqs * 2, sizeof *r->requests);
    if (!r->ids || !r->requests)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the test's requests");
    pd_bench_fill_ids(r->ids, (uint32_t)n_ids, pd_model_get_info(model)->n_vocab);
    if (t->shared_prompt) share_prompt(t, r->ids);
    return pd_batch_create(model, &desc, &r->batch, err);
}

pd_status pd_parallel_open(const pd_parallel_test *t, pd_model *model, pd_precision precision,
                           const atomic_int *stop, pd_parallel **out, pd_error *err) {
    *out = NULL;
    pd_parallel *r = pd_alloc(1, sizeof *r);
    if (!r) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the test");
    r->test = t;
    r->stop = stop;
    pd_status status = fill(r, model, precision, err);
    if (status == PD_OK)
        *out = r;
    else
        pd_parallel_close(r);
    return status;
}

void pd_parallel_close(pd_parallel *r) {
    if (!r) return;
    pd_batch_destroy(r->batch);
    pd_free(r->requests);
    pd_free(r->ids);
    pd_free(r);
}

static pd_status run_all(run *r, pd_parallel_result *out, pd_error *err) {
    uint64_t not_timed;
    PD_TRY(pd_parallel_once(r, &not_timed, &not_timed, err));
    for (uint32_t i = 0; i < out->n_samples; i++)
        PD_TRY(pd_parallel_once(r, &out->prompt_ns[i], &out->gen_ns[i], err));
    return PD_OK;
}

typedef struct speeds {
    const uint64_t *ns;
    uint64_t n_tokens;
} speeds;

/* A pd_value_fn. */
static double speed_of(const void *ctx, uint32_t i) {
    const speeds *s = ctx;
    return s->ns[i] ? 1e9 * (double)s->n_tokens / (double)s->ns[i] : 0;
}

/* sorted: [n] scratch */
static double median_s(const uint64_t *ns, uint32_t n, double *sorted) {
    for (uint32_t i = 0; i < n; i++) sorted[i] = (double)ns[i] * 1e-9;
    pd_sort_doubles(sorted, n);
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

static pd_status sum_up(const pd_parallel_test *t, pd_parallel_result *out, pd_error *err) {
    uint32_t n = out->n_samples;
    double *sorted = pd_alloc(n, sizeof *sorted);
    if (!sorted) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the test's times");
    speeds prompt = {out->prompt_ns, pd_parallel_n_prompt(t)},
           gen = {out->gen_ns, (uint64_t)t->n_gen * t->n_seqs};
    out->prompt_s = median_s(out->prompt_ns, n, sorted);
    out->gen_s = median_s(out->gen_ns, n, sorted);
    out->prompt_stddev = pd_stats_of(speed_of, &prompt, n).stddev;
    out->gen_stddev = pd_stats_of(speed_of, &gen, n).stddev;
    pd_free(sorted);
    return PD_OK;
}

pd_status pd_parallel_run(const pd_parallel_test *t, pd_model *model, pd_precision precision,
                          const atomic_int *stop, pd_parallel_result *out, pd_error *err) {
    pd_parallel *r;
    pd_clock_utc(out->test_time);
    PD_TRY(pd_parallel_open(t, model, precision, stop, &r, err));
    pd_status status = run_all(r, out, err);
    pd_parallel_close(r);
    return status == PD_OK ? sum_up(t, out, err) : status;
}
