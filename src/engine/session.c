/* One sequence: tokens in, logits out.
 *
 * sync keeps the beginning that is computed already and runs the rest through a context, in steps
 * of up to n_chunk rows. The last row of each has logits, so that a NaN is noticed in the step that
 * made it. Where a prompt ends, and where the answer to it ended, are places to come back to: an
 * answer that is to be made again computes nothing, another question the question.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/session.h"

/* ---- life ----------------------------------------------------------------------------------- */

/* With the context that the session has. */
static pd_status create_parts(pd_session *s, pd_error *err) {
    PD_TRY(pd_context_join(s->context, &s->seq, err));
    uint32_t n_ctx = s->context->desc.n_ctx;
    PD_TRY(pd_tokens_create(&s->wanted, n_ctx, pd_model_image_rows(s->model), err));
    s->logits = pd_alloc(s->model->config.n_vocab, sizeof *s->logits);
    if (s->logits) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a session of %u positions", n_ctx);
}

static void destroy_parts(pd_session *s) {
    if (s->context) pd_context_leave(s->context, &s->seq);
    pd_context_release(s->context);
    if (s->free_scratch) s->free_scratch(s->sampler_scratch);
    pd_tokens_destroy(&s->wanted);
    pd_free(s->logits);
    pd_free(s);
}

/* In a context that is held for it, and let go after a failure. */
static pd_status create_in(pd_context *context, pd_session **out, pd_error *err) {
    pd_session *s = pd_alloc(1, sizeof *s);
    if (!s) {
        pd_context_release(context);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a session");
    }
    s->model = context->model;
    s->context = context;
    pd_status status = create_parts(s, err);
    if (status == PD_OK) {
        pd_model_hold(s->model);
        *out = s;
    } else {
        destroy_parts(s);
    }
    return status;
}

static pd_status create(pd_model *model, const pd_session_desc *desc, pd_session **out,
                        pd_error *err) {
    pd_context *context;
    PD_TRY(pd_context_acquire(model, desc, &context, err));
    PD_TRY(create_in(context, out, err));
    (*out)->progress = desc->progress;
    (*out)->progress_ctx = desc->progress_ctx;
    return PD_OK;
}

pd_status pd_session_create(pd_model *model, const pd_session_desc *desc, pd_session **out,
                            pd_error *err) {
    static const pd_session_desc defaults = {0};
    PD_NEED(err, out);
    *out = NULL;
    PD_NEED(err, model);
    PD_TRY(pd_model_check_computes(model, err));
    PD_TRY(pd_model_begin_turn(model, err));
    pd_status status = create(model, desc ? desc : &defaults, out, err);
    pd_model_end_turn(model);
    return status;
}

void pd_session_destroy(pd_session *s) {
    if (!s) return;
    if (s->n_calls > 0) {
        s->is_unwanted = true;
        pd_session_cancel(s);
        return;
    }
    pd_model *m = s->model;
    bool is_turn = pd_turns_take(m->turns);
    destroy_parts(s);
    if (is_turn) pd_turns_give(m->turns);
    pd_model_release(m);
}

void pd_session_enter(pd_session *s) {
    s->n_calls++;
}

void pd_session_leave(pd_session *s) {
    if (--s->n_calls == 0 && s->is_unwanted) pd_session_destroy(s);
}

/* ---- turns ---------------------------------------------------------------------------------- */

pd_status pd_session_begin_turn(pd_session *s, pd_error *err) {
    PD_NEED(err, s);
    return pd_model_begin_turn(s->model, err);
}

void pd_session_end_turn(pd_session *s) {
    pd_model_end_turn(s->model);
}

bool pd_session_is_awaited(const pd_session *s) {
    return pd_turns_are_wanted(s->model->turns);
}

/* ---- computing ------------------------------------------------------------------------------ */

/* Whether to go on, with so many positions computed. */
static bool goes_on(const pd_session *s, uint32_t n_done, uint32_t n) {
    if (atomic_load(&s->cancel)) return false;
    return !s->progress || s->progress(s->progress_ctx, n_done, n);
}

/* A place to come back to, with its logits. */
static pd_status keep_place(pd_session *s, pd_error *err) {
    if (!s->context->desc.checkpoint_positions) return PD_OK;
    pd_context_mark(s->context, &s->seq, s->seq.tokens.n);
    return pd_context_keep_output(s->context, &s->seq, err);
}

static pd_status run_step(pd_session *s, const pd_score *score, pd_error *err) {
    const pd_tokens *t = &s->wanted;
    uint32_t first = s->seq.tokens.n, n = pd_tokens_chunk(t, first, s->context->desc.n_chunk);
    if (s->context->desc.checkpoint_positions) n = pd_tokens_to_border(t, first, n);
    pd_batch_item item = {.seq = &s->seq,
                          .ids = t->ids + first,
                          .n = n,
                          .images = t->images,
                          .n_images = t->n_images,
                          .outs = PD_OUTS_LAST,
                          .score = score};
    PD_TRY(pd_context_run(s->context, &item, 1, &s->cancel, err));
    pd_context_keep(s->context, &item, 1);
    return s->seq.tokens.n == t->n ? keep_place(s, err) : PD_OK;
}

/* What is wanted behind the sequence, a turn for each step. */
static pd_status run_rest(pd_session *s, const pd_score *score, pd_error *err) {
    const pd_tokens *t = &s->wanted;
    for (uint32_t first; (first = s->seq.tokens.n) < t->n;) {
        if (!goes_on(s, first, t->n))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u of %u tokens", first, t->n);
        PD_TRY(pd_session_begin_turn(s, err));
        pd_status status = run_step(s, score, err);
        pd_session_end_turn(s);
        PD_TRY(status);
    }
    goes_on(s, t->n, t->n); /* nothing is left to stop */
    return PD_OK;
}

