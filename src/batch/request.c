/* Requests: what is copied of them, their choices, and how they end.  SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "batch/batch.h"

/* ---- what is copied ------------------------------------------------------------------------- */

static pd_status raise_no_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a request");
}

static pd_status copy_image(const pd_image *from, pd_image *to, pd_error *err) {
    size_t n = (size_t)from->width * from->height * 3;
    if (!from->rgb || n == 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "an image of the prompt has no pixels");
    *to = (pd_image){from->width, from->height, pd_alloc(n, 1)};
    if (!to->rgb) return raise_no_memory(err);
    memcpy(to->rgb, from->rgb, n);
    return PD_OK;
}

static pd_status copy_images(pd_request *r, pd_error *err) {
    size_t n = r->desc.prompt.n_images;
    if (n == 0) return PD_OK;
    const pd_image *from = r->desc.prompt.images;
    r->images = pd_alloc(n, sizeof *r->images);
    if (!r->images) return raise_no_memory(err);
    r->desc.prompt.images = r->images;
    for (size_t i = 0; i < n; i++) PD_TRY(copy_image(&from[i], &r->images[i], err));
    return PD_OK;
}

static pd_status copy_biases(pd_request *r, pd_error *err) {
    pd_sampler_desc *d = &r->desc.sampler;
    if (d->n_logit_bias == 0) return PD_OK;
    r->biases = pd_alloc(d->n_logit_bias, sizeof *r->biases);
    if (!r->biases) return raise_no_memory(err);
    memcpy(r->biases, d->logit_bias, d->n_logit_bias * sizeof *r->biases);
    d->logit_bias = r->biases;
    return PD_OK;
}

/* The prompt as positions. Its ids are not needed after that. */
static pd_status copy_prompt(pd_request *r, pd_error *err) {
    const pd_model *m = r->batch->model;
    uint64_t n = pd_prompt_count(m, &r->desc.prompt);
    uint32_t n_ctx = r->batch->context->desc.n_ctx, image_rows = pd_model_image_rows(m);
    if (n > n_ctx)
        return PD_RAISE(err, PD_ERR_CONTEXT, "the prompt has %llu tokens, but the context holds %u",
                        (unsigned long long)n, n_ctx);
    PD_TRY(copy_images(r, err));
    PD_TRY(pd_tokens_create(&r->prompt, n ? (uint32_t)n : 1, image_rows, err));
    PD_TRY(pd_tokens_fill(&r->prompt, &r->desc.prompt, m->config.n_vocab, image_rows, err));
    r->desc.prompt = (pd_prompt){.n_images = r->desc.prompt.n_images};
    return PD_OK;
}

static pd_status create_choices(pd_request *r, pd_error *err) {
    r->choices = pd_alloc(r->desc.n_choices, sizeof *r->choices);
    if (!r->choices) return raise_no_memory(err);
    for (uint32_t i = 0; i < r->desc.n_choices; i++) {
        pd_choice *c = &r->choices[i];
        pd_sampler_desc d = r->desc.sampler;
        d.seed += i;
        *c = (pd_choice){.request = r, .index = i};
        PD_TRY(pd_sampler_init(&c->sampler, &d, err));
        if (!d.grammar) continue;
        uint32_t n_words = pd_sampler_mask_words(r->batch->model->config.n_vocab);
        c->mask = pd_alloc(n_words, sizeof *c->mask);
        if (!c->mask) return raise_no_memory(err);
    }
    return PD_OK;
}

static pd_status check(const pd_batch *b, const pd_request_desc *d, pd_error *err) {
    PD_NEED(err, d->fn);
    PD_TRY(pd_sampler_check(&d->sampler, b->model->config.n_vocab, err));
    if (d->n_choices > PD_MAX_CHOICES)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%u choices were asked for, but at most %d are made",
                        d->n_choices, PD_MAX_CHOICES);
    if (d->n_top > PD_MAX_TOP_LOG_PROBS)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "%u log-probabilities were asked for, but at most %d are", d->n_top,
                        PD_MAX_TOP_LOG_PROBS);
    if (d->score_prompt && (d->n_choices > 1 || d->prompt.n_images > 0))
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "a prompt with log-probabilities can have one choice and no images");
    return PD_OK;
}

