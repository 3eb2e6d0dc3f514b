/* Contexts and what they are made of: limits, KV pages, programs, sequences. Steps: context_run.c.
 *
 * `prefill` is compiled for chunks of up to n_chunk rows, `few` and `some` for the short turns of a
 * conversation, `decode` for a single row, and for a row of each of several sequences there is a
 * `batch` of 2, of 4, of 8 and so on. Logits of all positions (all_logits) would fill the memory
 * long before n_chunk rows of 262144: prefill, or `score` where a context generates as well, then
 * ends with the rows that the head multiplies, and `lm_head` makes logits of some of them at a time
 * (lm_head_step.c).
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/context.h"

#include "base/clock.h"
#include "engine/estimate.h"

enum { DEFAULT_CTX = 8192, DEFAULT_CHUNK = 512, ALL_LOGITS_BYTES = 64 << 20 };

/* ---- limits --------------------------------------------------------------------------------- */

static uint32_t min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

pd_status pd_check_precision(pd_precision precision, pd_error *err) {
    if ((unsigned)precision <= PD_PRECISION_Q8) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "there is no precision %d", (int)precision);
}

/* A chunk holds at least one image: its rows see each other, so they are computed at once. And it
 * is longer than a row of each sequence, which would make all rows outputs. */
static uint32_t choose_chunk(const pd_context *c) {
    uint32_t n = c->desc.n_chunk ? c->desc.n_chunk : DEFAULT_CHUNK;
    uint32_t image_rows = pd_model_image_rows(c->model);
    uint64_t most = (uint64_t)c->desc.n_ctx * c->n_seqs;
    if (image_rows && n <= image_rows) n = image_rows + 1;
    if (c->n_seqs > 1 && n <= c->n_seqs) n = c->n_seqs + 1;
    return n < most ? n : (uint32_t)most;
}

uint32_t pd_context_usual(const pd_model *model) {
    return min_u32(model->config.n_ctx_train, DEFAULT_CTX);
}

static pd_status set_limits(pd_context *c, const pd_session_desc *desc, pd_error *err) {
    const pd_config *m = &c->model->config;
    c->desc = *desc;
    PD_TRY(pd_check_precision(desc->precision, err));
    if (!c->desc.n_ctx) c->desc.n_ctx = c->model->default_ctx;
    if (!c->desc.n_ctx) c->desc.n_ctx = pd_context_usual(c->model);
    if (c->desc.n_ctx > m->n_ctx_train)
        return PD_RAISE(err, PD_ERR_CONTEXT,
                        "a context of %u positions was asked for, but %s was made for %u",
                        c->desc.n_ctx, m->name, m->n_ctx_train);
    c->desc.n_chunk = choose_chunk(c);
    if (!c->desc.checkpoint_positions) c->desc.checkpoint_positions = 2 * m->window;
    if (c->desc.checkpoint_positions == PD_NO_CHECKPOINTS || c->desc.all_logits)
        c->desc.checkpoint_positions = 0;
    uint32_t fit = (uint32_t)(ALL_LOGITS_BYTES / ((uint64_t)m->n_vocab * 4));
    c->max_outs = min_u32(fit ? fit : 1, c->desc.n_chunk);
    return PD_OK;
}

/* ---- stages --------------------------------------------------------------------------------- */

static const char *const stage_names[PD_STAGE_COUNT] = {[PD_STAGE_DECODE] = "decode",
                                                        [PD_STAGE_FEW] = "few",
                                                        [PD_STAGE_SOME] = "some",
                                                        [PD_STAGE_PREFILL] = "prefill",
                                                        [PD_STAGE_SCORE] = "score"};

/* Rows of a step of several sequences; 0: of another stage. */
static uint32_t batch_rows(const pd_context *c, pd_stage_kind kind) {
    if (kind < PD_STAGE_BATCH || kind > PD_STAGE_BATCH_LAST) return 0;
    if (kind == PD_STAGE_BATCH_LAST) return c->n_seqs;
    return min_u32(2u << (kind - PD_STAGE_BATCH), c->n_seqs);
}

