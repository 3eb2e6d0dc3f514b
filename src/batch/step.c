/* One step: rows of several choices, or an answer that is alone and runs ahead. What fails with
 * several is tried with each alone, so that nobody fails for another; where pages lack, what is
 * kept of former requests goes first, then the youngest choice waits until there is room again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/clock.h"
#include "base/log.h"
#include "batch/batch.h"

typedef struct step {
    pd_batch_item items[PD_MAX_PARALLEL];
    pd_choice *choices[PD_MAX_PARALLEL];
    pd_sample_params sampling[PD_MAX_PARALLEL];
    pd_sample_result results[PD_MAX_PARALLEL];
    bool on_device[PD_MAX_PARALLEL];
    pd_score score;
    uint32_t n;
} step;

/* ---- running -------------------------------------------------------------------------------- */

/* The tokens that a grammar allows behind the last row. False: they cannot be told; the host's draw
 * will say why. */
static bool add_mask(pd_choice *c, const pd_batch_item *item, pd_sample_params *sampling) {
    pd_error unused;
    bool is_drawn = c->seq.tokens.n + item->n == c->text.n;
    return !is_drawn || pd_choice_get_mask(c, &sampling->mask, &unused) == PD_OK;
}

/* How each item's last row is drawn, and where a prompt's log-probabilities go. */
static void prepare(step *s) {
    for (uint32_t i = 0; i < s->n; i++) {
        pd_choice *c = s->choices[i];
        pd_batch_item *item = &s->items[i];
        if (c->request->desc.score_prompt && c->seq.tokens.n < c->request->prompt.n) {
            s->score = pd_scores_want(&c->scores, c->request->prompt.n);
            item->score = &s->score;
        }
        s->on_device[i] =
            pd_choice_draws_on_device(c, &s->sampling[i]) && add_mask(c, item, &s->sampling[i]);
        if (s->on_device[i]) {
            item->sampling = &s->sampling[i];
            item->results = &s->results[i];
        }
    }
}

/* From now on a request may stop the step, if it is the only one that has rows in it. */
static void begin(pd_batch *b, const step *s) {
    pd_request *only = s->choices[0]->request;
    for (uint32_t i = 1; i < s->n; i++)
        if (s->choices[i]->request != only) only = NULL;
    pd_mutex_lock(b->lock);
    b->only = only;
    atomic_store(&b->cancel, b->ends || (only && atomic_load(&only->cancelled)));
    pd_mutex_unlock(b->lock);
}

/* Whether it was stopped for a request's sake. */
static bool end(pd_batch *b, pd_status status) {
    pd_mutex_lock(b->lock);
    b->only = NULL;
    bool stopped = status == PD_ERR_CANCELLED && !b->ends;
    pd_mutex_unlock(b->lock);
    return stopped;
}

pd_status pd_batch_begin_turn(pd_batch *b, pd_error *err) {
    return b->encodes ? PD_OK : pd_model_begin_turn(b->model, err);
}

void pd_batch_end_turn(pd_batch *b) {
    if (!b->encodes) pd_model_end_turn(b->model);
}

static pd_status compute(pd_batch *b, step *s, pd_error *err) {
    PD_TRY(pd_batch_begin_turn(b, err));
    pd_status status = PD_OK;
    if (s->items[0].score) status = pd_context_add_scores(b->context, err);
    if (status == PD_OK) status = pd_context_run(b->context, s->items, s->n, &b->cancel, err);
    if (status == PD_OK) pd_context_keep(b->context, s->items, s->n);
    pd_batch_end_turn(b);
    return status;
}

static void count(pd_batch *b, const step *s, uint64_t ns) {
    uint32_t n_prompt = 0;
    pd_batch_stats *k = &b->counted;
    for (uint32_t i = 0; i < s->n; i++) {
        bool is_answer = s->items[i].n == 1 && s->choices[i]->n_drawn > 0;
        n_prompt += is_answer ? 0 : s->items[i].n;
        k->n_step_rows += is_answer;
        if (s->items[i].score) k->n_scored += s->items[i].n;
    }
    k->n_prompt += n_prompt;
    k->n_steps++;
    *(n_prompt ? &k->prompt_ns : &k->decode_ns) += ns;
    pd_batch_note_step(b, n_prompt, ns);
}

