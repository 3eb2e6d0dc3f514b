/* Steps of a context: from items to a step, its results, and what becomes of the sequences.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "engine/check.h"
#include "engine/context.h"
#include "engine/nonfinite.h"
#include "engine/profile.h"

/* ---- making a step -------------------------------------------------------------------------- */

uint32_t pd_batch_item_outs(const pd_batch_item *item) {
    if (item->outs == PD_OUTS_ALL) return item->n;
    return item->outs == PD_OUTS_LAST || item->n == 1;
}

static bool is_among_rows(const pd_batch_item *item, const pd_placed_image *image) {
    uint32_t first = item->seq->tokens.n;
    return image->first >= first && image->first < first + item->n;
}

static bool has_images(const pd_batch_item *item) {
    for (uint32_t i = 0; i < item->n_images; i++)
        if (is_among_rows(item, &item->images[i])) return true;
    return false;
}

/* The smallest of a prompt's stages that has room for the rows; images come through prefill. */
static pd_stage_kind choose_prefill(const pd_context *c, uint64_t n_rows, bool plain) {
    bool has_few = c->stages[PD_STAGE_FEW].program, has_some = c->stages[PD_STAGE_SOME].program;
    if (plain && has_few && n_rows <= PD_FEW_ROWS) return PD_STAGE_FEW;
    if (plain && has_some && n_rows <= PD_SOME_ROWS) return PD_STAGE_SOME;
    return PD_STAGE_PREFILL;
}

static pd_stage_kind choose_batch(uint32_t n_rows) {
    uint32_t kind = PD_STAGE_BATCH;
    while (kind < PD_STAGE_BATCH_LAST && n_rows > 2u << (kind - PD_STAGE_BATCH)) kind++;
    return (pd_stage_kind)kind;
}

/* The stage that the items' rows fit. */
static pd_status choose_stage(pd_context *c, const pd_batch_item *items, uint32_t n,
                              pd_stage_kind *kind, pd_error *err) {
    uint64_t n_rows = 0, n_outs = 0;
    bool plain = true; /* tokens whose outputs are the sequences' alone */
    bool fits = n <= c->n_seqs, scores = c->desc.all_logits || (n == 1 && items[0].score);
    for (uint32_t i = 0; i < n; i++) {
        n_rows += items[i].n;
        n_outs += pd_batch_item_outs(&items[i]);
        plain = plain && !items[i].score && !has_images(&items[i]);
        fits = fits && items[i].n > 0;
    }
    fits = fits && n_rows > 0 && n_rows <= c->desc.n_chunk && (scores || n_outs <= c->n_seqs);
    if (fits && scores && !c->desc.all_logits) {
        *kind = PD_STAGE_SCORE;
        if (c->stages[*kind].program) return PD_OK;
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the context has not been made for scores");
    }
    if (fits && plain && n_rows == 1)
        *kind = PD_STAGE_DECODE;
    else if (fits && plain && n_rows == n_outs && n_rows <= c->n_seqs)
        *kind = choose_batch((uint32_t)n_rows);
    else if (fits)
        *kind = choose_prefill(c, n_rows, plain);
    else
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "a step of %llu rows and %llu outputs was asked for, but there is room for "
                        "%u and %u",
                        (unsigned long long)n_rows, (unsigned long long)n_outs, c->desc.n_chunk,
                        scores ? c->desc.n_chunk : c->n_seqs);
    return PD_OK;
}

void pd_context_make_step(pd_context *c, const pd_batch_item *items, uint32_t n, bool has_outs,
                          const atomic_int *cancel) {
    pd_step_buf_start(&c->step, cancel);
    for (uint32_t i = 0; i < n; i++) {
        const pd_batch_item *item = &items[i];
        uint32_t n_outs = has_outs ? pd_batch_item_outs(item) : 0, first = item->seq->tokens.n;
        pd_step_row *rows =
            c->step.rows + pd_step_buf_add(&c->step, pd_kv_table(c->kv, item->seq->kv_id), item->n,
                                           n_outs, item->sampling);
        for (uint32_t k = 0; k < item->n; k++) {
            uint32_t token = item->ids[k], pos = first + k, end = pos + 1;
            if (token == PD_TOKEN_EMBEDDED)
                end = pd_image_at(item->images, item->n_images, pos)->end;
            rows[k] = (pd_step_row){.token = token, .pos = pos, .seq = i, .end = end};
        }
    }
    c->ran = NULL;
    c->ran_for = n == 1 ? items[0].seq : NULL;
}

/* Puts the rows of the item's images, whose first row is the step's row `at`, where the stage takes
 * them. */
