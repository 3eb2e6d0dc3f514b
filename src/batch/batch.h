/* The inside of a pd_batch.
 *
 *     batch.c     life, the thread, handing requests over
 *     request.c   a request: what is copied of it, its choices, its end
 *     schedule.c  which choices have a place, and whose rows the next step computes
 *     step.c      computes them, and what becomes of a step that fails
 *     answer.c    what a step has made: tokens to draw, events
 *     scores.c    log-probabilities of a prompt
 *     prefix.c    sequences that others may begin as: those that run, and those that are kept
 *
 * Requests come in and are cancelled under `lock`; all else is the batch's thread alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BATCH_BATCH_H
#define PD_BATCH_BATCH_H

#include <stdatomic.h>

#include "base/thread.h"
#include "batch/scores.h"
#include "engine/context.h"
#include "peridot_batch.h"
#include "sample/sampler.h"

/* One answer of a request. What it is to be is in `text`, what is computed in `seq`: a choice with
 * one row to go is an answer that runs, with more it is a prompt. */
typedef struct pd_choice {
    pd_request *request;
    uint32_t index;
    pd_sampler sampler;
    uint32_t *mask; /* of its grammar: pd_sampler_mask_words; NULL: it has none */
    pd_tokens text; /* the prompt, and behind it what was drawn; made with its place */
    pd_sequence seq;
    pd_scores scores;   /* of the rows of seq; empty unless the request scores */
    uint32_t n_told;    /* SCORE events so far: of positions up to n_told */
    uint32_t branch_at; /* another sequence goes another way here: to be marked; 0: nothing is */
    uint32_t n_drawn;
    uint64_t seen; /* the batch's clock when it got its place: the youngest is preempted */
    bool has_place, has_ended;
    bool is_over; /* its last token is drawn: ends behind the step, as `end` says */
    pd_end end;
} pd_choice;

struct pd_request {
    pd_batch *batch;
    atomic_uint n_holds;  /* the caller's, and the batch's until DONE */
    atomic_int cancelled; /* stops its pictures too */
    pd_request_desc desc; /* prompt and biases are the request's own */
    pd_tokens prompt;     /* with the pixels of its images, which are the next */
    pd_image *images;     /* [desc.prompt.n_images] */
    pd_logit_bias *biases;
    pd_choice *choices; /* [desc.n_choices] */
    uint32_t n_ended;
    pd_error error;
    pd_request_stats stats;
    uint64_t queued_at, placed_at, first_at;
    uint64_t hash_ns; /* spent on what is told of the answer, and no part of its time */
    uint64_t told_at; /* its last event */
    bool is_done;     /* under the batch's lock */
    pd_request *next; /* of those that came in, then of those in work */
};

/* The sequence of a choice that has ended. */
typedef struct pd_kept_sequence {
    pd_sequence seq;
    pd_scores scores;
    uint32_t n_prompt; /* of its positions; those behind were computed one at a time */
    uint64_t used;
} pd_kept_sequence;
enum { PD_MAX_KEPT_SEQUENCES = 256 };

struct pd_batch {
    pd_model *model;
    pd_context *context;
    pd_batch_desc desc;
    pd_thread *thread;
    pd_mutex *lock;
    pd_condition *changed; /* requests have come, one is done, or the batch is to end */
    /* Under the lock: */
    pd_request *incoming; /* oldest first */
    uint32_t n_waiting;   /* handed over, without a place for choice 0 */
    bool ends, clears;
    pd_request *only; /* whose rows alone the running step computes: cancelling it stops the step */
    atomic_int cancel; /* stops the step that runs */
    pd_error lost;     /* status not PD_OK: the device is gone, nothing can be computed any more */
    pd_batch_stats stats;
    /* The thread's: */
    pd_request *requests; /* in work, in the order in which they came */
    pd_choice *places[PD_MAX_PARALLEL];
    uint32_t n_places; /* taken, in the order in which they were */
    uint32_t room;     /* places there are: fewer than n_parallel while pages lack */
    uint32_t turn;     /* deterministic: the place whose step is next */
    bool encodes;   /* a picture; steps of answers are between its operations, in the same turn */
    bool was_alone; /* the last step was a prompt's that shares none: answers come next */
    pd_kept_sequence *kept; /* [PD_MAX_KEPT_SEQUENCES] */
    uint32_t n_kept;
    uint64_t clock;
    uint64_t row_ns; /* of a prompt's row, as measured; 0: not yet */
    float *logits;   /* [n_vocab] of the row being drawn from */
    pd_sampler_scratch *scratch;
    pd_batch_stats counted; /* of the thread, copied to stats behind every step */
};