/* ---- what becomes of it --------------------------------------------------------------------- */

static void fail(pd_batch *b, pd_choice *c, const pd_error *err) {
    pd_request_fail(b, c->request, err);
}

static void fail_all(pd_batch *b, const pd_error *err) {
    while (b->n_places > 0) fail(b, b->places[0], err);
}

static void take_lost(pd_batch *b, const pd_error *err) {
    pd_mutex_lock(b->lock);
    b->lost = *err;
    pd_mutex_unlock(b->lock);
    fail_all(b, err);
}

/* False: there is nothing more to give up. */
static bool make_room(pd_batch *b) {
    if (pd_prefix_forget_one(b)) return true;
    if (b->n_places < 2) return false;
    pd_choice *youngest = b->places[0];
    for (uint32_t i = 1; i < b->n_places; i++)
        if (b->places[i]->seen > youngest->seen) youngest = b->places[i];
    pd_batch_leave_place(b, youngest, false);
    b->room = b->n_places; /* until somebody ends */
    b->counted.n_preempted++;
    return true;
}

static void end_choice(pd_batch *b, pd_choice *c) {
    pd_choice_note_logits(b, c);
    pd_choice_end(b, c, c->end, NULL);
}

static void finish(pd_batch *b, step *s) {
    pd_error err;
    for (uint32_t i = 0; i < s->n; i++) {
        pd_choice *c = s->choices[i];
        if (c->has_ended) continue; /* with another choice of its request */
        uint32_t drawn = s->on_device[i] ? s->results[i].id : PD_SAMPLE_NO_ID;
        if (pd_choice_advance(b, c, drawn, &err) != PD_OK) {
            fail(b, c, &err);
        } else if (c->is_over) {
            end_choice(b, c);
        }
    }
}

static void run_one_by_one(pd_batch *b, const step *all);

static void run(pd_batch *b, step *s) {
    pd_error err;
    prepare(s);
    uint64_t t0 = pd_clock_ns();
    begin(b, s);
    pd_status status = compute(b, s, &err);
    if (end(b, status)) return; /* it is dropped before the next one */
    if (status == PD_OK) {
        count(b, s, pd_clock_ns() - t0);
        finish(b, s);
    } else if (status == PD_ERR_MEMORY_DEVICE && make_room(b)) {
        /* the next step is made anew */
    } else if (status == PD_ERR_DEVICE_LOST) {
        take_lost(b, &err);
    } else if (s->n > 1 && status != PD_ERR_CANCELLED) {
        pd_log(PD_LOG_WARN, "batch", "a step of %u sequences failed, each is tried alone: %s", s->n,
               err.message);
        run_one_by_one(b, s);
    } else {
        for (uint32_t i = 0; i < s->n; i++) fail(b, s->choices[i], &err);
    }
}

static void run_one_by_one(pd_batch *b, const step *all) {
    for (uint32_t i = 0; i < all->n; i++) {
        step one = {.n = 1, .items = {all->items[i]}, .choices = {all->choices[i]}};
        if (!one.choices[0]->has_ended && one.choices[0]->has_place) run(b, &one);
    }
}

/* ---- one answer alone ----------------------------------------------------------------------- */

typedef struct alone {
    pd_batch *batch;
    pd_choice *choice;
} alone;

static bool is_wanted(pd_batch *b, const pd_choice *c) {
    pd_mutex_lock(b->lock);
    bool more = b->incoming || b->ends || b->clears;
    pd_mutex_unlock(b->lock);
    return more || atomic_load(&c->request->cancelled);
}

static bool on_token(void *ctx, uint32_t id) {
    alone *a = ctx;
    pd_choice *c = a->choice;
    c->sampler.n_drawn += c->sampler.desc.temp != 0.0f;
    return pd_choice_take(a->batch, c, (pd_log_prob){id, 0}, NULL, 0) && !is_wanted(a->batch, c);
}

static bool can_run_ahead(const pd_batch *b, const step *s, pd_sample_params *params) {
    const pd_choice *c = s->choices[0];
    return b->n_places == 1 && s->n == 1 && c->n_drawn > 0 && s->items[0].n == 1 &&
           pd_choice_rows_left(c) == 1 && !pd_sampler_is_bound(&c->sampler) &&
           pd_choice_draws_on_device(c, params);
}

