/* One sequence: tokens in, logits out.
 *
 * A session holds one KV sequence and two compiled plans: `prefill` for chunks of up to n_chunk
 * rows and `decode` for a single row. sync keeps the longest computed prefix and runs the rest
 * through them. The last row of each step has logits. Logits of all positions (all_logits) would
 * fill the memory long before n_chunk rows of 262144: prefill then ends with the rows that the head
 * multiplies, and `head` makes logits of some of them at a time (score.c).
 * Rows of images come from the model's image encoder just before the chunk that holds them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/session.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "engine/nonfinite.h"

enum { DEFAULT_CTX = 8192, DEFAULT_CHUNK = 512, ALL_LOGITS_BYTES = 64 << 20 };

/* ---- creation ------------------------------------------------------------------------------- */

static uint32_t min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

pd_status pd_check_precision(pd_precision precision, pd_error *err) {
    if ((unsigned)precision <= PD_PRECISION_Q8) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "there is no precision %d", (int)precision);
}

/* A chunk holds at least one image: its rows see each other, so they are computed at once. */
static pd_status check_desc(pd_session *s, const pd_session_desc *desc, pd_error *err) {
    const pd_config *c = &s->model->config;
    uint32_t image_rows = pd_model_image_rows(s->model);
    s->desc = *desc;
    PD_TRY(pd_check_precision(desc->precision, err));
    if (!s->desc.n_ctx) s->desc.n_ctx = min_u32(c->n_ctx_train, DEFAULT_CTX);
    if (!s->desc.n_chunk) s->desc.n_chunk = DEFAULT_CHUNK;
    if (s->desc.n_ctx > c->n_ctx_train)
        return PD_RAISE(err, PD_ERR_CONTEXT,
                        "a context of %u positions was asked for, but %s was made for %u",
                        s->desc.n_ctx, c->name, c->n_ctx_train);
    s->max_outs = 1;
    if (s->desc.all_logits) {
        uint32_t fit = (uint32_t)(ALL_LOGITS_BYTES / ((uint64_t)c->n_vocab * 4));
        s->max_outs = fit ? fit : 1;
    }
    if (image_rows && s->desc.n_chunk <= image_rows) s->desc.n_chunk = image_rows + 1;
    s->desc.n_chunk = min_u32(s->desc.n_chunk, s->desc.n_ctx);
    s->max_outs = min_u32(s->max_outs, s->desc.n_chunk);
    return PD_OK;
}

static pd_status create_kv(pd_session *s, pd_error *err) {
    const pd_config *c = &s->model->config;
    bool has_local = false, has_global = false;
    for (uint32_t i = 0; i < c->n_layers; i++) {
        has_global |= c->layer_is_global[i];
        has_local |= !c->layer_is_global[i];
    }
    pd_kv_desc d = {.n_seqs = 1,
                    .max_positions = s->desc.n_ctx,
                    .window = has_local ? c->window : 0,
                    .max_chunk = s->desc.n_chunk > PD_RUN_AHEAD_STEPS ? s->desc.n_chunk
                                                                      : PD_RUN_AHEAD_STEPS};
    PD_TRY(pd_kv_create(&d, &s->kv, err));
    pd_kv_store_desc store = {.shape = {.n_layers = c->n_layers,
                                        .n_heads = c->n_heads,
                                        .n_kv_heads = c->n_kv_heads,
                                        .head_dim = c->head_dim,
                                        .f32 = s->desc.precision == PD_PRECISION_EXACT,
                                        .layer_is_global = c->layer_is_global},
                              .n_global_pages = has_global ? pd_kv_global_page_count(s->kv) : 0,
                              .n_local_pages = pd_kv_local_page_count(s->kv)};
    return s->model->backend->v->kv_create(s->model->backend, &store, &s->store, err);
}

/* ---- stages --------------------------------------------------------------------------------- */

typedef enum stage_kind { STAGE_DECODE, STAGE_PREFILL, STAGE_LM_HEAD, STAGE_COUNT } stage_kind;
static_assert((int)STAGE_COUNT == PD_SESSION_MAX_PLANS, "a plan per stage");

static bool has_stage(const pd_session *s, stage_kind kind) {
    if (kind == STAGE_PREFILL) return s->desc.n_chunk > 1 || s->desc.all_logits;
    return kind == STAGE_DECODE || s->desc.all_logits;
}

