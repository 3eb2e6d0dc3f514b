/* Requests to a batch over small-q4_0.gguf at precision exact, for tests: prompts by number, what
 * comes back, and what a session would say.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_TESTS_SUPPORT_REQUESTS_H
#define PERIDOT_TESTS_SUPPORT_REQUESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peridot_batch.h"
#include "peridot_measure.h"
#include "support_golden.h"
#include "support_validation.h"

enum { CONTEXT = 320, CHUNK = 64, MAX_IDS = 320, MAX_ANSWERS = 3 };

/* A prompt: its first n_same tokens are those of all of its family, the others its own. */
typedef struct ask {
    uint32_t family, n_same, n, number;
    pd_sampler_desc sampler;
    uint32_t n_max, n_choices, n_top;
    bool scores, log_probs, ignore_stop;
    uint32_t stop_after, cancel_after; /* tokens; 0: never */
} ask;

typedef struct scored {
    uint32_t id, n_top;
    float log_prob;
    pd_log_prob best;
} scored;

typedef struct answer {
    ask ask;
    pd_request *request;
    uint32_t ids[MAX_ANSWERS][MAX_IDS], n[MAX_ANSWERS];
    float log_probs[MAX_ANSWERS][MAX_IDS];
    pd_end ends[MAX_ANSWERS];
    scored scores[MAX_IDS];
    uint32_t n_scores, n_choices_ended, n_done_events;
    bool is_done;
    pd_status status;
    pd_error error;
    pd_request_stats stats;
} answer;

static inline void fill_ids(const ask *a, uint32_t *ids) {
    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t own = i < a->n_same ? 0 : 1 + a->number;
        ids[i] =
            i == 0 ? PD_TOKEN_BOS : 3 + (i * 131 + a->family * 57 + own * 23 + i * i * 7) % 590;
    }
}

static inline pd_model *open_model(const char *device) {
    pd_error err;
    pd_model *m;
    pd_model_desc desc = {.device = device, .n_threads = 2};
    must(pd_model_open(GOLDEN("small-q4_0.gguf"), &desc, &m, &err), &err);
    return m;
}

static inline pd_batch *open_batch(pd_model *m, uint32_t n_parallel, bool deterministic) {
    pd_error err;
    pd_batch *b;
    pd_batch_desc desc = {
        .session = {.n_ctx = CONTEXT, .n_chunk = CHUNK, .precision = PD_PRECISION_EXACT},
        .n_parallel = n_parallel,
        .deterministic = deterministic};
    must(pd_batch_create(m, &desc, &b, &err), &err);
    return b;
}

static inline bool on_event(void *ctx, const pd_event *e) {
    answer *a = ctx;
    uint32_t c = e->choice;
    switch (e->kind) {
    case PD_EVENT_SCORE:
        a->scores[a->n_scores++] = (scored){e->token.id, e->n_top, e->token.log_prob,
                                            e->n_top ? e->top[0] : (pd_log_prob){0}};
        assert_int_equal(e->position, a->n_scores);
        break;
    case PD_EVENT_TOKEN:
        a->log_probs[c][a->n[c]] = e->token.log_prob;
        a->ids[c][a->n[c]++] = e->token.id;
        if (a->n[c] == a->ask.cancel_after) pd_request_cancel(a->request);
        return a->n[c] != a->ask.stop_after;
    case PD_EVENT_END:
        a->ends[c] = e->end;
        a->n_choices_ended++;
        break;
    case PD_EVENT_DONE:
        a->n_done_events++;
        a->is_done = true;
        a->status = e->status;
        if (e->error) a->error = *e->error;
        a->stats = *e->stats;
        break;
    default: break;
    }
    return true;
}

static inline pd_status try_submit(pd_batch *b, const ask *a, answer *out, pd_error *err) {
    uint32_t ids[MAX_IDS];
    fill_ids(a, ids);
    *out = (answer){.ask = *a};
    pd_request_desc d = {.prompt = {.ids = ids, .n_ids = a->n},
                         .sampler = a->sampler,
                         .n_max = a->n_max,
                         .n_choices = a->n_choices,
                         .log_probs = a->log_probs || a->scores,
                         .score_prompt = a->scores,
                         .n_top = a->n_top,
                         .ignore_stop = a->ignore_stop,
                         .fn = on_event,
                         .ctx = out};
    return pd_batch_submit(b, &d, &out->request, err);
}

static inline void submit(pd_batch *b, const ask *a, answer *out) {
    pd_error err;
    must(try_submit(b, a, out, &err), &err);
}

static inline void finish(answer *a) {
    pd_request_wait(a->request);
    pd_request_free(a->request);
    assert_int_equal(a->n_done_events, 1);
    assert_int_equal(a->n_choices_ended, a->ask.n_choices ? a->ask.n_choices : 1);
}

static inline void submit_and_finish(pd_batch *b, const ask *a, answer *out) {
    submit(b, a, out);
    finish(out);
}

static inline bool take_id(void *ctx, uint32_t id) {
    answer *a = ctx;
    a->ids[0][a->n[0]++] = id;
    return true;
}

/* What a session says to it. */
static inline void by_session(pd_model *m, const ask *a, answer *out) {
    pd_error err;
    pd_session *s;
    pd_sampler sampler = {.desc = a->sampler};
    uint32_t ids[MAX_IDS];
    fill_ids(a, ids);
    *out = (answer){.ask = *a};
    pd_session_desc desc = {.n_ctx = CONTEXT, .n_chunk = CHUNK, .precision = PD_PRECISION_EXACT};
    pd_generate_desc g = {
        .n_max = a->n_max, .ignore_stop = a->ignore_stop, .fn = take_id, .fn_ctx = out};
    must(pd_session_create(m, &desc, &s, &err), &err);
    must(pd_session_sync(s, ids, a->n, &err), &err);
    must(pd_session_generate(s, &sampler, &g, &err), &err);
    pd_session_destroy(s);
}

static inline void check_same(const char *device, uint32_t number, const answer *got,
                              const answer *wanted) {
    if (got->status != PD_OK) fail_msg("%s: request %u: %s", device, number, got->error.message);
    uint32_t n = got->n[0];
    if (n != wanted->n[0])
        fail_msg("%s: request %u: %u tokens, not %u", device, number, n, wanted->n[0]);
    for (uint32_t i = 0; i < n; i++)
        if (got->ids[0][i] != wanted->ids[0][i])
            fail_msg("%s: request %u: token %u is %u, not %u", device, number, i, got->ids[0][i],
                     wanted->ids[0][i]);
}

#endif