/* ---- request.c ------------------------------------------------------------------------------ */

/* Errors: as pd_batch_submit. */
pd_status pd_request_create(pd_batch *b, const pd_request_desc *desc, pd_request **out,
                            pd_error *err);
void pd_request_release(pd_request *r); /* the last hold destroys it */
/* Calls the request's function. */
bool pd_request_tell(pd_request *r, const pd_event *event);
/* The choice is over, whatever it was doing; with the last one the request is. error: NULL unless
 * it failed. */
void pd_choice_end(pd_batch *b, pd_choice *c, pd_end end, const pd_error *error);
/* Whose answer has not begun, and who has heard nothing for a second: how far the prompt is. */
void pd_batch_remind(pd_batch *b);
/* All of its choices that have not ended. */
void pd_request_fail(pd_batch *b, pd_request *r, const pd_error *error);
/* Rows that are to be computed before the next token can be drawn. */
static inline uint32_t pd_choice_rows_left(const pd_choice *c) {
    return c->text.n - c->seq.tokens.n;
}

/* ---- schedule.c ----------------------------------------------------------------------------- */

/* Gives places to choices that wait, in their order. */
void pd_batch_give_places(pd_batch *b);
/* Takes one away; keeps: its sequence stays for others. */
void pd_batch_leave_place(pd_batch *b, pd_choice *c, bool keeps);
/* The rows of the next step; returns how many choices have some. items: [PD_MAX_PARALLEL]. */
uint32_t pd_batch_next_items(pd_batch *b, pd_batch_item *items, pd_choice **choices);
/* The part of it that running answers are. */
uint32_t pd_batch_answer_items(pd_batch *b, pd_batch_item *items, pd_choice **choices);
/* A prompt whose next rows are a picture's that has to be encoded first; NULL: none. */
pd_choice *pd_batch_next_picture(const pd_batch *b, const pd_placed_image **image);
/* What a step with so many rows of prompts took. */
void pd_batch_note_step(pd_batch *b, uint32_t n_rows, uint64_t ns);

/* ---- step.c --------------------------------------------------------------------------------- */

/* One step of the choices that have places, or a picture that one of them needs. */
void pd_batch_step(pd_batch *b);
/* The device is the batch's in between; it is already while a picture is encoded. */
pd_status pd_batch_begin_turn(pd_batch *b, pd_error *err);
void pd_batch_end_turn(pd_batch *b);

/* ---- answer.c ------------------------------------------------------------------------------- */

/* What its grammar allows next; *mask: c->mask, or NULL. Errors: as pd_sampler_get_mask. */
pd_status pd_choice_get_mask(pd_choice *c, const uint32_t **mask, pd_error *err);
/* Whether the device draws for it: no logits are wanted. params: how, but for the mask. */
bool pd_choice_draws_on_device(const pd_choice *c, pd_sample_params *params);
/* Behind a step that has kept rows of the choice: events, and at the end of its text the next
 * token. drawn: by the device; PD_SAMPLE_NO_ID: the host draws. Errors: as reading logits. */
pd_status pd_choice_advance(pd_batch *b, pd_choice *c, uint32_t drawn, pd_error *err);
/* Behind its last token: the hash of the logits that it was drawn from, if nothing has to be
 * computed for that. */
void pd_choice_note_logits(pd_batch *b, pd_choice *c);
/* The next token of its text, with top [n_top] or none: an event. False: it is the last one. */
bool pd_choice_take(pd_batch *b, pd_choice *c, pd_log_prob token, const pd_log_prob *top,
                    uint32_t n_top);

/* ---- prefix.c ------------------------------------------------------------------------------- */

/* What the choice's sequence begins with: shares the longest beginning there is; returns its
 * length. The choice has joined, and has nothing yet. */
uint32_t pd_prefix_share(pd_batch *b, pd_choice *c);
/* Whether a choice with a place is about to compute more of what c begins with. */
bool pd_prefix_is_coming(const pd_batch *b, const pd_choice *c);
/* Takes the sequence over from a choice. */
void pd_prefix_keep(pd_batch *b, pd_choice *c);
/* Forgets the one that was used longest ago; false: there is none. */
bool pd_prefix_forget_one(pd_batch *b);
void pd_prefix_forget_all(pd_batch *b);
/* Forgets until what is kept is within the limit. */
void pd_prefix_limit(pd_batch *b);
/* Of its own and of kv_bytes_used: what the KV pages take. */
void pd_prefix_count_pages(const pd_batch *b, pd_batch_stats *out);

#endif
