/* See compare.h.  SPDX-License-Identifier: MIT */
#include "measure/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "engine/divergence.h"
#include "measure/energy.h"
#include "plan/sample.h"

static uint32_t vocab_of(const pd_compare_side *s) {
    return pd_model_get_info(s->model)->n_vocab;
}

static const char *device_of(const pd_compare_side *s) {
    return pd_model_get_device(s->model)->id;
}

static pd_status tell(const pd_compare_job *job, const char *what, const pd_compare_side *s,
                      uint32_t n_done, uint32_t n_total, pd_error *err) {
    char text[96];
    snprintf(text, sizeof text, "%s on %.40s", what, device_of(s));
    if (!job->progress || job->progress(job->progress_ctx, text, n_done, n_total)) return PD_OK;
    return PD_RAISE(err, PD_ERR_CANCELLED, "the comparison was stopped on request");
}

static pd_status raise_no_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a comparison");
}

/* ---- prompts -------------------------------------------------------------------------------- */

/* The prompt with n tokens of an answer behind it. ids: room for all of them. */
static pd_prompt prompt_with(const pd_compare_job *job, const pd_compare_answer *answer, uint32_t n,
                             uint32_t *ids) {
    pd_prompt p = job->prompt;
    memcpy(ids, p.ids, p.n_ids * sizeof *ids);
    for (uint32_t i = 0; i < n; i++) ids[p.n_ids + i] = answer->ids[i];
    p.ids = ids;
    p.n_ids += n;
    return p;
}

/* The prompt, timed; what the session had is forgotten. */
static pd_status run_prompt(const pd_compare_job *job, pd_compare_side *s, pd_error *err) {
    uint64_t t0 = pd_clock_ns(), image_ns = pd_model_get_vision_stats(s->model)->encode_ns;
    uint32_t kept;
    PD_TRY(tell(job, "prompt", s, 0, job->n_prompt, err));
    PD_TRY(pd_session_rewind(s->session, 0, &kept, err));
    PD_TRY(pd_session_sync_prompt(s->session, &job->prompt, err));
    s->image_ns = pd_model_get_vision_stats(s->model)->encode_ns - image_ns;
    s->prompt_ns = pd_clock_ns() - t0 - s->image_ns;
    const float *logits;
    PD_TRY(pd_session_logits(s->session, &logits, err));
    s->logits_hash = pd_session_get_stats(s->session)->logits_hash;
    return PD_OK;
}

/* ---- answers -------------------------------------------------------------------------------- */

typedef struct taking {
    pd_compare_answer *answer;
    pd_energy *energy; /* NULL: nothing tells */
    uint64_t first_ns;
    double first_joules;
} taking;

static taking begin_answer(pd_compare_side *s, pd_compare_answer *answer) {
    taking t = {.answer = answer, .energy = pd_energy_open(pd_model_get_device(s->model))};
    if (t.energy)
        snprintf(s->energy_source, sizeof s->energy_source, "%s", pd_energy_source(t.energy));
    return t;
}

/* A pd_token_fn. */
static bool take_token(void *ctx, uint32_t id) {
    taking *t = ctx;
    pd_compare_answer *a = t->answer;
    uint64_t now = pd_clock_ns();
    double joules = t->energy ? pd_energy_joules(t->energy) : 0;
    if (a->n == 0) {
        t->first_ns = now;
        t->first_joules = joules;
    }
    a->ids[a->n++] = id;
    a->ns = now - t->first_ns;
    a->joules = joules > t->first_joules ? joules - t->first_joules : 0;
    return true;
}

static pd_status take_room(const pd_compare_job *job, pd_compare_answer *a, pd_error *err) {
    if (!a->ids) a->ids = pd_alloc(job->n_tokens, sizeof *a->ids);
    a->n = 0;
    return a->ids ? PD_OK : raise_no_memory(err);
}

