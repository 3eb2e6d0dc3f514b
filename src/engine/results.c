/* What a session knows: the outputs of its last position, and its figures.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/hash.h"
#include "engine/session.h"

pd_status pd_session_argmax(pd_session *s, uint32_t *id, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, id);
    PD_TRY(pd_session_need_outputs(s, err));
    *id = s->last_best;
    return PD_OK;
}

/* Steps that were dropped have written over the last one's outputs: it is computed again. */
static pd_status refresh_outputs(pd_session *s, pd_error *err) {
    if (!s->outputs_stale) return PD_OK;
    pd_page_table table = pd_kv_table(s->kv, 0);
    pd_step step = s->last_step;
    step.tables = &table;
    PD_TRY(s->model->backend->v->run(s->last->program, &step, err));
    s->outputs_stale = false;
    return PD_OK;
}

pd_status pd_session_logits(pd_session *s, const float **logits, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, logits);
    PD_TRY(pd_session_need_outputs(s, err));
    uint64_t row_bytes = (uint64_t)s->model->config.n_vocab * 4;
    if (!s->logits_read) {
        PD_TRY(refresh_outputs(s, err));
        PD_TRY(s->model->backend->v->read(s->last->program, s->last->logits,
                                          (s->last_n_rows - 1) * row_bytes, row_bytes, s->logits,
                                          err));
        s->stats.logits_hash = pd_hash(s->logits, row_bytes);
        s->logits_read = true;
    }
    *logits = s->logits;
    return PD_OK;
}

uint32_t pd_session_count(const pd_session *s) {
    return s ? pd_kv_length(s->kv, 0) : 0;
}
uint32_t pd_session_n_ctx(const pd_session *s) {
    return s ? s->desc.n_ctx : 0;
}
uint32_t pd_session_n_chunk(const pd_session *s) {
    return s ? s->desc.n_chunk : 0;
}
void pd_session_cancel(pd_session *s) {
    if (s) atomic_store(&s->cancel, 1);
}
void pd_session_resume(pd_session *s) {
    if (s) atomic_store(&s->cancel, 0);
}

const pd_session_stats *pd_session_get_stats(pd_session *s) {
    pd_backend_stats b;
    if (!s) return NULL;
    s->model->backend->v->stats(s->model->backend, &b);
    s->stats.kv_bytes = b.kv_bytes;
    s->stats.scratch_bytes = b.scratch_bytes;
    s->stats.device_peak_bytes = b.peak_bytes;
    s->stats.build = b.build;
    s->model->backend->v->count(s->decode.program, &s->stats.decode_step);
    if (s->prefill.program) s->model->backend->v->count(s->prefill.program, &s->stats.prompt_step);
    return &s->stats;
}
