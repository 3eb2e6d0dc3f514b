/* Tokens that the backend samples: a sequence goes on without its logits leaving the device.
 *
 * KV pages are reserved for all steps beforehand, and kept for those that count. A backend that
 * cannot run ahead computes one step at a time, which gives the same tokens.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "engine/context.h"

/* What the steps have made so far. */
typedef struct ahead_run {
    pd_ahead *ahead;
    const atomic_int *cancel;
    uint32_t ids[PD_RUN_AHEAD_STEPS + 1]; /* what step i computes, which step i - 1 has sampled */
    uint32_t n;                           /* steps that count */
    pd_sample_result result;              /* of the last one that does */
    bool bad;                             /* the one behind it is not finite */
} ahead_run;

static void hand_over(pd_ahead *a, uint32_t id, const atomic_int *cancel) {
    a->cancelled = cancel && atomic_load(cancel);
    a->more = !a->cancelled && a->fn(a->fn_ctx, id);
}

static bool on_result(void *ctx, const pd_sample_result *result) {
    ahead_run *r = ctx;
    r->ahead->more = false;
    r->bad = result->n_nonfinite != 0;
    if (r->bad) return false;
    r->result = *result;
    r->ids[++r->n] = result->id;
    hand_over(r->ahead, result->id, r->cancel);
    return r->ahead->more;
}

static pd_status run_one(pd_context *c, pd_ahead *a, const atomic_int *cancel, pd_error *err) {
    uint32_t computed = a->token;
    pd_batch_item item = {
        .seq = a->seq, .ids = &computed, .n = 1, .outs = PD_OUTS_LAST, .sampling = &a->sampling};
    PD_TRY(pd_context_run(c, &item, 1, cancel, err));
    pd_context_keep(c, &item, 1);
    a->token = item.out.result.id;
    hand_over(a, a->token, cancel);
    return PD_OK;
}

/* Makes the step one of `token` at `pos` alone. */
static void set_row(pd_context *c, uint32_t token, uint32_t pos) {
    c->step.rows[0] = (pd_step_row){.token = token, .pos = pos, .end = pos + 1};
    c->step.step.sampling = NULL;
}

static pd_status run_steps(pd_context *c, ahead_run *r, pd_error *err) {
    const pd_backend_vtable *v = c->model->backend->v;
    pd_stage *stage = &c->stages[PD_STAGE_DECODE];
    pd_ahead *a = r->ahead;
    pd_sequence *seq = a->seq;
    uint32_t first = seq->tokens.n;
    pd_batch_item item = {
        .seq = seq, .ids = r->ids, .n = 1, .outs = PD_OUTS_LAST, .sampling = &a->sampling};
    pd_run_ahead ahead = {.first = &c->step.step, .n_steps = a->n_steps, .fn = on_result, .ctx = r};
    pd_run_ahead_end end;
    memcpy(ahead.stops, a->stops, sizeof ahead.stops);

    pd_context_make_step(c, &item, 1, true, r->cancel);
    uint64_t run_id = pd_context_begin_run(c, stage), t0 = pd_clock_ns();
    stage->owner = seq;
    pd_status status = v->run_ahead(stage->program, &ahead, &end, err);
    seq->work.decode_ns += pd_clock_ns() - t0;
    seq->work.n_decode += r->n;
    seq->work.n_dropped += end.n_dropped;

    if (status == PD_OK && r->bad) {
        set_row(c, r->ids[r->n], first + r->n);
        status = pd_context_raise_nonfinite(c, stage, &c->step.step, first + r->n, err);
    }
    if (!end.intact || r->bad) pd_context_begin_run(c, stage); /* a later step's outputs */
    item.n = item.n_kept = r->n;
    item.out = (pd_output){.stage = stage, .run_id = run_id, .result = r->result};
    pd_context_keep(c, &item, 1);
    if (r->n == 0) return status;
    a->token = r->ids[r->n];
    set_row(c, r->ids[r->n - 1], first + r->n - 1);
    c->ran = stage;
    return status;
}

pd_status pd_context_run_ahead(pd_context *c, pd_ahead *a, const atomic_int *cancel,
                               pd_error *err) {
    ahead_run r = {.ahead = a, .cancel = cancel, .ids = {a->token}};
    assert(!a->sampling.mask); /* which would be another one for each token */
    a->more = a->cancelled = false;
    if (!c->model->backend->v->run_ahead) return run_one(c, a, cancel, err);
    PD_TRY(pd_context_save_outputs(c, &c->stages[PD_STAGE_DECODE], a->seq, err));
    PD_TRY(pd_context_reserve(c, a->seq, a->n_steps, err));
    return run_steps(c, &r, err);
}