/* Behind the prompt. */
static pd_status write_answer(const pd_compare_job *job, pd_compare_side *s,
                              const pd_sampler_desc *desc, pd_compare_answer *out, pd_error *err) {
    pd_sampler sampler;
    PD_TRY(tell(job, desc->temp > 0 ? "drawn answer" : "greedy answer", s, 0, job->n_tokens, err));
    PD_TRY(take_room(job, out, err));
    PD_TRY(pd_sampler_init(&sampler, desc, err));
    PD_TRY(pd_session_sync_prompt(s->session, &job->prompt, err));
    taking t = begin_answer(s, out);
    const pd_generate_desc generate = {.n_max = job->n_tokens, .fn = take_token, .fn_ctx = &t};
    pd_status status = pd_session_generate(s->session, &sampler, &generate, err);
    pd_energy_close(t.energy);
    return status;
}

/* The i-th token of the reference's greedy answer, and the logits that it comes from. */
static pd_status keep_token(pd_compare_job *job, uint32_t i, uint32_t *ids, uint32_t *id,
                            pd_error *err) {
    pd_compare_side *s = job->reference;
    const pd_prompt prompt = prompt_with(job, &s->greedy, i, ids);
    const float *logits;
    uint32_t n_vocab = vocab_of(s);
    PD_TRY(tell(job, "greedy answer", s, i, job->n_tokens, err));
    PD_TRY(pd_session_sync_prompt(s->session, &prompt, err));
    PD_TRY(pd_session_argmax(s->session, id, err));
    PD_TRY(pd_session_logits(s->session, &logits, err));
    memcpy(job->logits + (size_t)i * n_vocab, logits, n_vocab * sizeof *logits);
    return PD_OK;
}

static pd_status write_kept_answer(pd_compare_job *job, uint32_t *ids, pd_error *err) {
    pd_compare_side *s = job->reference;
    taking t = begin_answer(s, &s->greedy);
    pd_status status = PD_OK;
    for (uint32_t i = 0, id = 0; i < job->n_tokens && status == PD_OK; i++) {
        status = keep_token(job, i, ids, &id, err);
        if (status == PD_OK) take_token(&t, id);
        if (pd_model_is_stop(s->model, id)) break;
    }
    pd_energy_close(t.energy);
    return status;
}

pd_status pd_compare_begin(pd_compare_job *job, pd_error *err) {
    pd_compare_side *s = job->reference;
    PD_TRY(take_room(job, &s->greedy, err));
    job->logits = pd_alloc((size_t)job->n_tokens * vocab_of(s), sizeof *job->logits);
    uint32_t *ids = pd_alloc(job->prompt.n_ids + job->n_tokens, sizeof *ids);
    if (!job->logits || !ids) {
        pd_free(ids);
        return raise_no_memory(err);
    }
    pd_status status = run_prompt(job, s, err);
    if (status == PD_OK) status = write_kept_answer(job, ids, err);
    if (status == PD_OK) status = write_answer(job, s, &job->drawing, &s->drawn, err);
    pd_free(ids);
    return status;
}

void pd_compare_end(pd_compare_job *job) {
    pd_free(job->logits);
    pd_free(job->reference->greedy.ids);
    pd_free(job->reference->drawn.ids);
    job->logits = NULL;
    job->reference->greedy = job->reference->drawn = (pd_compare_answer){0};
}

uint32_t pd_compare_parting(const pd_compare_answer *a, const pd_compare_answer *b) {
    uint32_t n = a->n < b->n ? a->n : b->n;
    for (uint32_t i = 0; i < n; i++)
        if (a->ids[i] != b->ids[i]) return i;
    return a->n == b->n ? UINT32_MAX : n;
}

/* ---- probabilities -------------------------------------------------------------------------- */

/* By how much the reference's best token is more probable than the next one that may be drawn. */
static double margin_of(const float *p, uint32_t n, uint32_t best, double log_sum) {
    double second = 0;
    for (uint32_t id = 0; id < n; id++) {
        double probability = exp((double)p[id] - log_sum);
        if (id != best && pd_sample_may(id, n) && probability > second) second = probability;
    }
    return exp((double)p[best] - log_sum) - second;
}