static pd_status make_plan(const pd_session *s, stage_kind kind, pd_plan *out, pd_error *err) {
    const pd_model *m = s->model;
    bool is_prefill = kind == STAGE_PREFILL;
    if (kind == STAGE_LM_HEAD)
        return pd_plan_lm_head(&m->config, m->weights, s->max_outs, s->desc.precision, out, err);
    pd_text_plan_desc d = {.name = is_prefill ? "prefill" : "decode",
                           .max_rows = is_prefill ? s->desc.n_chunk : 1,
                           .max_outs = is_prefill && s->desc.all_logits ? 0 : 1,
                           .max_seqs = 1,
                           .max_positions = s->desc.n_ctx,
                           .precision = s->desc.precision,
                           .keeps_hidden = !is_prefill && m->lm_head.requantised,
                           .takes_embeddings = is_prefill && m->vision};
    return pd_plan_text(&m->config, m->weights, &d, out, err);
}

static pd_status compile_stage(pd_session *s, stage_kind kind, pd_stage *stage, pd_error *err) {
    if (!has_stage(s, kind)) return PD_OK;
    pd_backend *b = s->model->backend;
    PD_TRY(make_plan(s, kind, &stage->plan, err));
    stage->logits = pd_plan_find_buf(&stage->plan, "logits");
    stage->best = pd_plan_find_buf(&stage->plan, "best");
    stage->log_prob = pd_plan_find_buf(&stage->plan, "log_prob");
    stage->hidden = pd_plan_hidden(&stage->plan);
    stage->embeddings = pd_plan_find_buf(&stage->plan, "embeddings");
    pd_kv_store *store = kind == STAGE_LM_HEAD ? NULL : s->store;
    return b->v->compile(b, &stage->plan, store, &stage->program, err);
}

static pd_status compile_stages(pd_session *s, pd_error *err) {
    uint64_t t0 = pd_clock_ns();
    PD_TRY(compile_stage(s, STAGE_DECODE, &s->decode, err));
    PD_TRY(compile_stage(s, STAGE_PREFILL, &s->prefill, err));
    PD_TRY(compile_stage(s, STAGE_LM_HEAD, &s->lm_head, err));
    s->stats.compile_ns = pd_clock_ns() - t0;
    return PD_OK;
}

void pd_session_plans(pd_model *model, const pd_session_desc *desc, pd_plan *out, uint32_t *n) {
    pd_session s = {.model = model};
    *n = 0;
    if (check_desc(&s, desc, NULL) != PD_OK) return;
    for (int kind = 0; kind < STAGE_COUNT; kind++) {
        if (!has_stage(&s, (stage_kind)kind)) continue;
        if (make_plan(&s, (stage_kind)kind, &out[*n], NULL) == PD_OK)
            ++*n;
        else
            pd_plan_free(&out[*n]);
    }
}

/* ---- memory --------------------------------------------------------------------------------- */

static pd_status create_host_buffers(pd_session *s, pd_error *err) {
    uint32_t image_rows = pd_model_image_rows(s->model);
    PD_TRY(pd_tokens_create(&s->tokens, s->desc.n_ctx, image_rows, err));
    PD_TRY(pd_tokens_create(&s->wanted, s->desc.n_ctx, image_rows, err));
    PD_TRY(pd_step_buf_create(&s->step, s->desc.n_chunk, err));
    PD_TRY(pd_step_buf_create(&s->lm_head_step, s->max_outs, err));
    s->results = pd_alloc(s->desc.n_chunk, sizeof *s->results);
    s->logits = pd_alloc((size_t)s->max_outs * s->model->config.n_vocab, sizeof *s->logits);
    s->hidden = pd_alloc((size_t)s->max_outs * s->model->config.n_embd, sizeof *s->hidden);
    if (!s->results || !s->logits || !s->hidden)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a session of %u positions",
                        s->desc.n_ctx);
    return PD_OK;
}