static pd_status fill(pd_request *r, pd_error *err) {
    PD_TRY(copy_prompt(r, err));
    PD_TRY(copy_biases(r, err));
    return create_choices(r, err);
}

pd_status pd_request_create(pd_batch *b, const pd_request_desc *desc, pd_request **out,
                            pd_error *err) {
    PD_TRY(check(b, desc, err));
    pd_request *r = pd_alloc(1, sizeof *r);
    if (!r) return raise_no_memory(err);
    r->batch = b;
    r->desc = *desc;
    if (!r->desc.n_choices) r->desc.n_choices = 1;
    atomic_init(&r->n_holds, 1);
    r->queued_at = pd_clock_ns();
    pd_status status = fill(r, err);
    if (status == PD_OK)
        *out = r;
    else
        pd_request_release(r);
    return status;
}

/* ---- the end -------------------------------------------------------------------------------- */

void pd_request_release(pd_request *r) {
    if (!r || atomic_fetch_sub(&r->n_holds, 1) > 1) return;
    for (size_t i = 0; r->images && i < r->desc.prompt.n_images; i++) pd_image_free(&r->images[i]);
    pd_free(r->images);
    pd_free(r->biases);
    pd_tokens_destroy(&r->prompt);
    for (uint32_t i = 0; r->choices && i < r->desc.n_choices; i++) pd_free(r->choices[i].mask);
    pd_free(r->choices);
    pd_free(r);
}

bool pd_request_tell(pd_request *r, const pd_event *event) {
    r->told_at = pd_clock_ns();
    return r->desc.fn(r->desc.ctx, event);
}

void pd_batch_remind(pd_batch *b) {
    uint64_t now = pd_clock_ns(), second = UINT64_C(1000000000);
    for (pd_request *r = b->requests; r; r = r->next) {
        bool waits = !r->first_at && r->n_ended == 0;
        if (!waits || now < r->queued_at + second || now < r->told_at + second) continue;
        pd_event e = {.kind = PD_EVENT_PROMPT,
                      .n_done = r->choices[0].has_place ? r->choices[0].seq.tokens.n : 0,
                      .n_total = r->prompt.n,
                      .n_cached = r->stats.n_cached};
        pd_request_tell(r, &e);
    }
}

/* Wakes those that wait for it. The batch goes on holding it until its list lets it go. */
static void finish(pd_batch *b, pd_request *r) {
    uint64_t now = pd_clock_ns();
    r->stats.n_prompt = r->prompt.n;
    if (r->first_at) r->stats.answer_ns = now - r->first_at - r->hash_ns;
    if (r->placed_at && !r->first_at) r->stats.prompt_ns = now - r->placed_at;
    pd_event done = {.kind = PD_EVENT_DONE,
                     .status = r->error.status,
                     .error = r->error.status != PD_OK ? &r->error : NULL,
                     .stats = &r->stats};
    pd_request_tell(r, &done);
    pd_mutex_lock(b->lock);
    r->is_done = true;
    pd_condition_wake(b->changed);
    pd_mutex_unlock(b->lock);
}

void pd_choice_end(pd_batch *b, pd_choice *c, pd_end end, const pd_error *error) {
    pd_request *r = c->request;
    if (c->has_ended) return;
    c->has_ended = true;
    if (error && r->error.status == PD_OK) r->error = *error;
    pd_batch_leave_place(b, c, end != PD_END_FAILED || error->status == PD_ERR_CANCELLED);
    pd_scores_destroy(&c->scores);
    pd_tokens_destroy(&c->text);
    pd_request_tell(r, &(pd_event){.kind = PD_EVENT_END, .choice = c->index, .end = end});
    if (++r->n_ended == r->desc.n_choices) finish(b, r);
}

void pd_request_fail(pd_batch *b, pd_request *r, const pd_error *error) {
    for (uint32_t i = 0; i < r->desc.n_choices; i++)
        pd_choice_end(b, &r->choices[i], PD_END_FAILED, error);
}