/* p: the reference's logits, q: the device's. */
static pd_compare_position position_of(const float *p, const float *q, uint32_t n, uint32_t id) {
    pd_compare_position out = {.id = id};
    pd_divergence d = pd_divergence_none();
    for (uint32_t i = 0; i < n; i++) pd_divergence_add(&d, i, (double)p[i], (double)q[i]);
    double sum_p = pd_divergence_log_sum_a(&d), sum_q = pd_divergence_log_sum_b(&d);
    for (uint32_t i = 0; i < n; i++) {
        double change = fabs(exp((double)p[i] - sum_p) - exp((double)q[i] - sum_q));
        double e = (double)q[i] - (double)p[i];
        out.error += e * e;
        out.squares += (double)p[i] * (double)p[i];
        out.rank += pd_sample_may(i, n) && q[i] > q[id];
        if (change <= out.change) continue;
        out.change = change;
        out.change_id = i;
    }
    out.best = pd_sample_token(&(pd_sample_params){0}, q, n);
    out.kl = fmax(pd_divergence_kl(&d), 0); /* rounding */
    out.log_prob = (double)q[id] - sum_q;
    out.reference_log_prob = (double)p[id] - sum_p;
    out.margin = margin_of(p, n, id, sum_p);
    return out;
}

/* The device's session has the prompt. */
static pd_status force_answer(const pd_compare_job *job, pd_compare_result *r, uint32_t *ids,
                              pd_error *err) {
    const pd_compare_answer *answer = &job->reference->greedy;
    uint32_t n_vocab = vocab_of(&r->side);
    r->forced.list = pd_alloc(answer->n, sizeof *r->forced.list);
    if (!r->forced.list) return raise_no_memory(err);
    for (uint32_t i = 0; i < answer->n; i++) {
        const pd_prompt prompt = prompt_with(job, answer, i, ids);
        const float *logits;
        PD_TRY(tell(job, "probabilities", &r->side, i, answer->n, err));
        PD_TRY(pd_session_sync_prompt(r->side.session, &prompt, err));
        PD_TRY(pd_session_logits(r->side.session, &logits, err));
        r->forced.list[i] =
            position_of(job->logits + (size_t)i * n_vocab, logits, n_vocab, answer->ids[i]);
        r->forced.n = i + 1;
    }
    return PD_OK;
}

/* ---- draws ---------------------------------------------------------------------------------- */

static pd_status forget_answers(pd_compare_result *r, pd_error *err) {
    uint32_t kept;
    return pd_session_rewind(r->side.session, 0, &kept, err);
}

/* Draws are exact: from the same logits the host and a device draw the same tokens. */
static pd_status check_draws(const pd_compare_job *job, pd_compare_result *r, uint32_t *ids,
                             pd_error *err) {
    const pd_compare_answer *drawn = &r->side.drawn;
    pd_sampler sampler;
    PD_TRY(pd_sampler_init(&sampler, &job->drawing, err));
    PD_TRY(forget_answers(r, err)); /* the prompt in the same steps, and with the same bits */
    for (uint32_t i = 0; i < drawn->n && !r->has_wrong_draw; i++) {
        const pd_prompt prompt = prompt_with(job, drawn, i, ids);
        PD_TRY(tell(job, "draws", &r->side, i, drawn->n, err));
        PD_TRY(pd_session_sync_prompt(r->side.session, &prompt, err));
        PD_TRY(pd_session_sample(r->side.session, &sampler, &r->right_draw, err));
        r->has_wrong_draw = r->right_draw != drawn->ids[i];
        r->n_draws = i + 1;
    }
    return PD_OK;
}

/* ---- operations ----------------------------------------------------------------------------- */

