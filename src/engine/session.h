/* The inside of a session, for sample/ and tests.  SPDX-License-Identifier: MIT */
#ifndef PD_ENGINE_SESSION_H
#define PD_ENGINE_SESSION_H

#include "engine/context.h"

/* A sequence, and what it is to become. */
struct pd_session {
    pd_model *model;
    pd_context *context; /* shared with the model's other sessions of the same limits */
    pd_sequence seq;
    pd_tokens wanted; /* the prompt of the last sync: what is beyond seq is not computed yet */
    bool has_pending; /* `pending` was handed over by generate, and is not in the sequence */
    uint32_t pending;
    atomic_int cancel;
    uint32_t n_calls; /* under way that call the caller's functions */
    bool is_unwanted; /* one of these has destroyed it: the last call does */
    pd_prompt_progress_fn progress;
    void *progress_ctx;
    float *logits;          /* [n_vocab] */
    uint64_t logits_run;    /* of the output that they are; 0: none have been read */
    pd_session_stats stats; /* n_reused, logits_hash; the context knows the others */
    void *sampler_scratch;  /* sample/'s own; made and set by it */
    void (*free_scratch)(void *);
};

/* Waits until the device is this thread's: what touches the context stands between the two. Errors:
 * ARGUMENT (the model was closed; the call comes from a function that another call is calling). */
pd_status pd_session_begin_turn(pd_session *s, pd_error *err);
void pd_session_end_turn(pd_session *s);
/* In a turn: whether another thread waits for one. */
bool pd_session_is_awaited(const pd_session *s);

/* Around what calls the caller's functions: a session that these destroy is stopped, and gone with
 * leave, which comes behind the turn's end and is the last to touch it. */
void pd_session_enter(pd_session *s);
void pd_session_leave(pd_session *s);

/* Computes one token more. Errors: as pd_context_run. */
pd_status pd_session_append(pd_session *s, uint32_t id, pd_error *err);

/* As pd_session_sync_prompt, with the outputs of the positions from score->first on, which are
 * computed anew; score->n is filled in. */
pd_status pd_session_run_scored(pd_session *s, const pd_prompt *prompt, pd_score *score,
                                pd_error *err);

/* session_output.c: the last position's logits into s->logits, in a turn. Errors: as
 * pd_context_read_logits, ARGUMENT (there are none). */
pd_status pd_session_fetch_logits(pd_session *s, pd_error *err);

#endif