/* Prefill's, in plans whose kernels and tiles suit fewer rows; 0: of another stage. */
static uint32_t most_rows(const pd_context *c, pd_stage_kind kind) {
    switch (kind) {
    case PD_STAGE_FEW: return PD_FEW_ROWS;
    case PD_STAGE_SOME: return PD_SOME_ROWS;
    case PD_STAGE_PREFILL:
    case PD_STAGE_SCORE: return c->desc.n_chunk;
    default: return 0;
    }
}

static bool has_stage(const pd_context *c, pd_stage_kind kind) {
    uint32_t most = most_rows(c, kind);
    if (batch_rows(c, kind)) return 1u << (kind - PD_STAGE_BATCH) < c->n_seqs;
    switch (kind) {
    case PD_STAGE_FEW:
    case PD_STAGE_SOME: return !c->desc.all_logits && most > c->n_seqs && most < c->desc.n_chunk;
    case PD_STAGE_PREFILL: return c->desc.n_chunk > 1 || c->desc.all_logits;
    case PD_STAGE_SCORE: return false; /* pd_context_add_scores */
    case PD_STAGE_LM_HEAD: return c->desc.all_logits;
    default: return true;
    }
}

static pd_status make_plan(const pd_context *c, pd_stage_kind kind, pd_plan *out, pd_error *err) {
    const pd_model *m = c->model;
    pd_text_plan_desc d = {.name = stage_names[PD_STAGE_DECODE],
                           .max_positions = c->desc.n_ctx,
                           .precision = c->desc.precision};
    d.max_rows = d.max_outs = d.max_seqs = kind == PD_STAGE_DECODE ? 1 : c->n_seqs;
    switch (kind) {
    case PD_STAGE_LM_HEAD:
        return pd_plan_lm_head(&m->config, m->weights, c->max_outs, c->desc.precision, out, err);
    case PD_STAGE_FEW:
    case PD_STAGE_SOME:
    case PD_STAGE_PREFILL:
    case PD_STAGE_SCORE:
        d.name = stage_names[kind];
        d.max_rows = most_rows(c, kind);
        if (c->desc.all_logits || kind == PD_STAGE_SCORE) d.max_outs = 0;
        d.takes_embeddings = m->vision && (kind == PD_STAGE_PREFILL || kind == PD_STAGE_SCORE);
        break;
    case PD_STAGE_DECODE: d.keeps_hidden = m->lm_head.requantised; break;
    default:
        d.name = "batch";
        d.max_rows = d.max_outs = d.max_seqs = batch_rows(c, kind);
        break;
    }
    return pd_plan_text(&m->config, m->weights, &d, out, err);
}

static pd_status compile_stage(pd_context *c, pd_stage_kind kind, pd_error *err) {
    pd_stage *stage = &c->stages[kind];
    pd_backend *b = c->model->backend;
    PD_TRY(make_plan(c, kind, &stage->plan, err));
    stage->logits = pd_plan_find_buf(&stage->plan, "logits");
    stage->best = pd_plan_find_buf(&stage->plan, "best");
    stage->log_prob = pd_plan_find_buf(&stage->plan, "log_prob");
    stage->hidden = pd_plan_hidden(&stage->plan);
    stage->embeddings = pd_plan_find_buf(&stage->plan, "embeddings");
    pd_kv_store *store = kind == PD_STAGE_LM_HEAD ? NULL : c->store;
    pd_backend_stats before, after;
    b->v->stats(b, &before);
    PD_TRY(b->v->compile(b, &stage->plan, store, &stage->program, err));
    b->v->stats(b, &after);
    stage->held_bytes =
        after.scratch_bytes - after.step_bytes - (before.scratch_bytes - before.step_bytes);
    return PD_OK;
}

