/* Who is computed next. Places go to choices in the order in which their requests came; whoever is
 * about to have its beginning computed by another one waits for it, and others may pass. A step
 * holds a row of every running answer, and as many rows of prompts as keep it short.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/clock.h"
#include "batch/batch.h"

enum { LEAST_PROMPT_ROWS = 16, FIRST_PROMPT_ROWS = 64 };

/* ---- places --------------------------------------------------------------------------------- */

static pd_status make_text(pd_batch *b, pd_choice *c, pd_error *err) {
    const pd_tokens *prompt = &c->request->prompt;
    const pd_model *m = b->model;
    if (c->text.ids) return PD_OK; /* it had a place before */
    PD_TRY(pd_tokens_create(&c->text, b->context->desc.n_ctx, pd_model_image_rows(m), err));
    pd_tokens_append(&c->text, prompt->ids, prompt->n, prompt->images, prompt->n_images);
    if (!c->request->desc.score_prompt) return PD_OK;
    return pd_scores_create(&c->scores, prompt->n, m->config.n_vocab, c->request->desc.n_top, err);
}

static pd_status enter(pd_batch *b, pd_choice *c, pd_error *err) {
    pd_request *r = c->request;
    PD_TRY(make_text(b, c, err));
    PD_TRY(pd_context_join(b->context, &c->seq, err));
    uint32_t n = pd_prefix_share(b, c);
    b->counted.n_cached += n;
    c->has_place = true;
    c->seen = ++b->clock;
    b->places[b->n_places++] = c;
    if (r->placed_at) return PD_OK;
    r->placed_at = pd_clock_ns();
    r->stats.queue_ns = r->placed_at - r->queued_at;
    r->stats.n_cached = n;
    return PD_OK;
}

static bool waits(const pd_batch *b, const pd_choice *c) {
    return !c->has_place && !c->has_ended && !pd_prefix_is_coming(b, c);
}

void pd_batch_give_places(pd_batch *b) {
    pd_error err;
    for (pd_request *r = b->requests; r; r = r->next)
        for (uint32_t i = 0; i < r->desc.n_choices && b->n_places < b->room; i++) {
            pd_choice *c = &r->choices[i];
            if (waits(b, c) && enter(b, c, &err) != PD_OK) pd_request_fail(b, r, &err);
        }
}

void pd_batch_leave_place(pd_batch *b, pd_choice *c, bool keeps) {
    if (!c->has_place) return;
    uint32_t at = 0;
    while (b->places[at] != c) at++;
    for (b->n_places--; at < b->n_places; at++) b->places[at] = b->places[at + 1];
    c->has_place = false;
    b->room = b->desc.n_parallel;
    if (keeps) {
        pd_prefix_keep(b, c);
    } else {
        pd_context_leave(b->context, &c->seq);
        c->scores.n = 0;
    }
}

/* ---- rows ----------------------------------------------------------------------------------- */

static pd_batch_item item_of(pd_choice *c, uint32_t n_rows) {
    const pd_tokens *prompt = &c->request->prompt;
    return (pd_batch_item){.seq = &c->seq,
                           .ids = c->text.ids + c->seq.tokens.n,
                           .n = n_rows,
                           .images = prompt->images,
                           .n_images = prompt->n_images,
                           .outs = PD_OUTS_LAST};
}

/* Up to the first picture that has to be encoded before it is a prompt's. */
static uint32_t rows_to_picture(const pd_batch *b, const pd_choice *c, uint32_t n) {
    uint32_t first = c->seq.tokens.n;
    for (uint32_t i = 0; i < c->text.n_images && c->text.images[i].first < first + n; i++) {
        const pd_placed_image *image = &c->text.images[i];
        if (image->first >= first && !pd_vision_knows(b->model->vision, image->hash))
            return image->first - first;
    }
    return n;
}

/* Rows of a choice, at most so many; 0: a picture begins there that is longer. */
static uint32_t whole_rows(const pd_choice *c, uint32_t most) {
    uint32_t first = c->seq.tokens.n, n = pd_tokens_chunk(&c->text, first, most);
    return pd_tokens_before_image(&c->text, first + n) > first || first + n == c->text.n ? n : 0;
}

/* ... or one that is not encoded yet. */
static uint32_t rows_of(const pd_batch *b, const pd_choice *c, uint32_t most) {
    return rows_to_picture(b, c, whole_rows(c, most));
}

/* How long a step of running answers may get by rows of prompts. */
static uint32_t most_prompt_rows(const pd_batch *b, uint32_t n_answers) {
    uint32_t n_chunk = b->context->desc.n_chunk;
    if (n_answers == 0) return n_chunk;
    uint64_t n = b->row_ns ? b->desc.step_ms * UINT64_C(1000000) / b->row_ns : FIRST_PROMPT_ROWS;
    if (n < LEAST_PROMPT_ROWS) n = LEAST_PROMPT_ROWS;
    return n < n_chunk - n_answers ? (uint32_t)n : n_chunk - n_answers;
}

