/* Tokens that the backend samples: a session's sequence goes on without its logits leaving the
 * device.
 *
 * Steps come in batches, for which KV pages are reserved beforehand and committed afterwards for
 * those steps that count. A backend that cannot run ahead computes one step at a time, which gives
 * the same tokens.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/clock.h"
#include "engine/session.h"

typedef struct sampling_run {
    pd_session *s;
    const pd_sampling *d;
    uint32_t token;          /* what the next step computes */
    uint32_t first, n;       /* position of the batch's first step; steps of the batch that count */
    uint32_t n_total;        /* of all batches */
    pd_sample_result result; /* by the last step that counts, */
    uint32_t computed;       /* which has computed this token */
    bool more, bad, cancelled, stale;
} sampling_run;

/* A step has computed its token and sampled another one. */
static bool on_result(void *ctx, const pd_sample_result *result) {
    sampling_run *r = ctx;
    r->bad = result->n_nonfinite != 0;
    r->more = false;
    if (r->bad) return false;
    pd_tokens_append(&r->s->tokens, r->first + r->n++, r->token);
    r->n_total++;
    r->computed = r->token;
    r->result = *result;
    r->token = result->id;
    r->cancelled = atomic_load(&r->s->cancel);
    if (r->cancelled) return false;
    return r->more = r->d->fn(r->d->ctx, result->id);
}

static pd_status run_one(sampling_run *r, const pd_step *step, pd_error *err) {
    const pd_backend_vtable *v = r->s->model->backend->v;
    const pd_stage *stage = &r->s->decode;
    pd_sample_result result;
    PD_TRY(v->run(stage->program, step, err));
    PD_TRY(v->read(stage->program, stage->best, 0, sizeof result, &result, err));
    on_result(r, &result);
    return PD_OK;
}

static pd_status run_steps(sampling_run *r, const pd_step *step, uint32_t n_steps, pd_error *err) {
    pd_session *s = r->s;
    const pd_backend_vtable *v = s->model->backend->v;
    pd_run_ahead ahead = {.first = step, .n_steps = n_steps, .fn = on_result, .ctx = r};
    pd_run_ahead_end end;
    memcpy(ahead.stops, r->d->stops, sizeof ahead.stops);
    if (!v->run_ahead) return run_one(r, step, err);
    pd_status status = v->run_ahead(s->decode.program, &ahead, &end, err);
    r->stale = !end.intact;
    s->stats.n_dropped += end.n_dropped;
    return status;
}

static void set_row(pd_session *s, uint32_t token, uint32_t pos) {
    s->step.rows[0] = (pd_step_row){.token = token, .pos = pos, .end = pos + 1};
}

/* The session's step becomes the last one that counts. */
static void finish_batch(sampling_run *r) {
    pd_session *s = r->s;
    pd_kv_commit(s->kv, 0, r->n);
    pd_kv_truncate(s->kv, 0, r->first + r->n); /* what was reserved for nothing */
    s->stats.n_decode += r->n;
    if (r->n == 0 || r->bad) return;
    set_row(s, r->computed, r->first + r->n - 1);
    s->step.step.sampling = NULL;
    s->ran = &s->decode;
    pd_session_keep_output(s, &s->decode, 0, r->result.best, r->stale);
}

static pd_status run_batch(sampling_run *r, uint32_t n_steps, pd_error *err) {
    pd_session *s = r->s;
    PD_TRY(pd_kv_reserve(s->kv, 0, n_steps, err));
    r->first = pd_kv_length(s->kv, 0);
    r->n = 0;
    pd_step_buf_start(&s->step, 1, 1, pd_kv_table(s->kv, 0), &s->cancel);
    set_row(s, r->token, r->first);
    s->step.params = r->d->params;
    s->step.params.counter += r->n_total;
    s->step.step.sampling = &s->step.params;
    s->ran = NULL;
    pd_session_forget_output(s);
    uint64_t t0 = pd_clock_ns();
    pd_status status = run_steps(r, &s->step.step, n_steps, err);
    s->stats.decode_ns += pd_clock_ns() - t0;
    if (status == PD_OK && r->bad) {
        set_row(s, r->token, r->first + r->n);
        status = pd_session_raise_nonfinite(s, &s->decode, &s->step.step, err);
    }
    finish_batch(r);
    return status;
}

pd_status pd_session_sample_steps(pd_session *s, uint32_t token, const pd_sampling *d,
                                  pd_error *err) {
    uint32_t most = s->model->backend->v->run_ahead ? PD_RUN_AHEAD_STEPS : 1;
    sampling_run r = {.s = s, .d = d, .token = token, .more = true};
    while (r.more && r.n_total < d->n_max) {
        uint32_t n = s->desc.n_ctx - pd_kv_length(s->kv, 0);
        if (n == 0) return PD_OK;
        if (n > most) n = most;
        if (n > d->n_max - r.n_total) n = d->n_max - r.n_total;
        PD_TRY(run_batch(&r, n, err));
        if (r.cancelled || (r.more && atomic_load(&s->cancel)))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u tokens", r.n_total);
    }
    return PD_OK;
}