static pd_status give_images(pd_context *c, const pd_stage *stage, const pd_batch_item *item,
                             uint32_t at, const atomic_int *cancel, pd_error *err) {
    const pd_model *m = c->model;
    uint64_t row_bytes = 4ull * m->config.n_embd;
    uint32_t first = item->seq->tokens.n;
    for (uint32_t i = 0; i < item->n_images; i++) {
        const pd_placed_image *image = &item->images[i];
        if (!is_among_rows(item, image)) continue;
        const float *rows;
        PD_TRY(pd_vision_rows(m->vision, image->image, image->hash, cancel, &rows, err));
        PD_TRY(m->backend->v->write(stage->program, stage->embeddings,
                                    (at + image->first - first) * row_bytes,
                                    (image->end - image->first) * row_bytes, rows, err));
    }
    return PD_OK;
}

/* ---- running -------------------------------------------------------------------------------- */

uint64_t pd_context_begin_run(pd_context *c, pd_stage *stage) {
    return stage->run_id = ++c->n_runs;
}

pd_status pd_context_raise_nonfinite(pd_context *c, const pd_stage *stage, const pd_step *step,
                                     uint32_t pos, pd_error *err) {
    char where[64];
    snprintf(where, sizeof where, "in the step from position %u", pos);
    return pd_raise_nonfinite(c->model->backend, stage->program, step, "the logits", where, err);
}

pd_status pd_context_check_result(pd_context *c, const pd_stage *stage, const pd_sample_result *r,
                                  uint32_t pos, pd_error *err) {
    if (r->n_nonfinite) return pd_context_raise_nonfinite(c, stage, &c->step.step, pos, err);
    return r->id == PD_SAMPLE_NO_ID ? pd_sample_raise_none(err) : PD_OK;
}

/* What the sample operation found for every output. */
static pd_status take_results(pd_context *c, const pd_stage *stage, pd_batch_item *items,
                              uint32_t n, pd_error *err) {
    const pd_step *step = &c->step.step;
    const pd_sample_result *r = c->results;
    if (step->n_outs == 0) return PD_OK;
    PD_TRY(c->model->backend->v->read(stage->program, stage->best, 0,
                                      step->n_outs * sizeof *c->results, c->results, err));
    uint32_t end = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t first = end;
        end += pd_batch_item_outs(&items[i]);
        for (uint32_t k = first; k < end; k++) {
            PD_TRY(pd_context_check_result(c, stage, &r[k], items[i].seq->tokens.n, err));
            if (items[i].results) items[i].results[k - first] = r[k];
        }
        if (end > first)
            items[i].out = (pd_output){
                .stage = stage, .run_id = stage->run_id, .row = end - 1, .result = r[end - 1]};
    }
    return PD_OK;
}

/* The rows' images and pages. */
static pd_status prepare(pd_context *c, const pd_stage *stage, pd_batch_item *items, uint32_t n,
                         const atomic_int *cancel, pd_error *err) {
    for (uint32_t i = 0, at = 0; i < n; at += items[i++].n) {
        PD_TRY(give_images(c, stage, &items[i], at, cancel, err));
        PD_TRY(pd_context_reserve(c, items[i].seq, items[i].n, err));
        items[i].out = (pd_output){0};
        items[i].n_kept = items[i].n;
    }
    return PD_OK;
}

static void count_work(const pd_batch_item *items, uint32_t n, uint64_t ns) {
    bool decodes = true; /* a row of each sequence */
    for (uint32_t i = 0; i < n; i++) decodes &= items[i].n == 1;
    for (uint32_t i = 0; i < n; i++) {
        pd_step_work *w = &items[i].seq->work;
        *(decodes ? &w->decode_ns : &w->prompt_ns) += ns;
        *(decodes ? &w->n_decode : &w->n_prompt) += items[i].n;
    }
}

static void drop_reserved(pd_context *c, const pd_batch_item *items, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) pd_kv_drop_reserved(c->kv, items[i].seq->kv_id);
}

static bool makes_logits_apart(pd_context *c, const pd_stage *stage) {
    return c->stages[PD_STAGE_LM_HEAD].program && stage == pd_context_scored_stage(c);
}

/* All that comes before a step is computed: it stands in c->step, and its pages are reserved. */
static pd_status make_ready(pd_context *c, pd_batch_item *items, uint32_t n,
                            const atomic_int *cancel, pd_stage **out, pd_error *err) {
    pd_stage_kind kind = PD_STAGE_COUNT;
    PD_TRY(choose_stage(c, items, n, &kind, err));
    pd_stage *stage = &c->stages[kind];
    c->ran = NULL; /* the last step's images and pages may be gone */
    pd_sequence *owner = n == 1 ? items[0].seq : NULL;
    pd_status status = pd_context_save_outputs(c, stage, owner, err);
    if (status == PD_OK) status = prepare(c, stage, items, n, cancel, err);
    if (status != PD_OK) {
        drop_reserved(c, items, n);
        return status;
    }
    pd_context_make_step(c, items, n, !makes_logits_apart(c, stage), cancel);
    pd_context_begin_run(c, stage);
    stage->owner = owner;
    *out = stage;
    return PD_OK;
}

