/* The inside of a session, for sample/ and tests.  SPDX-License-Identifier: MIT */
#ifndef PD_ENGINE_SESSION_H
#define PD_ENGINE_SESSION_H

#include "engine/kv.h"
#include "engine/model.h"

/* A compiled plan and where its outputs are. */
typedef struct pd_stage {
    pd_plan plan;
    pd_program *program;
    pd_buf_id logits, best, hidden;
} pd_stage;

struct pd_session {
    pd_model *model;
    pd_session_desc desc; /* defaults filled in */
    pd_kv *kv;
    pd_kv_store *store;
    pd_stage prefill, decode;
    uint32_t *tokens;    /* [n_ctx] the timeline, as far as it is computed */
    pd_step_row *rows;   /* [n_chunk] of the step being made */
    uint32_t *out_rows;  /* [n_chunk] */
    uint32_t (*best)[4]; /* [n_chunk] what argmax found: id, value, non-finite values, 0 */
    float *logits;       /* [n_vocab] last position, or [n_chunk, n_vocab] with all_logits */
    pd_step last_step;   /* for profiles; its tables are made anew */
    const pd_stage *last_stage;
    const pd_stage *last; /* whose outputs hold the last position; NULL: none */
    uint32_t last_n_rows; /* rows of that step with outputs */
    uint32_t last_best;   /* the most probable next id */
    bool logits_read;     /* `logits` holds the last position's */
    atomic_int cancel;
    pd_session_stats stats;
    void *sampler_scratch; /* owned by sample/ through pd_session_set_scratch */
    void (*free_scratch)(void *);
};

/* The plans of the session that `desc` would make, into out[2], *n of them (pd_plan_free); none
 * when it would be refused. */
void pd_session_plans(pd_model *model, const pd_session_desc *desc, pd_plan *out, uint32_t *n);

#endif