void pd_batch_note_step(pd_batch *b, uint32_t n_rows, uint64_t ns) {
    uint64_t row_ns = n_rows ? ns / n_rows : 0;
    if (n_rows >= LEAST_PROMPT_ROWS) b->row_ns = b->row_ns ? (3 * b->row_ns + row_ns) / 4 : row_ns;
}

uint32_t pd_batch_answer_items(pd_batch *b, pd_batch_item *items, pd_choice **choices) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->n_places; i++) {
        pd_choice *c = b->places[i];
        if (pd_choice_rows_left(c) != 1 || c->request->desc.score_prompt) continue;
        choices[n] = c;
        items[n++] = item_of(c, 1);
    }
    return n;
}

static bool is_prompt(const pd_choice *c) {
    return pd_choice_rows_left(c) > 1 || c->request->desc.score_prompt;
}

/* By itself: what needs lm_head for all its rows, and an image that is too long for others' rows
 * beside it. */
static bool is_alone(const pd_batch *b, const pd_choice *c, uint32_t n_answers) {
    uint32_t first = c->seq.tokens.n;
    if (c->request->desc.score_prompt) return first < c->request->prompt.n;
    return whole_rows(c, b->context->desc.n_chunk - n_answers) == 0;
}

static pd_choice *first_prompt(const pd_batch *b) {
    for (uint32_t i = 0; i < b->n_places; i++)
        if (is_prompt(b->places[i])) return b->places[i];
    return NULL;
}

pd_choice *pd_batch_next_picture(const pd_batch *b, const pd_placed_image **image) {
    pd_choice *c = first_prompt(b);
    if (!c || c->request->prompt.n_images == 0) return NULL;
    *image = pd_image_at(c->request->prompt.images, c->request->prompt.n_images, c->seq.tokens.n);
    return *image && !pd_vision_knows(b->model->vision, (*image)->hash) ? c : NULL;
}

/* A picture that does not fit into what a step has left is added whole where it is the first. */
static uint32_t prompt_rows(const pd_batch *b, const pd_choice *c, uint32_t left, uint32_t most,
                            bool is_first) {
    uint32_t n = rows_of(b, c, left);
    const pd_tokens *t = &c->text;
    const pd_placed_image *image = pd_image_at(t->images, t->n_images, c->seq.tokens.n);
    if (n > 0 || !is_first || !image) return n;
    uint32_t rows = image->end - image->first;
    return rows_of(b, c, rows < most ? rows : most);
}

static uint32_t add_prompts(pd_batch *b, pd_batch_item *items, pd_choice **choices, uint32_t n) {
    uint32_t n_answers = n, left = most_prompt_rows(b, n_answers);
    uint32_t most = b->context->desc.n_chunk - n_answers;
    for (uint32_t i = 0; i < b->n_places && left > 0; i++) {
        pd_choice *c = b->places[i];
        if (!is_prompt(c) || is_alone(b, c, n_answers)) continue;
        uint32_t n_rows = prompt_rows(b, c, left, most, n == n_answers);
        if (n_rows == 0) continue;
        choices[n] = c;
        items[n++] = item_of(c, n_rows);
        left -= n_rows < left ? n_rows : left;
    }
    return n;
}

/* Rows of its prompt alone, also where an answer behind it has to be computed again. */
static uint32_t prompt_chunk(const pd_batch *b, const pd_choice *c) {
    const pd_tokens *prompt = &c->request->prompt;
    uint32_t first = c->seq.tokens.n;
    return first < prompt->n ? pd_tokens_chunk(prompt, first, b->context->desc.n_chunk) : 1;
}

static uint32_t one_item(pd_choice *c, uint32_t n_rows, pd_batch_item *items, pd_choice **choices) {
    choices[0] = c;
    items[0] = item_of(c, n_rows);
    return 1;
}

/* Deterministic: one choice at a time, in steps that its prompt alone decides. */
static uint32_t next_alone(pd_batch *b, pd_batch_item *items, pd_choice **choices) {
    pd_choice *c = b->places[b->turn++ % b->n_places];
    return one_item(c, prompt_chunk(b, c), items, choices);
}

uint32_t pd_batch_next_items(pd_batch *b, pd_batch_item *items, pd_choice **choices) {
    if (b->desc.deterministic) return next_alone(b, items, choices);
    uint32_t n = pd_batch_answer_items(b, items, choices);
    pd_choice *first = first_prompt(b);
    bool alone = first && is_alone(b, first, n);
    if (alone && (n == 0 || !b->was_alone)) {
        bool scores = first->request->desc.score_prompt; /* and has no pictures */
        uint32_t n_rows =
            scores ? prompt_chunk(b, first) : rows_of(b, first, b->context->desc.n_chunk);
        b->was_alone = true;
        return one_item(first, n_rows, items, choices);
    }
    b->was_alone = false;
    return add_prompts(b, items, choices, n);
}