static pd_status compile_stages(pd_context *c, pd_error *err) {
    uint64_t t0 = pd_clock_ns();
    for (int kind = 0; kind < PD_STAGE_COUNT; kind++)
        if (has_stage(c, (pd_stage_kind)kind)) PD_TRY(compile_stage(c, (pd_stage_kind)kind, err));
    c->compile_ns = pd_clock_ns() - t0;
    return PD_OK;
}

pd_status pd_context_limits(pd_model *model, const pd_session_desc *desc, uint32_t n_seqs,
                            pd_session_desc *out, pd_error *err) {
    pd_context c = {.model = model, .n_seqs = n_seqs};
    pd_status status = set_limits(&c, desc, err);
    *out = c.desc;
    return status;
}

void pd_context_plans(pd_model *model, const pd_session_desc *desc, uint32_t n_seqs, pd_plan *out,
                      uint32_t *n) {
    pd_context c = {.model = model, .n_seqs = n_seqs};
    *n = 0;
    if (set_limits(&c, desc, NULL) != PD_OK) return;
    for (int kind = 0; kind < PD_STAGE_COUNT; kind++) {
        if (!has_stage(&c, (pd_stage_kind)kind)) continue;
        if (make_plan(&c, (pd_stage_kind)kind, &out[*n], NULL) == PD_OK)
            ++*n;
        else
            pd_plan_free(&out[*n]);
    }
}

/* ---- memory --------------------------------------------------------------------------------- */

static pd_status raise_no_steps(const pd_context *c, pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for steps of %u rows", c->desc.n_chunk);
}

static pd_status create_lm_head_buffers(pd_context *c, pd_error *err) {
    const pd_config *m = &c->model->config;
    PD_TRY(pd_step_buf_create(&c->lm_head_step, c->max_outs, 1, err));
    c->logits = pd_alloc((size_t)c->max_outs * m->n_vocab, sizeof *c->logits);
    c->hidden = pd_alloc((size_t)c->max_outs * m->n_embd, sizeof *c->hidden);
    c->log_probs = pd_alloc(2 * (size_t)c->max_outs, sizeof *c->log_probs);
    return c->logits && c->hidden && c->log_probs ? PD_OK : raise_no_steps(c, err);
}

static void destroy_lm_head_buffers(pd_context *c) {
    pd_step_buf_destroy(&c->lm_head_step);
    pd_free(c->hidden);
    pd_free(c->logits);
    pd_free(c->log_probs);
    c->hidden = c->logits = c->log_probs = NULL;
}

static pd_status create_host_buffers(pd_context *c, pd_error *err) {
    PD_TRY(pd_step_buf_create(&c->step, c->desc.n_chunk, c->n_seqs, err));
    c->results = pd_alloc(c->desc.n_chunk, sizeof *c->results);
    if (!c->results) return raise_no_steps(c, err);
    return c->desc.all_logits ? create_lm_head_buffers(c, err) : PD_OK;
}

static bool has_layers(const pd_config *m, bool global) {
    for (uint32_t i = 0; i < m->n_layers; i++)
        if (m->layer_is_global[i] == global) return true;
    return false;
}

/* For a start: a chunk of one sequence. */
static pd_kv_pages first_pages(const pd_context *c) {
    if (c->desc.all_pages) return pd_kv_most_pages(c->kv, c->n_seqs);
    pd_kv_pages most = pd_kv_most_pages(c->kv, 1);
    uint32_t n = pd_div_up(c->desc.n_chunk, PD_PAGE_POSITIONS);
    return (pd_kv_pages){min_u32(n, most.n_global), min_u32(n, most.n_local)};
}

