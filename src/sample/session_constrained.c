/* A session's answer in a grammar. Each token depends on the one before, through the mask that the
 * host makes of it, so that nothing runs ahead; but what alone can follow is computed together with
 * the token before it, as the rows of one step.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/grammar.h"
#include "sample/generation.h"

/* Tokens that were handed over, and are to be computed. */
typedef struct handed {
    uint32_t ids[PD_MAX_FORCED + 1], n;
    bool more; /* the last of them was not the end */
} handed;

static uint32_t min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* What can only follow, as far as a step and the context have room. Whoever wants to know how
 * probable tokens are gets each from a step of its own. */
static pd_status hand_over_forced(pd_session *s, pd_generation *g, handed *h, pd_error *err) {
    pd_sampler *sampler = g->sampler;
    uint32_t forced[PD_MAX_FORCED], n, room = pd_session_n_ctx(s) - pd_session_count(s);
    uint32_t n_max = min_u32(min_u32(PD_MAX_FORCED, room - 1), s->context->desc.n_chunk - 1);
    if (!h->more || g->desc->drawn_fn) return PD_OK;
    PD_TRY(pd_grammar_get_forced(sampler->desc.grammar, &sampler->place, forced, n_max, &n, err));
    for (uint32_t i = 0; i < n && h->more; i++) {
        PD_TRY(pd_sampler_take(sampler, forced[i], err));
        h->ids[h->n++] = forced[i];
        h->more = pd_generation_hand_over(g, forced[i]);
    }
    return PD_OK;
}

/* Computes them. sampling: how the token behind them is drawn, into *next; NULL: it is not. */
static pd_status compute(pd_session *s, const handed *h, uint32_t n,
                         const pd_sample_params *sampling, uint32_t *next, pd_error *err) {
    pd_batch_item item = {
        .seq = &s->seq, .ids = h->ids, .n = n, .outs = PD_OUTS_LAST, .sampling = sampling};
    PD_TRY(pd_session_begin_turn(s, err));
    pd_status status = pd_context_run(s->context, &item, 1, &s->cancel, err);
    if (status == PD_OK) {
        pd_context_keep(s->context, &item, 1);
        *next = item.out.result.id;
    }
    pd_session_end_turn(s);
    return status;
}

/* The token behind those: drawn by the device where it can. */
static pd_status draw_behind(pd_session *s, pd_generation *g, const handed *h, uint32_t *next,
                             pd_error *err) {
    pd_sampler *sampler = g->sampler;
    pd_sampler_scratch *scratch;
    pd_sample_params params;
    if (g->desc->drawn_fn || !pd_sampler_to_params(sampler, &params)) {
        PD_TRY(compute(s, h, h->n, NULL, next, err));
        return pd_session_draw(s, sampler, pd_generation_left(g), next, err);
    }
    uint32_t room_then = pd_session_n_ctx(s) - pd_session_count(s) - h->n + 1;
    PD_TRY(pd_session_get_scratch(s, &scratch, err));
    PD_TRY(pd_sampler_get_mask(sampler, min_u32(g->n_max - g->n, room_then), scratch->mask,
                               &params.mask, err));
    PD_TRY(compute(s, h, h->n, &params, next, err));
    sampler->n_drawn += sampler->desc.temp != 0.0f;
    return pd_sampler_take(sampler, *next, err);
}

static pd_status hand_over(pd_session *s, pd_generation *g, uint32_t id, bool *more,
                           pd_error *err) {
    if (g->desc->drawn_fn)
        PD_TRY(pd_generation_hand_over_drawn(s, g, id, more, err));
    else
        *more = pd_generation_hand_over(g, id);
    *more = *more && !g->sampler->place.has_ended;
    return PD_OK;
}

pd_status pd_generation_run_constrained(pd_session *s, pd_generation *g, pd_error *err) {
    uint32_t id;
    if (atomic_load(&s->cancel)) return PD_RAISE(err, PD_ERR_CANCELLED, "stopped after 0 tokens");
    PD_TRY(pd_session_draw(s, g->sampler, pd_generation_left(g), &id, err));
    for (;;) {
        handed h = {.ids = {id}, .n = 1};
        PD_TRY(hand_over(s, g, id, &h.more, err));
        if (pd_session_is_full(s)) return PD_OK;
        PD_TRY(hand_over_forced(s, g, &h, err));
        if (!h.more) /* the last one waits for whoever goes on */
            return h.n > 1 ? compute(s, &h, h.n - 1, NULL, &id, err) : PD_OK;
        if (atomic_load(&s->cancel))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u tokens", g->n);
        if (h.n == 1 && !pd_sampler_is_bound(g->sampler)) return pd_generation_go_on(s, g, id, err);
        PD_TRY(draw_behind(s, g, &h, &id, err));
    }
}