/* What the programs will need besides, with some room for partial results and host copies. */
static uint64_t estimate_scratch(const pd_session *s) {
    enum { ROOM_BYTES = 4 << 20 };
    uint64_t bytes = ROOM_BYTES;
    for (int kind = 0; kind < STAGE_COUNT; kind++) {
        pd_plan plan;
        if (!has_stage(s, (stage_kind)kind)) continue;
        if (make_plan(s, (stage_kind)kind, &plan, NULL) == PD_OK) bytes += plan.scratch_bytes;
        pd_plan_free(&plan);
    }
    return bytes;
}

/* The context that the memory left would hold, for the hint of a failed creation. */
static void hint_context(const pd_session *s, pd_error *err) {
    const pd_config *c = &s->model->config;
    pd_backend_stats stats;
    s->model->backend->v->stats(s->model->backend, &stats);
    uint64_t used = stats.weight_bytes + estimate_scratch(s);
    uint64_t n_global = 0, n_local = 0;
    for (uint32_t i = 0; i < c->n_layers; i++) *(c->layer_is_global[i] ? &n_global : &n_local) += 1;
    uint64_t value = s->desc.precision == PD_PRECISION_EXACT ? 4 : 2;
    uint64_t per_position = 2 * value * c->n_kv_heads * c->head_dim; /* of one layer, K and V */
    uint64_t local = n_local * per_position * (c->window + s->desc.n_chunk + 2 * PD_PAGE_POSITIONS);
    if (stats.limit_bytes <= used + local || n_global == 0) return;
    uint64_t n = (stats.limit_bytes - used - local) / (n_global * per_position) / 64 * 64;
    if (n >= 64 && n < s->desc.n_ctx)
        pd_error_hint(err, PD_ERR_MEMORY_DEVICE, "a context of about %llu positions would fit (-c)",
                      (unsigned long long)n);
}

static pd_status create_parts(pd_session *s, const pd_session_desc *desc, pd_error *err) {
    PD_TRY(check_desc(s, desc, err));
    PD_TRY(create_host_buffers(s, err));
    PD_TRY(create_kv(s, err));
    return compile_stages(s, err);
}

pd_status pd_session_create(pd_model *model, const pd_session_desc *desc, pd_session **out,
                            pd_error *err) {
    static const pd_session_desc defaults = {0};
    PD_NEED(err, out);
    *out = NULL;
    PD_NEED(err, model);
    if (!model->weights || !model->backend)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the model was opened without its text weights");
    pd_session *s = pd_alloc(1, sizeof *s);
    if (!s) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a session");
    s->model = model;
    pd_status status = create_parts(s, desc ? desc : &defaults, err);
    if (status == PD_OK) {
        *out = s;
        return PD_OK;
    }
    if (status == PD_ERR_MEMORY_DEVICE && err) hint_context(s, err);
    pd_session_destroy(s);
    return status;
}

static void free_stage(pd_session *s, pd_stage *stage) {
    if (stage->program) s->model->backend->v->destroy(s->model->backend, stage->program);
    pd_plan_free(&stage->plan);
}

void pd_session_destroy(pd_session *s) {
    if (!s) return;
    free_stage(s, &s->prefill);
    free_stage(s, &s->decode);
    free_stage(s, &s->lm_head);
    if (s->store) s->model->backend->v->kv_destroy(s->model->backend, s->store);
    pd_kv_destroy(s->kv);
    if (s->free_scratch) s->free_scratch(s->sampler_scratch);
    pd_tokens_destroy(&s->tokens);
    pd_tokens_destroy(&s->wanted);
    pd_step_buf_destroy(&s->step);
    pd_step_buf_destroy(&s->lm_head_step);
    pd_free(s->results);
    pd_free(s->logits);
    pd_free(s->hidden);
    pd_free(s);
}

/* ---- steps ---------------------------------------------------------------------------------- */

pd_status pd_session_raise_nonfinite(pd_session *s, const pd_stage *stage, const pd_step *step,
                                     pd_error *err) {
    char where[64];
    snprintf(where, sizeof where, "in the step from position %u", step->rows[0].pos);
    return pd_raise_nonfinite(s->model->backend, stage->program, step, "the logits", where, err);
}

pd_status pd_session_read_samples(pd_session *s, const pd_stage *stage, const pd_step *step,
                                  bool *finite, pd_error *err) {
    uint32_t last = step->n_outs - 1;
    PD_TRY(s->model->backend->v->read(stage->program, stage->best, 0,
                                      step->n_outs * sizeof *s->results, s->results, err));
    *finite = true;
    for (uint32_t i = 0; i <= last; i++) *finite = *finite && s->results[i].n_nonfinite == 0;
    if (*finite) pd_session_keep_output(s, stage, last, s->results[last].best, false);
    return PD_OK;
}