static pd_status create_kv(pd_context *c, pd_error *err) {
    const pd_config *m = &c->model->config;
    pd_kv_desc d = {.max_positions = c->desc.n_ctx,
                    .window = has_layers(m, false) ? m->window : 0,
                    .max_chunk =
                        c->desc.n_chunk > PD_RUN_AHEAD_STEPS ? c->desc.n_chunk : PD_RUN_AHEAD_STEPS,
                    .mark_positions = c->desc.checkpoint_positions};
    PD_TRY(pd_kv_create(&d, &c->kv, err));
    c->has_global = has_layers(m, true);
    pd_kv_pages pages = first_pages(c);
    PD_TRY(pd_kv_extend(c->kv, pages, err));
    pd_kv_store_desc store = {.shape = {.n_layers = m->n_layers,
                                        .n_heads = m->n_heads,
                                        .n_kv_heads = m->n_kv_heads,
                                        .head_dim = m->head_dim,
                                        .f32 = c->desc.precision == PD_PRECISION_EXACT,
                                        .layer_is_global = m->layer_is_global},
                              .n_global_pages = c->has_global ? pages.n_global : 0,
                              .n_local_pages = pages.n_local};
    return c->model->backend->v->kv_create(c->model->backend, &store, &c->store, err);
}

/* ---- life ----------------------------------------------------------------------------------- */

static pd_status create_parts(pd_context *c, const pd_session_desc *desc, pd_error *err) {
    PD_TRY(set_limits(c, desc, err));
    PD_TRY(create_host_buffers(c, err));
    PD_TRY(create_kv(c, err));
    return compile_stages(c, err);
}

pd_status pd_context_check_model(const pd_model *model, pd_error *err) {
    if (model->weights && model->backend) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "the model was opened without its text weights");
}

pd_status pd_context_create(pd_model *model, const pd_session_desc *desc, uint32_t n_seqs,
                            pd_context **out, pd_error *err) {
    *out = NULL;
    PD_TRY(pd_context_check_model(model, err));
    pd_context *c = pd_alloc(1, sizeof *c);
    if (!c) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a context");
    c->model = model;
    c->n_seqs = n_seqs;
    pd_status status = create_parts(c, desc, err);
    if (status == PD_OK) {
        *out = c;
        return PD_OK;
    }
    uint32_t n_ctx = c->desc.n_ctx;
    pd_context_destroy(c);
    bool hints = status == PD_ERR_MEMORY_DEVICE && err && !model->estimate_only;
    if (hints) pd_fit_hint(model, desc, n_seqs, n_ctx, err);
    return status;
}

static void destroy_stage(pd_context *c, pd_stage_kind kind) {
    pd_backend *b = c->model->backend;
    if (c->stages[kind].program) b->v->destroy(b, c->stages[kind].program);
    pd_plan_free(&c->stages[kind].plan);
    c->stages[kind] = (pd_stage){0};
}

static pd_status compile_scores(pd_context *c, pd_error *err) {
    PD_TRY(create_lm_head_buffers(c, err));
    PD_TRY(compile_stage(c, PD_STAGE_SCORE, err));
    return compile_stage(c, PD_STAGE_LM_HEAD, err);
}

pd_status pd_context_add_scores(pd_context *c, pd_error *err) {
    if (c->stages[PD_STAGE_LM_HEAD].program) return PD_OK;
    pd_status status = compile_scores(c, err);
    if (status == PD_OK) return PD_OK;
    destroy_stage(c, PD_STAGE_SCORE);
    destroy_stage(c, PD_STAGE_LM_HEAD);
    destroy_lm_head_buffers(c);
    return status;
}

pd_stage *pd_context_scored_stage(pd_context *c) {
    return &c->stages[c->desc.all_logits ? PD_STAGE_PREFILL : PD_STAGE_SCORE];
}

void pd_context_destroy(pd_context *c) {
    if (!c) return;
    pd_backend *b = c->model->backend;
    for (int kind = 0; kind < PD_STAGE_COUNT; kind++) destroy_stage(c, (pd_stage_kind)kind);
    if (c->store) b->v->kv_destroy(b, c->store);
    pd_kv_destroy(c->kv);
    pd_step_buf_destroy(&c->step);
    destroy_lm_head_buffers(c);
    pd_free(c->results);
    pd_free(c);
}

