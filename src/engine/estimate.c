/* What a model and a context would hold, found by creating them on a backend that only counts
 * (pd_backend_desc.counts_only): what is counted is what the same functions allocate otherwise, and
 * there is no second set of formulas. The same way tells what context would have fitted when one
 * did not.
 *
 * Buffers that a first use makes are made as well: for logits on their way back, for an image's
 * rows on their way in.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/context.h"

#include "base/memory.h"

pd_status pd_model_check_computes(const pd_model *m, pd_error *err) {
    if (!m->estimate_only) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "the model was opened for estimates alone");
}

/* ---- the model ------------------------------------------------------------------------------ */

static uint64_t activation_bytes(const pd_backend_stats *s) {
    return s->scratch_bytes - s->step_bytes;
}

/* An image of zeros through an encoder that computes nothing: its program and copies are made. */
static pd_status encode_nothing(pd_model *m, pd_error *err) {
    const pd_vision_info *v = &m->vision_info;
    float *chw = pd_alloc(3ull * v->image_size * v->image_size, sizeof *chw);
    float *rows = pd_alloc((size_t)v->n_tokens * v->n_embd_out, sizeof *rows);
    pd_status status = PD_ERR_MEMORY_HOST;
    if (chw && rows)
        status = pd_vision_encode(m->vision, chw, NULL, rows, err);
    else
        PD_RAISE(err, status, "no memory for an image's pixels");
    pd_free(chw);
    pd_free(rows);
    return status;
}

pd_status pd_model_estimate_loaded(pd_model *m, const pd_backend_stats *text, pd_error *err) {
    pd_estimate *e = &m->loaded;
    pd_backend_stats all, used;
    m->backend->v->stats(m->backend, &all);
    if (m->vision) PD_TRY(encode_nothing(m, err));
    m->backend->v->stats(m->backend, &used);
    const pd_device_info *d = m->backend->v->info(m->backend);
    *e = (pd_estimate){.weight_bytes = text->weight_bytes,
                       .image_weight_bytes = all.weight_bytes - text->weight_bytes,
                       .image_bytes = used.kv_bytes + activation_bytes(&used),
                       .peak_bytes = all.peak_bytes,
                       .limit_bytes = used.limit_bytes,
                       .host_map_bytes = m->info.file_bytes + m->vision_info.file_bytes,
                       .host_head_bytes = m->lm_head.requantised ? m->info.head_bytes : 0,
                       .host_vocab_bytes = pd_vocab_bytes(m->vocab)};
    if (!e->limit_bytes) e->limit_bytes = d->memory_free_bytes;
    if (!e->limit_bytes) e->limit_bytes = d->memory_bytes;
    return PD_OK;
}

/* ---- a context ------------------------------------------------------------------------------ */

/* The copies that the first logits and the first image need. */
static pd_status copy_nothing(const pd_context *c, pd_error *err) {
    const pd_config *m = &c->model->config;
    const pd_backend_vtable *v = c->model->backend->v;
    const pd_stage *decode = &c->stages[PD_STAGE_DECODE], *prefill = &c->stages[PD_STAGE_PREFILL];
    uint64_t n_logits = m->n_vocab, n_rows = 0;
    if (prefill->program && prefill->embeddings != PD_BUF_NONE)
        n_rows = (uint64_t)pd_model_image_rows(c->model) * m->n_embd;
    float *values = pd_alloc(n_logits > n_rows ? n_logits : n_rows, sizeof *values);
    if (!values) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for logits");
    pd_status status = v->read(decode->program, decode->logits, 0, 4 * n_logits, values, err);
    if (status == PD_OK && n_rows)
        status = v->write(prefill->program, prefill->embeddings, 0, 4 * n_rows, values, err);
    pd_free(values);
    return status;
}

/* All pages have one size, so the two kinds share the bytes by their number. */
static uint64_t global_share(const pd_context *c, uint64_t kv_bytes) {
    const pd_config *m = &c->model->config;
    pd_kv_pages counts = pd_kv_page_counts(c->kv);
    uint64_t pages[2] = {0};
    for (uint32_t i = 0; i < m->n_layers; i++)
        pages[m->layer_is_global[i]] += m->layer_is_global[i] ? counts.n_global : counts.n_local;
    uint64_t all = pages[0] + pages[1];
    return all ? kv_bytes / all * pages[1] + kv_bytes % all * pages[1] / all : 0;
}

static void fill(const pd_context *c, pd_estimate *e) {
    const pd_model *m = c->model;
    pd_backend_stats s;
    m->backend->v->stats(m->backend, &s);
    *e = m->loaded;
    e->n_ctx = c->desc.n_ctx;
    e->n_chunk = c->desc.n_chunk;
    e->n_seqs = c->n_seqs;
    uint64_t held[PD_STAGE_COUNT];
    for (int i = 0; i < PD_STAGE_COUNT; i++) held[i] = c->stages[i].held_bytes;
    e->prefill_bytes =
        held[PD_STAGE_PREFILL] + held[PD_STAGE_LM_HEAD] + held[PD_STAGE_FEW] + held[PD_STAGE_SOME];
    e->decode_bytes = held[PD_STAGE_DECODE] + held[PD_STAGE_BATCH];
    e->step_bytes = s.step_bytes;
    e->total_bytes = s.weight_bytes + s.kv_bytes + s.scratch_bytes;
    uint64_t kv = e->total_bytes - e->weight_bytes - e->image_weight_bytes - e->image_bytes -
                  e->prefill_bytes - e->decode_bytes - e->step_bytes;
    e->kv_global_bytes = global_share(c, kv);
    e->kv_local_bytes = kv - e->kv_global_bytes;
    if (e->total_bytes > e->peak_bytes) e->peak_bytes = e->total_bytes;
}

