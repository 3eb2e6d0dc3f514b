/* See estimate.h. Every context is counted on a backend of its own, which begins with the weights,
 * so that nothing is left of one for the next.
 *
 * Buffers that a first use makes are made as well: for an image and its rows on their way in, for
 * logits on their way back, and in contexts that go back for pages on their way to and from files
 * and other sequences. KV pages are counted as they are at the end: all that the context can come
 * to need, those of checkpoints among them. A store that grows has a layer twice for a moment.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/estimate.h"

#include "base/memory.h"

pd_status pd_model_check_computes(const pd_model *m, pd_error *err) {
    if (!m->estimate_only) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "the model was opened for estimates alone");
}

bool pd_estimate_fits(const pd_estimate *e) {
    return !e->limit_bytes || e->peak_bytes <= e->limit_bytes;
}

/* ---- the model ------------------------------------------------------------------------------ */

pd_status pd_counting_begin(const pd_model *from, pd_model *out, pd_error *err) {
    *out = (pd_model){.file = from->file,
                      .config = from->config,
                      .weights = from->weights,
                      .lm_head = from->lm_head,
                      .vocab = from->vocab,
                      .info = from->info,
                      .vision_info = from->vision_info,
                      .loaded = from->loaded,
                      .estimate_only = true};
    PD_TRY(from->backend->v->recount(from->backend, &out->backend, err));
    if (!from->vision) return PD_OK;
    pd_status status = pd_vision_twin(from->vision, &out->vision, err);
    if (status != PD_OK) pd_counting_end(out);
    return status;
}

void pd_counting_end(pd_model *counting) {
    pd_vision_close(counting->vision);
    counting->backend->v->close(counting->backend);
}

void pd_estimate_loaded(pd_model *m, const pd_backend_stats *text) {
    pd_estimate *e = &m->loaded;
    pd_backend_stats all;
    m->backend->v->stats(m->backend, &all);
    const pd_device_info *d = m->backend->v->info(m->backend);
    *e = (pd_estimate){.weight_bytes = text->weight_bytes,
                       .image_weight_bytes = all.weight_bytes - text->weight_bytes,
                       .peak_bytes = all.peak_bytes,
                       .limit_bytes = all.limit_bytes,
                       .host_map_bytes = m->info.file_bytes + m->vision_info.file_bytes,
                       .host_head_bytes = m->lm_head.requantised ? m->info.head_bytes : 0,
                       .host_vocab_bytes = pd_vocab_bytes(m->vocab)};
    if (!e->limit_bytes) e->limit_bytes = d->memory_free_bytes;
    if (!e->limit_bytes) e->limit_bytes = d->memory_bytes;
}

/* ---- what first uses make ------------------------------------------------------------------- */

static uint64_t held_bytes(const pd_backend_stats *s) {
    return s->weight_bytes + s->kv_bytes + s->scratch_bytes;
}

/* The encoder's program and K and V; it has taken them already if it was used. */
static pd_status count_image(pd_model *counting, const pd_vision *used, pd_estimate *e,
                             pd_error *err) {
    pd_backend *b = counting->backend;
    pd_backend_stats before, after;
    if (!counting->vision || pd_vision_has_program(used)) return PD_OK;
    b->v->stats(b, &before);
    PD_TRY(pd_vision_rehearse(counting->vision, b, err));
    b->v->stats(b, &after);
    e->image_bytes =
        held_bytes(&after) - after.step_bytes - (held_bytes(&before) - before.step_bytes);
    return PD_OK;
}

/* The copies that the first logits and the first image need; a context that is shorter than an
 * image takes none. */
static pd_status copy_rows(const pd_context *c, pd_error *err) {
    const pd_config *m = &c->model->config;
    const pd_backend_vtable *v = c->model->backend->v;
    const pd_stage *decode = &c->stages[PD_STAGE_DECODE], *prefill = &c->stages[PD_STAGE_PREFILL];
    uint64_t n_logits = m->n_vocab, n_rows = 0;
    if (prefill->program && prefill->embeddings != PD_BUF_NONE &&
        pd_model_image_rows(c->model) <= c->desc.n_chunk)
        n_rows = (uint64_t)pd_model_image_rows(c->model) * m->n_embd;
    float *values = pd_alloc(n_logits > n_rows ? n_logits : n_rows, sizeof *values);
    if (!values) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for logits");
    pd_status status = v->read(decode->program, decode->logits, 0, 4 * n_logits, values, err);
    if (status == PD_OK && n_rows)
        status = v->write(prefill->program, prefill->embeddings, 0, 4 * n_rows, values, err);
    pd_free(values);
    return status;
}