void pd_context_get_stats(const pd_context *c, const pd_sequence *seq, pd_session_stats *out) {
    const pd_backend_vtable *v = c->model->backend->v;
    const pd_step_work *w = &seq->work;
    pd_session_stats stats = {.prompt_ns = w->prompt_ns,
                              .decode_ns = w->decode_ns,
                              .n_prompt = w->n_prompt,
                              .n_decode = w->n_decode,
                              .n_dropped = w->n_dropped,
                              .compile_ns = c->compile_ns};
    pd_backend_stats b;
    v->stats(c->model->backend, &b);
    stats.kv_bytes = b.kv_bytes;
    stats.scratch_bytes = b.scratch_bytes;
    stats.device_peak_bytes = b.peak_bytes;
    stats.build = b.build;
    v->count(c->stages[PD_STAGE_DECODE].program, &stats.decode_step);
    if (c->stages[PD_STAGE_PREFILL].program)
        v->count(c->stages[PD_STAGE_PREFILL].program, &stats.prompt_step);
    stats.n_reused = out->n_reused;
    stats.logits_hash = out->logits_hash;
    *out = stats;
}

/* ---- sequences ------------------------------------------------------------------------------ */

pd_status pd_context_join(pd_context *c, pd_sequence *seq, pd_error *err) {
    uint32_t id;
    *seq = (pd_sequence){0};
    PD_TRY(pd_kv_join(c->kv, &id, err));
    pd_status status =
        pd_tokens_create(&seq->tokens, c->desc.n_ctx, pd_model_image_rows(c->model), err);
    if (status == PD_OK) {
        seq->kv_id = id;
        return PD_OK;
    }
    pd_tokens_destroy(&seq->tokens);
    pd_kv_leave(c->kv, id);
    return status;
}

void pd_context_disown(pd_context *c, pd_sequence *seq) {
    if (c->ran_for == seq) c->ran = NULL;
    for (int i = 0; i < PD_STAGE_COUNT; i++)
        if (c->stages[i].owner == seq) c->stages[i].owner = NULL;
    pd_context_forget_outputs(seq, 0);
    seq->out = (pd_output){0};
}

void pd_context_leave(pd_context *c, pd_sequence *seq) {
    if (!seq->tokens.ids) return;
    pd_kv_leave(c->kv, seq->kv_id);
    pd_context_disown(c, seq);
    pd_tokens_destroy(&seq->tokens);
    *seq = (pd_sequence){0};
}

/* Marks never lie within an image: one step back from its middle is its beginning. */
uint32_t pd_context_reachable(const pd_context *c, const pd_sequence *seq, uint32_t n) {
    uint32_t whole = n < seq->tokens.n ? pd_tokens_before_image(&seq->tokens, n) : seq->tokens.n;
    return pd_kv_reachable(c->kv, seq->kv_id, whole);
}

uint32_t pd_context_place_before(const pd_context *c, const pd_sequence *seq, uint32_t n) {
    if (n >= seq->tokens.n || pd_context_has_kept_output(c, seq, n)) return n;
    uint32_t mark = pd_kv_mark_before(c->kv, seq->kv_id, n);
    return mark && n - mark <= c->model->config.window ? mark : n;
}

uint32_t pd_context_truncate(pd_context *c, pd_sequence *seq, uint32_t n) {
    n = pd_kv_truncate(c->kv, seq->kv_id, pd_context_reachable(c, seq, n));
    if (n == seq->tokens.n) return n;
    pd_tokens_cut(&seq->tokens, n);
    pd_context_forget_outputs(seq, n);
    seq->out = pd_context_kept_output(c, seq, n);
    return n;
}

uint32_t pd_context_share(pd_context *c, const pd_sequence *from, uint32_t n, pd_sequence *to) {
    const pd_tokens *t = &from->tokens;
    n = pd_kv_share(c->kv, from->kv_id, pd_context_reachable(c, from, n), to->kv_id);
    pd_tokens_append(&to->tokens, t->ids, n, t->images, t->n_images);
    return n;
}
