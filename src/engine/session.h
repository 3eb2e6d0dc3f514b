/* The inside of a session, for sample/ and tests.  SPDX-License-Identifier: MIT */
#ifndef PD_ENGINE_SESSION_H
#define PD_ENGINE_SESSION_H

#include "engine/context.h"

/* A sequence, and what it is to become. */
struct pd_session {
    pd_context *context; /* its own, for one sequence */
    pd_sequence seq;
    pd_tokens wanted; /* the prompt of the last sync: what is beyond seq is not computed yet */
    bool has_pending; /* `pending` was handed over by generate, and is not in the sequence */
    uint32_t pending;
    atomic_int cancel;
    float *logits;          /* [n_vocab] */
    uint64_t logits_run;    /* of the output that they are; 0: none have been read */
    pd_session_stats stats; /* n_reused, logits_hash; the context knows the others */
    void *sampler_scratch;  /* sample/'s own; made and set by it */
    void (*free_scratch)(void *);
};

/* Computes one token more. Errors: as pd_context_run. */
pd_status pd_session_append(pd_session *s, uint32_t id, pd_error *err);

/* As pd_session_sync_prompt, with the outputs of the positions from score->first on, which are
 * computed anew; score->n is filled in. */
pd_status pd_session_run_scored(pd_session *s, const pd_prompt *prompt, pd_score *score,
                                pd_error *err);

#endif
