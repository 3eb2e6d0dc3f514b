/* The public calls that give outputs of every position.  SPDX-License-Identifier: MIT */
#include "engine/session.h"

pd_status pd_session_score(pd_session *s, const pd_prompt *prompt, uint32_t first, pd_logits_fn fn,
                           void *ctx, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, prompt);
    PD_NEED(err, fn);
    pd_score score = {.first = first, .fn = fn, .fn_ctx = ctx};
    return pd_session_run_scored(s, prompt, &score, err);
}

pd_status pd_session_log_probs(pd_session *s, const uint32_t *ids, size_t n_ids, uint32_t first,
                               float *log_probs, uint32_t *best, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, log_probs);
    pd_score score = {.first = first, .log_probs = log_probs, .best = best};
    return pd_session_run_scored(s, &(pd_prompt){.ids = ids, .n_ids = n_ids}, &score, err);
}