/* Puts the rows of the chunk's images where the plan takes them. */
static pd_status give_images(pd_session *s, uint32_t first, uint32_t n, pd_error *err) {
    const pd_model *m = s->model;
    uint64_t row_bytes = 4ull * m->config.n_embd;
    for (uint32_t i = 0; i < s->tokens.n_images; i++) {
        const pd_placed_image *image = &s->tokens.images[i];
        if (image->first < first || image->first >= first + n) continue;
        const float *rows;
        PD_TRY(pd_vision_rows(m->vision, image->image, image->hash, &s->cancel, &rows, err));
        s->ran = NULL; /* the last step cannot be repeated: its images' rows are gone */
        PD_TRY(m->backend->v->write(s->prefill.program, s->prefill.embeddings,
                                    (image->first - first) * row_bytes,
                                    (image->end - image->first) * row_bytes, rows, err));
    }
    return PD_OK;
}

static void make_rows(pd_session *s, uint32_t first, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        uint32_t pos = first + i, token = s->tokens.ids[pos], end = pos + 1;
        if (token == PD_TOKEN_EMBEDDED) end = pd_tokens_image_at(&s->tokens, pos)->end;
        s->step.rows[i] = (pd_step_row){.token = token, .pos = pos, .seq = 0, .end = end};
    }
}

static pd_status run_step(pd_session *s, const pd_stage *stage, pd_error *err) {
    const pd_step *step = &s->step.step;
    uint64_t t0 = pd_clock_ns();
    bool finite = true;
    s->ran = NULL;
    pd_session_forget_output(s);
    PD_TRY(s->model->backend->v->run(stage->program, step, err));
    if (step->n_outs > 0) PD_TRY(pd_session_read_samples(s, stage, step, &finite, err));
    if (!finite) return pd_session_raise_nonfinite(s, stage, step, err);
    *(step->n_rows == 1 ? &s->stats.decode_ns : &s->stats.prompt_ns) += pd_clock_ns() - t0;
    s->ran = stage;
    return PD_OK;
}

/* Positions [first, first + n) of the sequence, whose pages are there. Every chunk ends with the
 * logits of its last row, so that a NaN is noticed in the chunk that made it. */
static pd_status compute_rows(pd_session *s, uint32_t first, uint32_t n, const pd_score *score,
                              pd_error *err) {
    bool all_logits = s->desc.all_logits;
    pd_step_buf_start(&s->step, n, all_logits ? 0 : 1, pd_kv_table(s->kv, 0), &s->cancel);
    make_rows(s, first, n);
    bool decodes = n == 1 && s->step.rows[0].token != PD_TOKEN_EMBEDDED && !all_logits;
    PD_TRY(run_step(s, decodes ? &s->decode : &s->prefill, err));
    return all_logits ? pd_session_run_lm_head(s, &s->step.step, score, err) : PD_OK;
}

static pd_status run_chunk(pd_session *s, uint32_t first, uint32_t n, const pd_score *score,
                           pd_error *err) {
    PD_TRY(give_images(s, first, n, err));
    PD_TRY(pd_kv_reserve(s->kv, 0, n, err));
    PD_TRY(compute_rows(s, first, n, score, err));
    pd_kv_commit(s->kv, 0, n);
    *(n == 1 ? &s->stats.n_decode : &s->stats.n_prompt) += n;
    return PD_OK;
}

pd_status pd_session_append(pd_session *s, uint32_t id, pd_error *err) {
    uint32_t n = pd_kv_length(s->kv, 0);
    if (n < s->desc.n_ctx) pd_tokens_append(&s->tokens, n, id);
    pd_status status = run_chunk(s, n, 1, NULL, err);
    if (status != PD_OK) s->tokens.n = n;
    return status;
}

static uint32_t truncate_to(pd_session *s, uint32_t n) {
    uint32_t length = pd_kv_length(s->kv, 0), kept = pd_kv_truncate(s->kv, 0, n);
    if (kept != length) pd_session_forget_output(s); /* of a position that is gone */
    return kept;
}

