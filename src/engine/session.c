/* One sequence: tokens in, logits out.
 *
 * sync keeps the longest prefix that is computed already and runs the rest through a context, in
 * steps of up to n_chunk rows. The last row of each has logits, so that a NaN is noticed in the
 * step that made it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/session.h"

#include "base/hash.h"

/* ---- life ----------------------------------------------------------------------------------- */

static pd_status create_parts(pd_session *s, pd_model *m, const pd_session_desc *desc,
                              pd_error *err) {
    PD_TRY(pd_context_create(m, desc, 1, &s->context, err));
    PD_TRY(pd_context_join(s->context, &s->seq, err));
    uint32_t n_ctx = s->context->desc.n_ctx;
    PD_TRY(pd_tokens_create(&s->wanted, n_ctx, pd_model_image_rows(m), err));
    s->logits = pd_alloc(m->config.n_vocab, sizeof *s->logits);
    if (s->logits) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a session of %u positions", n_ctx);
}

pd_status pd_session_create(pd_model *model, const pd_session_desc *desc, pd_session **out,
                            pd_error *err) {
    static const pd_session_desc defaults = {0};
    PD_NEED(err, out);
    *out = NULL;
    PD_NEED(err, model);
    PD_TRY(pd_model_check_computes(model, err));
    pd_session *s = pd_alloc(1, sizeof *s);
    if (!s) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a session");
    pd_status status = create_parts(s, model, desc ? desc : &defaults, err);
    if (status == PD_OK)
        *out = s;
    else
        pd_session_destroy(s);
    return status;
}

void pd_session_destroy(pd_session *s) {
    if (!s) return;
    if (s->context) pd_context_leave(s->context, &s->seq);
    pd_context_destroy(s->context);
    if (s->free_scratch) s->free_scratch(s->sampler_scratch);
    pd_tokens_destroy(&s->wanted);
    pd_free(s->logits);
    pd_free(s);
}

/* ---- computing ------------------------------------------------------------------------------ */

/* Whether to go on, with so many positions computed. */
static bool goes_on(const pd_session *s, uint32_t n_done, uint32_t n) {
    const pd_session_desc *d = &s->context->desc;
    if (atomic_load(&s->cancel)) return false;
    return !d->progress || d->progress(d->progress_ctx, n_done, n);
}

/* What is wanted behind the sequence. */
static pd_status run_rest(pd_session *s, const pd_score *score, pd_error *err) {
    const pd_tokens *t = &s->wanted;
    for (uint32_t first; (first = s->seq.tokens.n) < t->n;) {
        pd_batch_item item = {.seq = &s->seq,
                              .ids = t->ids + first,
                              .n = pd_tokens_chunk(t, first, s->context->desc.n_chunk),
                              .images = t->images,
                              .n_images = t->n_images,
                              .outs = PD_OUTS_LAST,
                              .score = score};
        if (!goes_on(s, first, t->n))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u of %u tokens", first, t->n);
        PD_TRY(pd_context_run(s->context, &item, 1, &s->cancel, err));
        pd_context_keep(s->context, &item, 1);
    }
    goes_on(s, t->n, t->n); /* nothing is left to stop */
    return PD_OK;
}

static pd_status want(pd_session *s, const pd_prompt *prompt, pd_error *err) {
    const pd_model *m = s->context->model;
    return pd_tokens_fill(&s->wanted, prompt, m->config.n_vocab, pd_model_image_rows(m), err);
}

/* The last position stays only if its outputs can be had. */
pd_status pd_session_sync_prompt(pd_session *s, const pd_prompt *prompt, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, prompt);
    PD_TRY(want(s, prompt, err));
    s->has_pending = false;
    uint32_t n = pd_tokens_common(&s->seq.tokens, &s->wanted);
    bool is_there = n == s->wanted.n && n == s->seq.tokens.n;
    if (n == s->wanted.n && !(is_there && pd_context_has_output(s->context, &s->seq)))
        n = pd_tokens_before_image(&s->wanted, n - 1);
    s->stats.n_reused += pd_context_truncate(s->context, &s->seq, n);
    return run_rest(s, NULL, err);
}

pd_status pd_session_sync(pd_session *s, const uint32_t *ids, size_t n_ids, pd_error *err) {
    return pd_session_sync_prompt(s, &(pd_prompt){.ids = ids, .n_ids = n_ids}, err);
}

pd_status pd_session_run_scored(pd_session *s, const pd_prompt *prompt, pd_score *score,
                                pd_error *err) {
    if (!s->context->desc.all_logits)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "scoring needs a session with all_logits");
    PD_TRY(want(s, prompt, err));
    if (score->first >= s->wanted.n)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "scores were asked for from position %u, but there are %u", score->first,
                        s->wanted.n);
    s->has_pending = false;
    score->n = s->wanted.n;
    uint32_t n = pd_tokens_common(&s->seq.tokens, &s->wanted);
    if (n > score->first) n = score->first;
    n = pd_tokens_before_image(&s->wanted, n);
    s->stats.n_reused += pd_context_truncate(s->context, &s->seq, n);
    return run_rest(s, score, err);
}

pd_status pd_session_append(pd_session *s, uint32_t id, pd_error *err) {
    pd_batch_item item = {.seq = &s->seq, .ids = &id, .n = 1, .outs = PD_OUTS_LAST};
    PD_TRY(pd_context_run(s->context, &item, 1, &s->cancel, err));
    pd_context_keep(s->context, &item, 1);
    return PD_OK;
}

void pd_session_cancel(pd_session *s) {
    if (s) atomic_store(&s->cancel, 1);
}
void pd_session_resume(pd_session *s) {
    if (s) atomic_store(&s->cancel, 0);
}

/* ---- asking --------------------------------------------------------------------------------- */

/* A step that failed may have left no outputs that could be computed again. */
static pd_status need_output(const pd_session *s, pd_error *err) {
    if (pd_context_has_output(s->context, &s->seq)) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "no logits are at hand: sync the session first");
}

pd_status pd_session_argmax(pd_session *s, uint32_t *id, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, id);
    PD_TRY(need_output(s, err));
    *id = s->seq.out.result.best;
    return PD_OK;
}

pd_status pd_session_logits(pd_session *s, const float **logits, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, logits);
    PD_TRY(need_output(s, err));
    if (s->logits_run != s->seq.out.run_id) {
        s->logits_run = 0;
        PD_TRY(pd_context_read_logits(s->context, &s->seq, &s->cancel, s->logits, err));
        s->logits_run = s->seq.out.run_id;
        s->stats.logits_hash = pd_hash(s->logits, 4ull * s->context->model->config.n_vocab);
    }
    *logits = s->logits;
    return PD_OK;
}

uint32_t pd_session_count(const pd_session *s) {
    return s ? s->seq.tokens.n : 0;
}
uint32_t pd_session_n_ctx(const pd_session *s) {
    return s ? s->context->desc.n_ctx : 0;
}
uint32_t pd_session_n_chunk(const pd_session *s) {
    return s ? s->context->desc.n_chunk : 0;
}

const pd_session_stats *pd_session_get_stats(pd_session *s) {
    if (!s) return NULL;
    pd_context_get_stats(s->context, &s->stats);
    return &s->stats;
}

pd_status pd_session_profile(pd_session *s, pd_profile_fn fn, void *ctx, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, fn);
    return pd_context_profile(s->context, &s->seq, fn, ctx, err);
}
