/* Speed of prompts and answers behind so many tokens, as `bench` measures it.
 * SPDX-License-Identifier: MIT
 */
#include "base/memory.h"
#include "base/numbers.h"
#include "cli/compare/compare.h"

enum { N_PROMPT = 128, N_ANSWER = 16, N_SAMPLES = 3, MAX_DEPTH = 1 << 20 };

pd_status compare_read_depths(compare_job *job, pd_error *err) {
    const char *text = cli_text(job->o, OPT_COMPARE_DEPTH);
    if (!text) return PD_OK;
    return pd_numbers_parse("--n-depth", text, 0, MAX_DEPTH, &job->depths.values, &job->depths.n,
                            err);
}

pd_status compare_check_depths(const compare_job *job, uint32_t n_train, pd_error *err) {
    for (uint32_t i = 0; i < job->depths.n; i++)
        if ((uint64_t)job->depths.values[i] + N_PROMPT + 1 > n_train)
            return PD_RAISE(err, PD_ERR_CONTEXT,
                            "--n-depth %u and a prompt of %d tokens need %llu positions, but the "
                            "model has %u",
                            job->depths.values[i], N_PROMPT,
                            (unsigned long long)job->depths.values[i] + N_PROMPT + 1, n_train);
    return PD_OK;
}

typedef struct timing {
    const pd_model *model;
    pd_bench_test test;
    double speed;
} timing;

/* A cli_session_fn. */
static pd_status time_test(void *ctx, pd_session *session, pd_error *err) {
    timing *t = ctx;
    uint64_t samples[N_SAMPLES];
    pd_bench_result result = {.samples_ns = samples, .n_samples = N_SAMPLES};
    PD_TRY(pd_bench_run(&t->test, t->model, session, &result, err));
    t->speed = result.median;
    return PD_OK;
}

static pd_status speed_of(const compare_job *job, pd_model *model, pd_bench_test test,
                          double *speed, pd_error *err) {
    timing t = {.model = model, .test = test};
    uint32_t n_train = pd_model_get_info(model)->n_ctx_train;
    const pd_session_desc desc = pd_bench_session(&test, n_train, job->job.precision);
    pd_status status = cli_with_session(model, &desc, time_test, &t, err);
    *speed = t.speed;
    return status;
}

static pd_status time_depth(const compare_job *job, pd_model *model, compare_depth *d,
                            pd_error *err) {
    const uint32_t n_chunk = cli_u32(job->o, OPT_BATCH);
    const pd_bench_test prompt = {
        .n_prompt = N_PROMPT, .n_depth = d->n_depth, .n_batch = N_PROMPT, .n_ubatch = n_chunk};
    const pd_bench_test answer = {
        .n_gen = N_ANSWER, .n_depth = d->n_depth, .n_batch = n_chunk, .n_ubatch = n_chunk};
    PD_TRY(speed_of(job, model, prompt, &d->prompt, err));
    return speed_of(job, model, answer, &d->answer, err);
}

pd_status compare_time_depths(const compare_job *job, compare_device *d, pd_error *err) {
    if (job->depths.n == 0) return PD_OK;
    d->depths = pd_alloc(job->depths.n, sizeof *d->depths);
    for (uint32_t i = 0; i < job->depths.n && d->depths; i++) {
        compare_depth *depth = &d->depths[i];
        depth->n_depth = job->depths.values[i];
        pd_status status = time_depth(job, d->result.side.model, depth, err);
        bool lacks_room = status == PD_ERR_MEMORY_DEVICE || status == PD_ERR_MEMORY_HOST;
        if (lacks_room) break; /* those behind it want more */
        PD_TRY(status);
        d->n_depths = i + 1;
    }
    return PD_OK;
}
