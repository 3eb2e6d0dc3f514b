/* Two sessions on two devices through the same prompt, operation by operation.
 * SPDX-License-Identifier: MIT
 */
#include "engine/session.h"

/* Cuts both to the longest beginning of what is wanted that both have and can go on from. */
static void keep_common(pd_session *a, pd_session *b) {
    uint32_t n = pd_tokens_common(&a->seq.tokens, &a->wanted);
    uint32_t other = pd_tokens_common(&b->seq.tokens, &b->wanted);
    n = pd_tokens_before_image(&a->wanted, n < other ? n : other);
    uint32_t kept = pd_context_truncate(a->context, &a->seq, n);
    if (pd_context_truncate(b->context, &b->seq, n) == kept) return;
    pd_context_truncate(a->context, &a->seq, 0);
    pd_context_truncate(b->context, &b->seq, 0);
}

static pd_batch_item item_of(pd_session *s) {
    const pd_tokens *t = &s->wanted;
    uint32_t first = s->seq.tokens.n;
    return (pd_batch_item){.seq = &s->seq,
                           .ids = t->ids + first,
                           .n = pd_tokens_chunk(t, first, s->context->desc.n_chunk),
                           .images = t->images,
                           .n_images = t->n_images,
                           .outs = PD_OUTS_LAST};
}

static pd_status check_steps(pd_session *s, pd_session *reference, pd_check_fn fn, void *ctx,
                             pd_error *err) {
    keep_common(s, reference);
    while (s->seq.tokens.n < s->wanted.n) {
        pd_batch_item item = item_of(s), other = item_of(reference);
        if (atomic_load(&s->cancel))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u of %u tokens", s->seq.tokens.n,
                            s->wanted.n);
        PD_TRY(pd_context_check(s->context, &item, reference->context, &other, &s->cancel, fn, ctx,
                                err));
        pd_context_keep(s->context, &item, 1);
        pd_context_keep(reference->context, &other, 1);
    }
    return PD_OK;
}

static pd_status want(pd_session *s, const pd_prompt *prompt, pd_error *err) {
    s->has_pending = false;
    return pd_tokens_fill(&s->wanted, prompt, s->model->config.n_vocab,
                          pd_model_image_rows(s->model), err);
}

/* In the turns of both. */
static pd_status check_prompt(pd_session *s, pd_session *reference, const pd_prompt *prompt,
                              pd_check_fn fn, void *ctx, pd_error *err) {
    PD_TRY(want(s, prompt, err));
    PD_TRY(want(reference, prompt, err));
    return check_steps(s, reference, fn, ctx, err);
}

pd_status pd_session_check(pd_session *s, pd_session *reference, const pd_prompt *prompt,
                           pd_check_fn fn, void *ctx, pd_error *err) {
    PD_NEED(err, s);
    PD_NEED(err, reference);
    PD_NEED(err, prompt);
    PD_NEED(err, fn);
    if (s->model == reference->model)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "two sessions of two models are to be compared");
    /* always in the same order, so that two threads do not wait for each other */
    pd_session *first = s->model < reference->model ? s : reference;
    pd_session *second = first == s ? reference : s;
    PD_TRY(pd_session_begin_turn(first, err));
    pd_session_enter(first);
    pd_status status = pd_session_begin_turn(second, err);
    if (status == PD_OK) {
        pd_session_enter(second);
        status = check_prompt(s, reference, prompt, fn, ctx, err);
        pd_session_end_turn(second);
        pd_session_leave(second);
    }
    pd_session_end_turn(first);
    pd_session_leave(first);
    return status;
}