/* An image is computed as a whole. */
static uint32_t before_image(const pd_tokens *t, uint32_t pos) {
    const pd_placed_image *image = pos < t->n ? pd_tokens_image_at(t, pos) : NULL;
    return image ? image->first : pos;
}

/* How much of `wanted` is computed already and can stay; the last position only if its logits are
 * at hand. */
static uint32_t keep_prefix(pd_session *s) {
    uint32_t length = pd_kv_length(s->kv, 0);
    uint32_t n = pd_tokens_common(&s->tokens, length, &s->wanted);
    bool complete = n == s->wanted.n && n == length && s->out.stage;
    if (complete) return n;
    return truncate_to(s, n == s->wanted.n ? before_image(&s->wanted, n - 1) : n);
}

/* Whether to go on, with so many positions of the sequence computed. */
static bool goes_on(pd_session *s, uint32_t n_done) {
    const pd_session_desc *d = &s->desc;
    return !atomic_load(&s->cancel) &&
           (!d->progress || d->progress(d->progress_ctx, n_done, s->tokens.n));
}

/* From the end of what is computed to the end of the sequence. */
static pd_status run_rest(pd_session *s, const pd_score *score, pd_error *err) {
    uint32_t first = pd_kv_length(s->kv, 0);
    for (uint32_t n; first < s->tokens.n; first += n) {
        if (!goes_on(s, first))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u of %u tokens", first,
                            s->tokens.n);
        n = pd_tokens_chunk(&s->tokens, first, s->desc.n_chunk);
        PD_TRY(run_chunk(s, first, n, score, err));
    }
    if (s->desc.progress) s->desc.progress(s->desc.progress_ctx, first, s->tokens.n);
    return PD_OK;
}

/* What was wanted becomes the session's. */
static void take_wanted(pd_session *s) {
    pd_tokens old = s->tokens;
    s->tokens = s->wanted;
    s->wanted = old;
    s->has_pending = false;
}

static pd_status fill_wanted(pd_session *s, const pd_prompt *prompt, pd_error *err) {
    return pd_tokens_fill(&s->wanted, prompt, s->model->config.n_vocab,
                          pd_model_image_rows(s->model), err);
}

pd_status pd_session_sync_prompt(pd_session *s, const pd_prompt *prompt, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, prompt);
    PD_TRY(fill_wanted(s, prompt, err));
    s->stats.n_reused += keep_prefix(s);
    take_wanted(s);
    return run_rest(s, NULL, err);
}

pd_status pd_session_sync(pd_session *s, const uint32_t *ids, size_t n_ids, pd_error *err) {
    return pd_session_sync_prompt(s, &(pd_prompt){.ids = ids, .n_ids = n_ids}, err);
}

pd_status pd_session_run_scored(pd_session *s, const pd_prompt *prompt, const pd_score *score,
                                pd_error *err) {
    if (!s->desc.all_logits)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "scoring needs a session with all_logits");
    PD_TRY(fill_wanted(s, prompt, err));
    if (score->first >= s->wanted.n)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "scores were asked for from position %u, but there are %u", score->first,
                        s->wanted.n);
    uint32_t n = pd_tokens_common(&s->tokens, pd_kv_length(s->kv, 0), &s->wanted);
    s->stats.n_reused += truncate_to(s, before_image(&s->wanted, min_u32(n, score->first)));
    pd_session_forget_output(s);
    take_wanted(s);
    return run_rest(s, score, err);
}

/* A call that was stopped in the middle of a step leaves no outputs. An image's pixels are gone by
 * now, and a sync that did not come to its end has to be asked for again. */
pd_status pd_session_need_outputs(pd_session *s, pd_error *err) {
    uint32_t n = pd_kv_length(s->kv, 0);
    if (s->out.stage) return PD_OK;
    bool complete = n > 0 && n == s->tokens.n && s->tokens.ids[n - 1] != PD_TOKEN_EMBEDDED;
    if (complete && n > pd_kv_first_repeatable(s->kv, 0))
        return compute_rows(s, n - 1, 1, NULL, err);
    if (!complete || s->tokens.n_images > 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "no logits are at hand: sync the session first");
    truncate_to(s, n - 1);
    return run_rest(s, NULL, err);
}
