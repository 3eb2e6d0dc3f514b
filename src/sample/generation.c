/* See generation.h.  SPDX-License-Identifier: MIT */
#include "sample/generation.h"

#include "sample/log_probs.h"

uint32_t pd_generation_left(const pd_generation *g) {
    uint32_t room = pd_session_n_ctx(g->session) - pd_session_count(g->session) + 1;
    return g->n_max - g->n < room ? g->n_max - g->n : room;
}

/* `more`: what the caller's function said. */
static bool goes_on(pd_generation *g, uint32_t id, bool more) {
    g->n++;
    g->last = id;
    return more && g->n < g->n_max && (g->desc->ignore_stop || !pd_model_is_stop(g->model, id));
}

bool pd_generation_hand_over(pd_generation *g, uint32_t id) {
    const pd_generate_desc *d = g->desc;
    return goes_on(g, id, !d->fn || d->fn(d->fn_ctx, id));
}

pd_status pd_generation_hand_over_drawn(pd_session *s, pd_generation *g, uint32_t id, bool *more,
                                        pd_error *err) {
    const pd_generate_desc *d = g->desc;
    pd_log_prob top[PD_MAX_TOP_LOG_PROBS];
    const float *logits;
    uint32_t n_vocab = pd_session_vocabulary(s);
    PD_TRY(pd_session_logits(s, &logits, err));
    double log_sum = pd_log_sum_exp(logits, n_vocab);
    uint32_t n = pd_top_log_probs(logits, n_vocab, log_sum, d->n_top, top);
    pd_log_prob drawn = {id, (float)((double)logits[id] - log_sum)};
    *more = goes_on(g, id, d->drawn_fn(d->fn_ctx, drawn, top, n));
    return PD_OK;
}
