/* What a session tells about its last position, and about itself.  SPDX-License-Identifier: MIT */
#include "base/hash.h"
#include "engine/session.h"

/* A step that failed may have left no outputs that could be computed again. */
static pd_status need_output(const pd_session *s, pd_error *err) {
    if (pd_context_has_output(s->context, &s->seq)) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "no logits are at hand: sync the session first");
}

pd_status pd_session_argmax(pd_session *s, uint32_t *id, pd_error *err) {
    PD_NEED(err, id);
    PD_TRY(pd_session_begin_turn(s, err));
    pd_status status = need_output(s, err);
    if (status == PD_OK) *id = s->seq.out.result.best;
    pd_session_end_turn(s);
    return status;
}

pd_status pd_session_fetch_logits(pd_session *s, pd_error *err) {
    PD_TRY(need_output(s, err));
    if (s->logits_run == s->seq.out.run_id) return PD_OK;
    s->logits_run = 0;
    PD_TRY(pd_context_read_logits(s->context, &s->seq, &s->cancel, s->logits, err));
    s->logits_run = s->seq.out.run_id;
    s->stats.logits_hash = pd_hash(s->logits, 4ull * s->model->config.n_vocab);
    return PD_OK;
}

pd_status pd_session_logits(pd_session *s, const float **logits, pd_error *err) {
    PD_NEED(err, logits);
    PD_TRY(pd_session_begin_turn(s, err));
    pd_status status = pd_session_fetch_logits(s, err);
    pd_session_end_turn(s);
    *logits = s->logits;
    return status;
}

uint32_t pd_session_count(const pd_session *s) {
    return s ? s->seq.tokens.n : 0;
}
uint32_t pd_session_n_ctx(const pd_session *s) {
    return s ? s->context->desc.n_ctx : 0;
}
uint32_t pd_session_n_chunk(const pd_session *s) {
    return s ? s->context->desc.n_chunk : 0;
}

const pd_session_stats *pd_session_get_stats(pd_session *s) {
    if (!s) return NULL;
    bool is_turn = pd_turns_take(s->model->turns);
    pd_context_get_stats(s->context, &s->seq, &s->stats);
    if (is_turn) pd_turns_give(s->model->turns);
    return &s->stats;
}

pd_status pd_session_profile(pd_session *s, pd_profile_fn fn, void *ctx, pd_error *err) {
    PD_NEED(err, fn);
    PD_TRY(pd_session_begin_turn(s, err));
    pd_session_enter(s);
    pd_status status = pd_context_profile(s->context, &s->seq, fn, ctx, err);
    pd_session_end_turn(s);
    pd_session_leave(s);
    return status;
}