/* Those of a sequence that is saved and loaded, or shares its pages with another one. */
static pd_status copy_page(const pd_context *c, bool global, pd_error *err) {
    pd_backend *b = c->model->backend;
    uint64_t bytes = pd_kv_page_bytes(&c->stages[PD_STAGE_DECODE].plan.desc.kv, global);
    if (bytes == 0) return PD_OK;
    void *page = pd_alloc(bytes, 1);
    if (!page) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to copy a KV page");
    pd_status status = b->v->kv_read(b, c->store, global, 0, page, err);
    if (status == PD_OK) status = b->v->kv_write(b, c->store, global, 0, page, err);
    pd_free(page);
    return status;
}

static pd_status grow_to(pd_context *c, pd_kv_pages pages, pd_error *err) {
    pd_backend *b = c->model->backend;
    PD_TRY(b->v->kv_grow(b, c->store, c->has_global ? pages.n_global : 0, pages.n_local, err));
    return pd_kv_extend(c->kv, pages, err);
}

/* To all pages, the last of either kind by itself: then most is there twice. */
static pd_status grow_fully(pd_context *c, pd_error *err) {
    pd_kv_pages most = pd_kv_most_pages(c->kv, c->n_seqs), before = most;
    if (before.n_global > 1) before.n_global--;
    if (before.n_local > 1) before.n_local--;
    PD_TRY(grow_to(c, before, err));
    return grow_to(c, most, err);
}

static pd_status use(pd_context *c, pd_error *err) {
    if (!c->desc.all_pages) PD_TRY(grow_fully(c, err));
    PD_TRY(copy_rows(c, err));
    if (c->desc.checkpoint_positions == 0) return PD_OK;
    PD_TRY(copy_page(c, false, err));
    return copy_page(c, true, err);
}

/* ---- a context ------------------------------------------------------------------------------ */

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

static void fill(const pd_context *c, uint64_t kv_before, pd_estimate *e) {
    const pd_model *m = c->model;
    pd_backend_stats s;
    m->backend->v->stats(m->backend, &s);
    e->n_ctx = c->desc.n_ctx;
    e->n_chunk = c->desc.n_chunk;
    e->n_seqs = c->n_seqs;
    uint64_t held[PD_STAGE_COUNT];
    for (int i = 0; i < PD_STAGE_COUNT; i++) held[i] = c->stages[i].held_bytes;
    e->prefill_bytes =
        held[PD_STAGE_PREFILL] + held[PD_STAGE_LM_HEAD] + held[PD_STAGE_FEW] + held[PD_STAGE_SOME];
    e->decode_bytes = 0;
    for (int i = PD_STAGE_DECODE; i <= PD_STAGE_BATCH_LAST; i++) e->decode_bytes += held[i];
    e->step_bytes = s.step_bytes;
    e->kv_global_bytes = global_share(c, s.kv_bytes - kv_before);
    e->kv_local_bytes = s.kv_bytes - kv_before - e->kv_global_bytes;
    e->total_bytes = held_bytes(&s);
    if (s.peak_bytes > e->peak_bytes) e->peak_bytes = s.peak_bytes;
}

static pd_status count_context(pd_model *counting, const pd_session_desc *desc, uint32_t n_seqs,
                               pd_estimate *out, pd_error *err) {
    pd_context *c;
    pd_backend_stats before;
    counting->backend->v->stats(counting->backend, &before);
    PD_TRY(pd_context_create(counting, desc, n_seqs, &c, err));
    pd_status status = use(c, err);
    if (status == PD_OK) fill(c, before.kv_bytes, out);
    pd_context_destroy(c);
    return status;
}

pd_status pd_estimate_context(const pd_model *m, const pd_session_desc *desc, uint32_t n_seqs,
                              pd_estimate *out, pd_error *err) {
    pd_model counting;
    PD_TRY(pd_counting_begin(m, &counting, err));
    *out = m->loaded;
    pd_status status = count_image(&counting, m->vision, out, err);
    if (status == PD_OK) status = count_context(&counting, desc, n_seqs, out, err);
    pd_counting_end(&counting);
    return status;
}