static pd_status estimate(pd_model *m, const pd_session_desc *desc, uint32_t n_seqs,
                          pd_estimate *out, pd_error *err) {
    pd_context *c;
    pd_session_desc full = *desc;
    full.all_pages = true;
    PD_TRY(pd_context_create(m, &full, n_seqs, &c, err));
    pd_status status = copy_nothing(c, err);
    if (status == PD_OK) fill(c, out);
    pd_context_destroy(c);
    return status;
}

static pd_status check_arguments(const pd_model *m, uint32_t n_seqs, pd_error *err) {
    enum { MAX_SEQS = 4096 };
    if (!m->estimate_only)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the model was not opened for estimates");
    if (n_seqs <= MAX_SEQS) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "%u sequences are more than %d", n_seqs, MAX_SEQS);
}

pd_status pd_model_estimate(pd_model *m, const pd_session_desc *session, uint32_t n_seqs,
                            pd_estimate *out, pd_error *err) {
    static const pd_session_desc defaults = {0};
    PD_NEED(err, m);
    PD_NEED(err, out);
    PD_TRY(check_arguments(m, n_seqs, err));
    PD_TRY(pd_model_begin_turn(m, err));
    pd_status status = estimate(m, session ? session : &defaults, n_seqs ? n_seqs : 1, out, err);
    pd_model_end_turn(m);
    return status;
}

/* ---- the largest context -------------------------------------------------------------------- */

/* A context of so many pages; *fits is false as well where a part is too large for one piece. */
static pd_status try_pages(pd_model *m, const pd_session_desc *session, uint32_t n_seqs,
                           uint32_t n_pages, pd_estimate *out, bool *fits, pd_error *err) {
    pd_session_desc desc = *session;
    desc.n_ctx = n_pages * PD_PAGE_POSITIONS;
    pd_error reason;
    pd_status status = estimate(m, &desc, n_seqs, out, &reason);
    *fits = status == PD_OK && (!out->limit_bytes || out->peak_bytes <= out->limit_bytes);
    bool too_large = status == PD_ERR_MEMORY_DEVICE || status == PD_ERR_UNSUPPORTED;
    if (status == PD_OK || (too_large && n_pages > 1)) return PD_OK;
    if (err) *err = reason;
    return status;
}

/* Up to most_pages; *n_pages is 0, and *out the estimate of one page, when nothing fits. */
static pd_status find_most(pd_model *m, const pd_session_desc *session, uint32_t n_seqs,
                           uint32_t most_pages, uint32_t *n_pages, pd_estimate *out,
                           pd_error *err) {
    pd_estimate tried;
    bool fits = false;
    uint32_t low = 0, above = most_pages + 1;
    PD_TRY(try_pages(m, session, n_seqs, 1, out, &fits, err));
    if (!fits) above = 1;
    for (uint32_t n = most_pages; low + 1 < above; n = low + (above - low) / 2) {
        PD_TRY(try_pages(m, session, n_seqs, n, &tried, &fits, err));
        if (fits) *out = tried;
        *(fits ? &low : &above) = n;
    }
    *n_pages = low;
    return PD_OK;
}

pd_status pd_model_estimate_most(pd_model *m, const pd_session_desc *session, uint32_t n_seqs,
                                 uint32_t *n_ctx, pd_estimate *out, pd_error *err) {
    static const pd_session_desc defaults = {0};
    PD_NEED(err, m);
    PD_NEED(err, n_ctx);
    PD_NEED(err, out);
    PD_TRY(check_arguments(m, n_seqs, err));
    uint32_t n_pages, most_pages = m->config.n_ctx_train / PD_PAGE_POSITIONS;
    *n_ctx = 0;
    PD_TRY(pd_model_begin_turn(m, err));
    pd_status status = find_most(m, session ? session : &defaults, n_seqs ? n_seqs : 1, most_pages,
                                 &n_pages, out, err);
    pd_model_end_turn(m);
    if (status == PD_OK) *n_ctx = n_pages * PD_PAGE_POSITIONS;
    return status;
}

/* Beside what the model and its other contexts hold. */
void pd_context_hint(pd_model *model, const pd_session_desc *desc, uint32_t n_seqs, uint32_t n_ctx,
                     pd_error *err) {
    pd_backend *b = model->backend, *counting;
    pd_backend_stats stats;
    pd_estimate e;
    uint32_t n_pages = 0, most_pages = (n_ctx - 1) / PD_PAGE_POSITIONS;
    b->v->stats(b, &stats);
    if (!stats.limit_bytes || !most_pages || !b->v->recount) return;
    if (b->v->recount(b, &counting, NULL) != PD_OK) return;
    pd_model m = *model;
    m.backend = counting;
    m.estimate_only = true;
    m.loaded = (pd_estimate){.limit_bytes = stats.limit_bytes};
    pd_status status = find_most(&m, desc, n_seqs, most_pages, &n_pages, &e, NULL);
    counting->v->close(counting);
    if (status == PD_OK && n_pages)
        pd_error_hint(err, PD_ERR_MEMORY_DEVICE, "a context of %u positions would fit (-c)",
                      n_pages * PD_PAGE_POSITIONS);
}
