/* The inside of a session, for sample/ and tests.  SPDX-License-Identifier: MIT */
#ifndef PD_ENGINE_SESSION_H
#define PD_ENGINE_SESSION_H

#include "engine/kv.h"
#include "engine/model.h"
#include "engine/step_buf.h"
#include "engine/tokens.h"
#include "peridot_measure.h"

/* A compiled plan and where its outputs are. */
typedef struct pd_stage {
    pd_plan plan;
    pd_program *program;
    pd_buf_id logits, best, hidden, log_prob;
    pd_buf_id embeddings; /* rows of images; PD_BUF_NONE: the plan takes none */
} pd_stage;

/* The outputs of the sequence's last position, in the memory of the program that made them.
 * output.c writes it, and nothing else. */
typedef struct pd_output {
    const pd_stage *stage; /* NULL: none are at hand */
    uint32_t row;          /* of the program's outputs */
    uint32_t best;         /* the most probable next id */
    bool is_stale; /* a dropped step has written over them: pd_session.step makes them again */
    bool is_read;  /* pd_session.logits begins with them */
} pd_output;

struct pd_session {
    pd_model *model;
    pd_session_desc desc; /* defaults filled in */
    pd_kv *kv;
    pd_kv_store *store;
    pd_stage prefill, decode;
    pd_stage lm_head;          /* with all_logits: prefill ends before it */
    pd_tokens tokens;          /* as far as it is computed, then what is still to be */
    pd_tokens wanted;          /* what the sequence is about to become */
    pd_step_buf step;          /* of n_chunk rows: the one being made, then the last one */
    const pd_stage *ran;       /* that the last step has run through; NULL: none, or it failed */
    pd_step_buf lm_head_step;  /* of max_outs rows */
    pd_sample_result *results; /* [n_chunk] of the outputs of one step */
    uint32_t max_outs;         /* rows with logits at once */
    float *logits; /* [max_outs, n_vocab]: of the last position, or of some with all_logits */
    float *hidden; /* [max_outs, H] on their way from prefill to head */
    pd_output out;
    bool has_pending; /* `pending` was handed over by generate, and is not in the sequence */
    uint32_t pending;
    atomic_int cancel;
    pd_session_stats stats;
    void *sampler_scratch; /* owned by sample/ through pd_session_set_scratch */
    void (*free_scratch)(void *);
};

/* Errors: ARGUMENT (a number that is none of the enumeration). */
pd_status pd_check_precision(pd_precision precision, pd_error *err);

enum { PD_SESSION_MAX_PLANS = 3 };
/* The plans of the session that `desc` would make, into out[PD_SESSION_MAX_PLANS], *n of them
 * (pd_plan_free); none when it would be refused. */
void pd_session_plans(pd_model *model, const pd_session_desc *desc, pd_plan *out, uint32_t *n);

/* The last position's outputs are at hand afterwards. Errors: ARGUMENT (there is none). */
pd_status pd_session_need_outputs(pd_session *s, pd_error *err);

/* Computes one token more. */
pd_status pd_session_append(pd_session *s, uint32_t id, pd_error *err);

/* Who gets the outputs of positions as they are computed. */
typedef struct pd_score {
    uint32_t first;  /* positions before it are not asked for */
    pd_logits_fn fn; /* gets logits, or NULL */
    void *fn_ctx;
    float *log_probs; /* [positions - 1 - first] of the token that follows each, or NULL */
    uint32_t *best;   /* [positions - 1 - first], or NULL */
} pd_score;

/* As pd_session_sync_prompt, with the outputs of the positions from score->first on, which are
 * computed anew. */
pd_status pd_session_run_scored(pd_session *s, const pd_prompt *prompt, const pd_score *score,
                                pd_error *err);

/* With all_logits: the head over rows of the prefill step that has just run, those that are asked
 * for and the last one; score may be NULL. score.c */
pd_status pd_session_run_lm_head(pd_session *s, const pd_step *body, const pd_score *score,
                                 pd_error *err);

/* Before a step runs: whatever was at hand is written over. */
void pd_session_forget_output(pd_session *s);
/* Row `row` of the stage's outputs is the last position's. stale: see pd_output. */
void pd_session_keep_output(pd_session *s, const pd_stage *stage, uint32_t row, uint32_t best,
                            bool stale);

/* Reads what the sample operation found for every output of the step into s->results, and keeps the
 * last one if all logits are finite. */
pd_status pd_session_read_samples(pd_session *s, const pd_stage *stage, const pd_step *step,
                                  bool *finite, pd_error *err);

/* The step made a NaN or an infinity: runs it again one operation at a time to say where. */
pd_status pd_session_raise_nonfinite(pd_session *s, const pd_stage *stage, const pd_step *step,
                                     pd_error *err);

/* How pd_session_sample_steps goes on. */
typedef struct pd_sampling {
    pd_sample_params params; /* of the first token; the counter goes up with each */
    uint32_t n_max;
    uint32_t stops[2]; /* tokens at which fn is sure to return false; or PD_SAMPLE_NO_ID */
    pd_token_fn fn;
    void *ctx;
} pd_sampling;

enum { PD_RUN_AHEAD_STEPS = 32 }; /* steps for which KV pages are reserved at once */

/* Computes `token`, samples the next one from its logits, hands that to fn, computes it, and so on:
 * at most n_max steps, and no more than the context has room for. run_ahead.c */
pd_status pd_session_sample_steps(pd_session *s, uint32_t token, const pd_sampling *sampling,
                                  pd_error *err);

#endif
