/* What a session knows of its last position: the only place that writes pd_session.out.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/hash.h"
#include "engine/session.h"

void pd_session_forget_output(pd_session *s) {
    s->out = (pd_output){0};
}

void pd_session_keep_output(pd_session *s, const pd_stage *stage, uint32_t row, uint32_t best,
                            bool stale) {
    s->out = (pd_output){.stage = stage, .row = row, .best = best, .is_stale = stale};
}

pd_status pd_session_argmax(pd_session *s, uint32_t *id, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, id);
    PD_TRY(pd_session_need_outputs(s, err));
    *id = s->out.best;
    return PD_OK;
}

/* Steps that were dropped have written over the last one's outputs: it is computed again. */
static pd_status refresh(pd_session *s, pd_error *err) {
    if (!s->out.is_stale) return PD_OK;
    s->step.table = pd_kv_table(s->kv, 0);
    PD_TRY(s->model->backend->v->run(s->out.stage->program, &s->step.step, err));
    s->out.is_stale = false;
    return PD_OK;
}

pd_status pd_session_logits(pd_session *s, const float **logits, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, logits);
    PD_TRY(pd_session_need_outputs(s, err));
    uint64_t row_bytes = (uint64_t)s->model->config.n_vocab * 4;
    if (!s->out.is_read) {
        PD_TRY(refresh(s, err));
        PD_TRY(s->model->backend->v->read(s->out.stage->program, s->out.stage->logits,
                                          s->out.row * row_bytes, row_bytes, s->logits, err));
        s->stats.logits_hash = pd_hash(s->logits, row_bytes);
        s->out.is_read = true;
    }
    *logits = s->logits;
    return PD_OK;
}
