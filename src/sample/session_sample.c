/* A session's tokens: the next one, greedy on the device and everything else from the logits on the
 * host; and whole answers, drawn by the backend wherever the sampler's settings allow and nobody
 * asks for log-probabilities.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/session.h"
#include "sample/log_probs.h"
#include "sample/sampler.h"

static uint32_t vocabulary(const pd_session *s) {
    return s->context->model->config.n_vocab;
}

static void free_scratch(void *scratch) {
    pd_sampler_scratch_destroy(scratch);
}

/* The scratch is made with the first draw and lives as long as the session. */
static pd_status get_scratch(pd_session *s, pd_sampler_scratch **out, pd_error *err) {
    if (!s->sampler_scratch) {
        pd_sampler_scratch *scratch;
        PD_TRY(pd_sampler_scratch_create(vocabulary(s), &scratch, err));
        s->sampler_scratch = scratch;
        s->free_scratch = free_scratch;
    }
    *out = s->sampler_scratch;
    return PD_OK;
}

static pd_status draw_next(pd_session *s, pd_sampler *sampler, uint32_t *id, pd_error *err) {
    const pd_sampler_desc *d = &sampler->desc;
    if (d->temp == 0.0f && !pd_sampler_adjusts(d)) return pd_session_argmax(s, id, err);
    pd_sampler_scratch *scratch;
    const pd_tokens *seen = &s->seq.tokens;
    const float *logits;
    PD_TRY(get_scratch(s, &scratch, err));
    PD_TRY(pd_session_logits(s, &logits, err));
    logits = pd_sampler_adjust(d, scratch, logits, vocabulary(s), seen->ids, seen->n);
    return pd_sampler_pick(sampler, scratch, logits, vocabulary(s), NULL, id, err);
}

pd_status pd_session_sample(pd_session *s, pd_sampler *sampler, uint32_t *id, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, sampler);
    PD_NEED(err, id);
    PD_TRY(pd_sampler_check(&sampler->desc, vocabulary(s), err));
    return draw_next(s, sampler, id, err);
}

/* ---- log-probabilities ---------------------------------------------------------------------- */

static pd_status check_n_top(uint32_t n, pd_error *err) {
    if (n <= PD_MAX_TOP_LOG_PROBS) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "%u log-probabilities were asked for, but at most %d are",
                    n, PD_MAX_TOP_LOG_PROBS);
}

pd_status pd_session_top_log_probs(pd_session *s, pd_log_prob *top, uint32_t n_max, uint32_t *n_top,
                                   pd_error *err) {
    const float *logits;
    PD_NEED(err, s);
    PD_NEED(err, top);
    PD_NEED(err, n_top);
    PD_TRY(check_n_top(n_max, err));
    PD_TRY(pd_session_logits(s, &logits, err));
    double log_sum = pd_log_sum_exp(logits, vocabulary(s));
    *n_top = pd_top_log_probs(logits, vocabulary(s), log_sum, n_max, top);
    return PD_OK;
}

/* ---- generation ----------------------------------------------------------------------------- */

typedef struct generation {
    const pd_session *session;
    pd_sampler *sampler;
    const pd_generate_desc *desc;
    const pd_model *model;
    uint32_t first;    /* position that the first token handed over takes */
    uint32_t n, n_max; /* tokens handed over */
    uint32_t last;
    bool awaited; /* others wait: tokens are handed over between turns, not within them */
    bool more;    /* what was handed over last was not the end */
} generation;

/* `more`: what the caller's function said. */
static bool goes_on(generation *g, uint32_t id, bool more) {
    g->n++;
    g->last = id;
    return more && g->n < g->n_max && (g->desc->ignore_stop || !pd_model_is_stop(g->model, id));
}

static bool hand_over(generation *g, uint32_t id) {
    const pd_generate_desc *d = g->desc;
    return goes_on(g, id, !d->fn || d->fn(d->fn_ctx, id));
}

/* With what it was drawn from, which is the last position's. */
static pd_status hand_over_drawn(pd_session *s, generation *g, uint32_t id, bool *more,
                                 pd_error *err) {
    const pd_generate_desc *d = g->desc;
    pd_log_prob top[PD_MAX_TOP_LOG_PROBS];
    const float *logits;
    PD_TRY(pd_session_logits(s, &logits, err));
    double log_sum = pd_log_sum_exp(logits, vocabulary(s));
    uint32_t n = pd_top_log_probs(logits, vocabulary(s), log_sum, d->n_top, top);
    pd_log_prob drawn = {id, (float)((double)logits[id] - log_sum)};
    *more = goes_on(g, id, d->drawn_fn(d->fn_ctx, drawn, top, n));
    return PD_OK;
}