static pd_status run_ready(pd_context *c, pd_stage *stage, pd_batch_item *items, uint32_t n,
                           const atomic_int *cancel, pd_error *err) {
    PD_TRY(c->model->backend->v->run(stage->program, &c->step.step, err));
    return makes_logits_apart(c, stage) ? pd_context_run_lm_head(c, items, n, cancel, err)
                                        : take_results(c, stage, items, n, err);
}

pd_status pd_context_run(pd_context *c, pd_batch_item *items, uint32_t n, const atomic_int *cancel,
                         pd_error *err) {
    pd_stage *stage;
    PD_TRY(make_ready(c, items, n, cancel, &stage, err));
    uint64_t t0 = pd_clock_ns();
    pd_status status = run_ready(c, stage, items, n, cancel, err);
    pd_step_buf_forget_masks(&c->step);
    if (status == PD_OK) {
        count_work(items, n, pd_clock_ns() - t0);
        c->ran = stage;
    } else {
        drop_reserved(c, items, n);
    }
    return status;
}

/* ---- keeping -------------------------------------------------------------------------------- */

/* Of the last row that is kept. */
static pd_output kept_output(const pd_batch_item *item) {
    pd_output out = item->out;
    uint32_t n_less = item->n - item->n_kept;
    if (n_less == 0) return out;
    if (item->outs != PD_OUTS_ALL || !item->results || out.row < n_less) return (pd_output){0};
    out.row -= n_less;
    out.result = item->results[item->n_kept - 1];
    return out;
}

/* The borders of the images among the rows that were kept; and the end, when the last mark is a
 * window away. */
static void mark_places(pd_context *c, const pd_batch_item *item) {
    const pd_sequence *seq = item->seq;
    uint32_t end = seq->tokens.n, first = end - item->n_kept;
    for (uint32_t i = 0; i < seq->tokens.n_images; i++) {
        const pd_placed_image *image = &seq->tokens.images[i];
        if (image->first < first) continue;
        pd_kv_mark(c->kv, seq->kv_id, image->first);
        pd_kv_mark(c->kv, seq->kv_id, image->end);
    }
    if (end - pd_kv_mark_before(c->kv, seq->kv_id, end) >= c->model->config.window)
        pd_kv_mark(c->kv, seq->kv_id, end);
}

void pd_context_mark(pd_context *c, pd_sequence *seq, uint32_t n) {
    pd_kv_mark(c->kv, seq->kv_id, pd_tokens_before_image(&seq->tokens, n));
}

void pd_context_keep(pd_context *c, pd_batch_item *items, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        const pd_batch_item *item = &items[i];
        pd_sequence *seq = item->seq;
        assert(item->n_kept <= item->n);
        if (item->n_kept > 0) {
            seq->out = kept_output(item);
            pd_tokens_append(&seq->tokens, item->ids, item->n_kept, item->images, item->n_images);
            pd_kv_commit(c->kv, seq->kv_id, item->n_kept);
            mark_places(c, item);
        }
        pd_kv_drop_reserved(c->kv, seq->kv_id);
    }
}

/* ---- one operation at a time ---------------------------------------------------------------- */

pd_status pd_context_profile(pd_context *c, const pd_sequence *seq, pd_profile_fn fn, void *ctx,
                             pd_error *err) {
    const pd_step *step = &c->step.step;
    if (!c->ran || c->ran_for != seq || step->rows[step->n_rows - 1].pos + 1 != seq->tokens.n)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the session has no last step to profile");
    pd_stage *stage = c->ran;
    c->step.tables[0] = pd_kv_table(c->kv, seq->kv_id);
    pd_status status =
        pd_profile_step(c->model->backend, &stage->plan, stage->program, step, fn, ctx, err);
    if (status != PD_OK) pd_context_begin_run(c, stage); /* what it holds is not sure */
    return status;
}

static pd_check_side side_of(const pd_context *c, const pd_stage *stage) {
    return (pd_check_side){.backend = c->model->backend,
                           .plan = &stage->plan,
                           .program = stage->program,
                           .store = c->store,
                           .step = &c->step.step};
}

pd_status pd_context_check(pd_context *c, pd_batch_item *item, pd_context *reference,
                           pd_batch_item *reference_item, const atomic_int *cancel, pd_check_fn fn,
                           void *ctx, pd_error *err) {
    pd_stage *stage, *reference_stage;
    PD_TRY(make_ready(c, item, 1, cancel, &stage, err));
    pd_status status = make_ready(reference, reference_item, 1, cancel, &reference_stage, err);
    if (status == PD_OK) {
        pd_check_side side = side_of(c, stage), other = side_of(reference, reference_stage);
        status = pd_check_step(&side, &other, fn, ctx, err);
        if (status != PD_OK) drop_reserved(reference, reference_item, 1);
    }
    if (status != PD_OK) drop_reserved(c, item, 1);
    return status;
}