static uint32_t min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Its steps lie behind one another on the device. True: there was room for them. */
static bool run_ahead(pd_batch *b, pd_choice *c, const pd_sample_params *sampling) {
    const pd_special *special = pd_vocab_special(b->model->vocab);
    const pd_request_desc *d = &c->request->desc;
    alone on = {b, c};
    pd_ahead a = {.seq = &c->seq,
                  .token = c->text.ids[c->text.n - 1],
                  .n_steps = min_u32(PD_RUN_AHEAD_STEPS, c->text.n_max - c->seq.tokens.n),
                  .sampling = *sampling,
                  .fn = on_token,
                  .fn_ctx = &on};
    if (d->n_max) a.n_steps = min_u32(a.n_steps, d->n_max - c->n_drawn);
    for (uint32_t i = 0; i < 2; i++)
        a.stops[i] = d->ignore_stop || i >= special->n_stops ? PD_SAMPLE_NO_ID : special->stops[i];
    pd_error err;
    uint32_t n_before = c->n_drawn;
    uint64_t t0 = pd_clock_ns();
    begin(b, &(step){.n = 1, .choices = {c}});
    pd_status status = pd_model_begin_turn(b->model, &err);
    if (status == PD_OK) {
        status = pd_context_run_ahead(b->context, &a, &b->cancel, &err);
        pd_model_end_turn(b->model);
    }
    b->counted.decode_ns += pd_clock_ns() - t0;
    b->counted.n_steps += c->n_drawn - n_before;
    b->counted.n_step_rows += c->n_drawn - n_before;
    if (end(b, status)) return true;
    if (status == PD_ERR_MEMORY_DEVICE && c->n_drawn == n_before) return false;
    if (status == PD_ERR_DEVICE_LOST)
        take_lost(b, &err);
    else if (status != PD_OK)
        fail(b, c, &err);
    else if (c->is_over)
        end_choice(b, c);
    return true;
}

/* ---- pictures ------------------------------------------------------------------------------- */

typedef struct picture {
    pd_batch *batch;
    pd_request *request;
} picture;

static void run_answers(pd_batch *b) {
    step all = {.n = 0};
    all.n = pd_batch_answer_items(b, all.items, all.choices);
    if (b->desc.deterministic)
        run_one_by_one(b, &all);
    else if (all.n > 0)
        run(b, &all);
}

/* Answers go on while a picture is encoded. */
static void between(void *ctx) {
    picture *p = ctx;
    pd_mutex_lock(p->batch->lock);
    if (p->batch->ends) atomic_store(&p->request->cancelled, 1);
    pd_mutex_unlock(p->batch->lock);
    run_answers(p->batch);
    pd_batch_remind(p->batch);
}

/* The picture's rows are at hand afterwards, if nothing went wrong. */
static void encode(pd_batch *b, pd_choice *c, const pd_placed_image *image) {
    pd_vision *v = b->model->vision;
    picture p = {b, c->request};
    const float *rows;
    pd_error err;
    pd_status status = pd_model_begin_turn(b->model, &err);
    if (status == PD_OK) {
        b->encodes = true;
        pd_vision_set_between(v, between, &p);
        status = pd_vision_rows(v, image->image, image->hash, &c->request->cancelled, &rows, &err);
        pd_vision_set_between(v, NULL, NULL);
        b->encodes = false;
        pd_model_end_turn(b->model);
    }
    if (status == PD_ERR_DEVICE_LOST)
        take_lost(b, &err);
    else if (status == PD_ERR_MEMORY_DEVICE && make_room(b))
        return; /* it is tried again */
    else if (status != PD_OK)
        fail(b, c, &err);
}

void pd_batch_step(pd_batch *b) {
    step s = {.n = 0};
    pd_sample_params params;
    const pd_placed_image *image;
    pd_choice *c = pd_batch_next_picture(b, &image);
    if (c) {
        encode(b, c, image);
        return;
    }
    s.n = pd_batch_next_items(b, s.items, s.choices);
    if (can_run_ahead(b, &s, &params) && run_ahead(b, s.choices[0], &params)) return;
    run(b, &s);
}