static bool on_drawn(void *ctx, uint32_t id) {
    generation *g = ctx;
    g->sampler->n_drawn += g->sampler->desc.temp != 0.0f;
    if (g->awaited) return true;
    g->more = hand_over(g, id);
    return g->more && !pd_session_is_awaited(g->session);
}

static bool is_full(const pd_session *s) {
    return pd_session_count(s) == pd_session_n_ctx(s);
}

/* A turn of steps, cut short when somebody comes to wait. While others wait it is one step, and
 * what it drew is handed over when the turn has ended: whoever gets it may take his time. */
static pd_status take_turn(pd_session *s, generation *g, pd_ahead *a, pd_error *err) {
    uint32_t room = pd_session_n_ctx(s) - pd_session_count(s), left = g->n_max - g->n;
    if (left > room) left = room;
    PD_TRY(pd_session_begin_turn(s, err));
    g->awaited = pd_session_is_awaited(s);
    g->more = true;
    a->n_steps = left < PD_RUN_AHEAD_STEPS ? left : PD_RUN_AHEAD_STEPS;
    if (g->awaited) a->n_steps = 1;
    pd_sampler_to_params(g->sampler, &a->sampling);
    pd_status status = pd_context_run_ahead(s->context, a, &s->cancel, err);
    pd_session_end_turn(s);
    if (status == PD_OK && g->awaited && !a->cancelled) g->more = hand_over(g, a->token);
    a->more = g->more;
    return status;
}

/* From `id` on, the backend draws: batches of steps, which end together. */
static pd_status run_ahead(pd_session *s, generation *g, uint32_t id, pd_error *err) {
    const pd_special *special = pd_vocab_special(g->model->vocab);
    pd_ahead a = {.seq = &s->seq, .token = id, .fn = on_drawn, .fn_ctx = g};
    for (uint32_t i = 0; i < 2; i++)
        a.stops[i] =
            g->desc->ignore_stop || i >= special->n_stops ? PD_SAMPLE_NO_ID : special->stops[i];
    do {
        PD_TRY(take_turn(s, g, &a, err));
        if (a.cancelled || (a.more && atomic_load(&s->cancel)))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u tokens", g->n);
    } while (a.more && !is_full(s));
    return PD_OK;
}

/* The first token is drawn as any other is; the backend draws those behind it, if it can. */
static pd_status run_generation(pd_session *s, generation *g, pd_error *err) {
    uint32_t id;
    pd_sample_params params;
    bool more = true, scored = g->desc->drawn_fn != NULL;
    for (;;) {
        if (atomic_load(&s->cancel))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u tokens", g->n);
        PD_TRY(draw_next(s, g->sampler, &id, err));
        if (scored)
            PD_TRY(hand_over_drawn(s, g, id, &more, err));
        else
            more = hand_over(g, id);
        if (!more || is_full(s)) return PD_OK;
        if (!scored && pd_sampler_to_params(g->sampler, &params)) return run_ahead(s, g, id, err);
        PD_TRY(pd_session_append(s, id, err));
    }
}

/* The token that the generation before this one handed over last. */
static pd_status compute_pending(pd_session *s, pd_error *err) {
    if (!s->has_pending) return PD_OK;
    if (atomic_load(&s->cancel))
        return PD_RAISE(err, PD_ERR_CANCELLED, "stopped before the first token");
    PD_TRY(pd_session_append(s, s->pending, err));
    s->has_pending = false;
    return PD_OK;
}

static pd_status generate(pd_session *s, pd_sampler *sampler, const pd_generate_desc *desc,
                          pd_error *err) {
    if (s->has_pending && is_full(s)) return PD_OK;
    PD_TRY(compute_pending(s, err));
    generation g = {.session = s,
                    .sampler = sampler,
                    .desc = desc,
                    .model = s->context->model,
                    .first = pd_session_count(s),
                    .n_max = desc->n_max ? desc->n_max : UINT32_MAX};
    pd_status status = run_generation(s, &g, err);
    s->has_pending = g.n > 0 && pd_session_count(s) == g.first + g.n - 1; /* else it is computed */
    s->pending = g.last;
    return status;
}

pd_status pd_session_generate(pd_session *s, pd_sampler *sampler, const pd_generate_desc *desc,
                              pd_error *err) {
    static const pd_generate_desc defaults = {0};
    PD_NEED(err, s);
    PD_NEED(err, sampler);
    if (!desc) desc = &defaults;
    PD_TRY(pd_sampler_check(&sampler->desc, vocabulary(s), err));
    PD_TRY(check_n_top(desc->n_top, err));
    pd_session_enter(s);
    pd_status status = generate(s, sampler, desc, err);
    pd_session_leave(s);
    return status;
}