typedef struct checking {
    const pd_compare_job *job;
    pd_compare_result *result;
    pd_kind_profile *profile; /* of what is going on */
    bool is_image, failed;
} checking;

/* A pd_check_fn. */
static bool take_op(void *ctx, const pd_check_op *op) {
    checking *c = ctx;
    uint32_t n = c->job->n_prompt + c->job->n_checked;
    const char *what = c->is_image ? "image encoder" : "operations";
    c->failed = !pd_compare_ops_add(&c->result->ops, op, c->is_image);
    if (c->failed) return false;
    if (op->op.ns > 0) pd_profile_add(c->profile, &op->op);
    return tell(c->job, what, &c->result->side, op->first, n, NULL) == PD_OK;
}

static pd_status check_prompt(checking *c, pd_compare_side *s, const pd_prompt *prompt,
                              pd_error *err) {
    pd_status status =
        pd_session_check(s->session, c->job->reference->session, prompt, take_op, c, err);
    return c->failed ? raise_no_memory(err) : status;
}

/* The prompt from its beginning, and the steps behind it one at a time, as in an answer. */
static pd_status check_ops(const pd_compare_job *job, pd_compare_result *r, uint32_t *ids,
                           pd_error *err) {
    checking c = {.job = job, .result = r};
    uint32_t kept;
    if (job->has_image) {
        c.is_image = true;
        c.profile = &r->image_profile;
        pd_status status =
            pd_model_check_image(r->side.model, job->reference->model, take_op, &c, err);
        PD_TRY(c.failed ? raise_no_memory(err) : status);
        c.is_image = false;
    }
    PD_TRY(pd_session_rewind(r->side.session, 0, &kept, err));
    c.profile = &r->prompt_profile;
    PD_TRY(check_prompt(&c, &r->side, &job->prompt, err));
    c.profile = &r->step_profile;
    for (uint32_t i = 1; i <= job->n_checked && i < job->reference->greedy.n; i++) {
        const pd_prompt prompt = prompt_with(job, &job->reference->greedy, i, ids);
        PD_TRY(check_prompt(&c, &r->side, &prompt, err));
    }
    return PD_OK;
}

/* ---- a device ------------------------------------------------------------------------------- */

static pd_status compare_answers(pd_compare_job *job, pd_compare_result *r, uint32_t *ids,
                                 pd_error *err) {
    const pd_sampler_desc greedy = {0};
    PD_TRY(run_prompt(job, &r->side, err));
    PD_TRY(force_answer(job, r, ids, err));
    PD_TRY(write_answer(job, &r->side, &greedy, &r->side.greedy, err));
    PD_TRY(forget_answers(r, err));
    PD_TRY(write_answer(job, &r->side, &job->drawing, &r->side.drawn, err));
    return check_draws(job, r, ids, err);
}

/* A NaN ends the answers; where it comes from the operations will show. */
static pd_status compare_all(pd_compare_job *job, pd_compare_result *r, uint32_t *ids,
                             pd_error *err) {
    pd_error failure = {0};
    pd_status status = compare_answers(job, r, ids, &failure);
    if (status == PD_OK || status == PD_ERR_NUMERIC) PD_TRY(check_ops(job, r, ids, err));
    return pd_error_again(err, &failure);
}

pd_status pd_compare_device(pd_compare_job *job, pd_compare_result *r, pd_error *err) {
    uint32_t *ids = pd_alloc(job->prompt.n_ids + job->n_tokens, sizeof *ids);
    if (!ids) return raise_no_memory(err);
    pd_status status = compare_all(job, r, ids, err);
    pd_free(ids);
    return status;
}

void pd_compare_result_free(pd_compare_result *r) {
    pd_free(r->side.greedy.ids);
    pd_free(r->side.drawn.ids);
    pd_free(r->forced.list);
    pd_free(r->ops.list);
    *r = (pd_compare_result){.side = {.model = r->side.model, .session = r->side.session}};
}
