/* A session's tokens: the next one, greedy on the device and everything else from the logits on the
 * host; and whole answers, drawn by the backend wherever the sampler's settings allow and nobody
 * asks for log-probabilities.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/session.h"
#include "sample/generation.h"
#include "sample/log_probs.h"

static void free_scratch(void *scratch) {
    pd_sampler_scratch_destroy(scratch);
}

/* The scratch is made with the first draw and lives as long as the session. */
pd_status pd_session_get_scratch(pd_session *s, pd_sampler_scratch **out, pd_error *err) {
    if (!s->sampler_scratch) {
        pd_sampler_scratch *scratch;
        PD_TRY(pd_sampler_scratch_create(pd_session_vocabulary(s), &scratch, err));
        s->sampler_scratch = scratch;
        s->free_scratch = free_scratch;
    }
    *out = s->sampler_scratch;
    return PD_OK;
}

pd_status pd_session_draw(pd_session *s, pd_sampler *sampler, uint32_t n_left, uint32_t *id,
                          pd_error *err) {
    const pd_sampler_desc *d = &sampler->desc;
    if (d->temp == 0.0f && !pd_sampler_is_bound(sampler) && !pd_sampler_adjusts(d))
        return pd_session_argmax(s, id, err);
    pd_sampler_scratch *scratch;
    const pd_tokens *seen = &s->seq.tokens;
    const float *logits;
    const uint32_t *mask;
    PD_TRY(pd_session_get_scratch(s, &scratch, err));
    PD_TRY(pd_session_logits(s, &logits, err));
    PD_TRY(pd_sampler_get_mask(sampler, n_left, scratch->mask, &mask, err));
    logits = pd_sampler_adjust(d, scratch, logits, pd_session_vocabulary(s), seen->ids, seen->n);
    PD_TRY(pd_sampler_pick(sampler, scratch, logits, pd_session_vocabulary(s), mask, id, err));
    return pd_sampler_take(sampler, *id, err);
}

pd_status pd_session_sample(pd_session *s, pd_sampler *sampler, uint32_t *id, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, sampler);
    PD_NEED(err, id);
    PD_TRY(pd_sampler_check(&sampler->desc, pd_session_vocabulary(s), err));
    return pd_session_draw(s, sampler, UINT32_MAX, id, err);
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
    double log_sum = pd_log_sum_exp(logits, pd_session_vocabulary(s));
    *n_top = pd_top_log_probs(logits, pd_session_vocabulary(s), log_sum, n_max, top);
    return PD_OK;
}

/* ---- generation ----------------------------------------------------------------------------- */

static bool on_drawn(void *ctx, uint32_t id) {
    pd_generation *g = ctx;
    g->sampler->n_drawn += g->sampler->desc.temp != 0.0f;
    if (g->awaited) return true;
    g->more = pd_generation_hand_over(g, id);
    return g->more && !pd_session_is_awaited(g->session);
}

/* A turn of steps, cut short when somebody comes to wait. While others wait it is one step, and
 * what it drew is handed over when the turn has ended: whoever gets it may take his time. */
static pd_status take_turn(pd_session *s, pd_generation *g, pd_ahead *a, pd_error *err) {
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
    if (status == PD_OK && g->awaited && !a->cancelled)
        g->more = pd_generation_hand_over(g, a->token);
    a->more = g->more;
    return status;
}

/* From `id` on, the backend draws: batches of steps, which end together. */
static pd_status run_ahead(pd_session *s, pd_generation *g, uint32_t id, pd_error *err) {
    const pd_special *special = pd_vocab_special(g->model->vocab);
    pd_ahead a = {.seq = &s->seq, .token = id, .fn = on_drawn, .fn_ctx = g};
    for (uint32_t i = 0; i < 2; i++)
        a.stops[i] =
            g->desc->ignore_stop || i >= special->n_stops ? PD_SAMPLE_NO_ID : special->stops[i];
    do {
        PD_TRY(take_turn(s, g, &a, err));
        if (a.cancelled || (a.more && atomic_load(&s->cancel)))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u tokens", g->n);
    } while (a.more && !pd_session_is_full(s));
    return PD_OK;
}

/* The first token is drawn as any other is; the backend draws those behind it, if it can. */
static pd_status run_generation(pd_session *s, pd_generation *g, pd_error *err) {
    uint32_t id;
    pd_sample_params params;
    bool more = true, scored = g->desc->drawn_fn != NULL;
    for (;;) {
        if (atomic_load(&s->cancel))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u tokens", g->n);
        PD_TRY(pd_session_draw(s, g->sampler, pd_generation_left(g), &id, err));
        if (scored)
            PD_TRY(pd_generation_hand_over_drawn(s, g, id, &more, err));
        else
            more = pd_generation_hand_over(g, id);
        if (!more || pd_session_is_full(s)) return PD_OK;
        if (!scored && pd_sampler_to_params(g->sampler, &params)) return run_ahead(s, g, id, err);
        PD_TRY(pd_session_append(s, id, err));
    }
}

pd_status pd_generation_go_on(pd_session *s, pd_generation *g, uint32_t id, pd_error *err) {
    pd_sample_params params;
    if (!g->desc->drawn_fn && pd_sampler_to_params(g->sampler, &params))
        return run_ahead(s, g, id, err);
    PD_TRY(pd_session_append(s, id, err));
    return run_generation(s, g, err);
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
    if (s->has_pending && pd_session_is_full(s)) return PD_OK;
    PD_TRY(compute_pending(s, err));
    pd_generation g = {.session = s,
                       .sampler = sampler,
                       .desc = desc,
                       .model = s->context->model,
                       .first = pd_session_count(s),
                       .n_max = desc->n_max ? desc->n_max : UINT32_MAX};
    pd_status status = sampler->desc.grammar ? pd_generation_run_constrained(s, &g, err)
                                             : run_generation(s, &g, err);
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
    PD_TRY(pd_sampler_check(&sampler->desc, pd_session_vocabulary(s), err));
    PD_TRY(check_n_top(desc->n_top, err));
    pd_session_enter(s);
    pd_status status = generate(s, sampler, desc, err);
    pd_session_leave(s);
    return status;
}