static pd_status want(pd_session *s, const pd_prompt *prompt, pd_error *err) {
    const pd_model *m = s->model;
    return pd_tokens_fill(&s->wanted, prompt, m->config.n_vocab, pd_model_image_rows(m), err);
}

/* Cuts the sequence to what it has in common with what is wanted. The last position stays only if
 * its outputs can be had. */
static void keep_common(pd_session *s) {
    pd_context *c = s->context;
    uint32_t n = pd_tokens_common(&s->seq.tokens, &s->wanted);
    if (n == s->seq.tokens.n && n < s->wanted.n) pd_context_mark(c, &s->seq, s->seq.tokens.n);
    bool has_output = n == s->seq.tokens.n ? pd_context_has_output(c, &s->seq)
                                           : pd_context_has_kept_output(c, &s->seq, n);
    if (n == s->wanted.n && !has_output) n = pd_tokens_before_image(&s->wanted, n - 1);
    n = pd_context_place_before(c, &s->seq, n);
    s->stats.n_reused += pd_context_truncate(c, &s->seq, n);
}

static pd_status sync_prompt(pd_session *s, const pd_prompt *prompt, pd_error *err) {
    PD_TRY(want(s, prompt, err));
    PD_TRY(pd_session_begin_turn(s, err));
    s->has_pending = false;
    keep_common(s);
    pd_session_end_turn(s);
    return run_rest(s, NULL, err);
}

pd_status pd_session_sync_prompt(pd_session *s, const pd_prompt *prompt, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, prompt);
    pd_session_enter(s);
    pd_status status = sync_prompt(s, prompt, err);
    pd_session_leave(s);
    return status;
}

pd_status pd_session_sync(pd_session *s, const uint32_t *ids, size_t n_ids, pd_error *err) {
    return pd_session_sync_prompt(s, &(pd_prompt){.ids = ids, .n_ids = n_ids}, err);
}

static pd_status run_scored(pd_session *s, const pd_prompt *prompt, pd_score *score,
                            pd_error *err) {
    if (!s->context->desc.all_logits)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "scoring needs a session with all_logits");
    PD_TRY(want(s, prompt, err));
    if (score->first >= s->wanted.n)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "scores were asked for from position %u, but there are %u", score->first,
                        s->wanted.n);
    PD_TRY(pd_session_begin_turn(s, err));
    s->has_pending = false;
    score->n = s->wanted.n;
    uint32_t n = pd_tokens_common(&s->seq.tokens, &s->wanted);
    if (n > score->first) n = score->first;
    n = pd_tokens_before_image(&s->wanted, n);
    s->stats.n_reused += pd_context_truncate(s->context, &s->seq, n);
    pd_session_end_turn(s);
    return run_rest(s, score, err);
}

pd_status pd_session_run_scored(pd_session *s, const pd_prompt *prompt, pd_score *score,
                                pd_error *err) {
    pd_session_enter(s);
    pd_status status = run_scored(s, prompt, score, err);
    pd_session_leave(s);
    return status;
}

static pd_status append(pd_session *s, uint32_t id, pd_error *err) {
    pd_batch_item item = {.seq = &s->seq, .ids = &id, .n = 1, .outs = PD_OUTS_LAST};
    PD_TRY(pd_context_run(s->context, &item, 1, &s->cancel, err));
    pd_context_keep(s->context, &item, 1);
    return PD_OK;
}

pd_status pd_session_append(pd_session *s, uint32_t id, pd_error *err) {
    PD_TRY(pd_session_begin_turn(s, err));
    pd_status status = append(s, id, err);
    pd_session_end_turn(s);
    return status;
}

void pd_session_cancel(pd_session *s) {
    if (s) atomic_store(&s->cancel, 1);
}
void pd_session_resume(pd_session *s) {
    if (s) atomic_store(&s->cancel, 0);
}

/* ---- going back, branching off -------------------------------------------------------------- */

pd_status pd_session_rewind(pd_session *s, uint32_t n, uint32_t *kept, pd_error *err) {
    PD_NEED(err, kept);
    PD_TRY(pd_session_begin_turn(s, err));
    s->has_pending = false;
    *kept = pd_context_truncate(s->context, &s->seq, n);
    pd_session_end_turn(s);
    return PD_OK;
}

/* Whoever shares the last page cannot compute its last position again: the logits are kept. */
static pd_status keep_last(pd_session *s, pd_error *err) {
    if (!pd_context_has_output(s->context, &s->seq) || s->seq.out.kept) return PD_OK;
    PD_TRY(pd_session_fetch_logits(s, err));
    pd_sample_result result = s->seq.out.result;
    if (pd_context_take_output(s->context, &s->seq, s->seq.tokens.n, s->logits, &result))
        s->seq.out = pd_context_kept_output(s->context, &s->seq, s->seq.tokens.n);
    return PD_OK;
}

static pd_status branch_off(pd_session *s, pd_session **out, pd_error *err) {
    PD_TRY(keep_last(s, err));
    pd_context_hold(s->context);
    PD_TRY(create_in(s->context, out, err));
    pd_session *b = *out;
    b->progress = s->progress;
    b->progress_ctx = s->progress_ctx;
    pd_context_share(s->context, &s->seq, s->seq.tokens.n, &b->seq);
    pd_context_copy_kept(s->context, &s->seq, &b->seq);
    b->has_pending = s->has_pending;
    b->pending = s->pending;
    return PD_OK;
}

pd_status pd_session_fork(pd_session *s, pd_session **out, pd_error *err) {
    PD_NEED(err, out);
    *out = NULL;
    PD_TRY(pd_session_begin_turn(s, err));
    pd_status status = branch_off(s, out, err);
    pd_session_end_turn(s);
    return status;
}
