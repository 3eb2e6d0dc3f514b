/* A session's figures, and its cancelling.  SPDX-License-Identifier: MIT */
#include "engine/session.h"

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
