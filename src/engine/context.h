/* What computes sequences of one model at one precision: their KV pages, the programs, and the
 * steps that are made of them. Nothing else calls a backend's run and run_ahead on these programs,
 * and nothing else writes sequences.
 *
 *     pd_context_run     reserves pages for some rows of several sequences, computes them in one
 *                        step, and fills in the results; the sequences stay as they are
 *     pd_context_keep    the rows become part of their sequences
 *
 * What is not kept is forgotten with the next run. A sequence's outputs stay in the memory of the
 * program that made them until that program runs again, for whichever sequence; after that the last
 * position is computed again when somebody asks for its logits. Its result (the best next token) is
 * known in any case. One thread at a time, as for sessions.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_ENGINE_CONTEXT_H
#define PD_ENGINE_CONTEXT_H

#include "engine/kv.h"
#include "engine/model.h"
#include "engine/sequence.h"
#include "engine/step_buf.h"
#include "peridot_measure.h"

/* A compiled plan and where its outputs are. */
struct pd_stage {
    pd_plan plan;
    pd_program *program; /* NULL: the context has no such stage */
    pd_buf_id logits, best, hidden, log_prob;
    pd_buf_id embeddings; /* rows of images; PD_BUF_NONE: the plan takes none */
    uint64_t run_id;      /* of the run whose outputs its memory holds */
    pd_sequence *owner;   /* the only one that they are of; NULL: not known */
    uint64_t held_bytes;  /* what compiling it took of the device, step buffers aside */
};

typedef enum pd_stage_kind {
    PD_STAGE_DECODE, /* one row, of any sequence; runs ahead */
    PD_STAGE_BATCH,  /* 2 rows with logits of each; the next ones 4, 8, ... : kernels fit them */
    PD_STAGE_BATCH_LAST = PD_STAGE_BATCH + 5, /* 64, or more if n_seqs is */
    PD_STAGE_FEW,     /* as prefill, for up to PD_FEW_ROWS and without images: a short turn */
    PD_STAGE_SOME,    /* ... PD_SOME_ROWS */
    PD_STAGE_PREFILL, /* up to n_chunk rows, with logits of up to n_seqs; all_logits: with none */
    PD_STAGE_SCORE,   /* as prefill of all_logits, in a context that scores besides */
    PD_STAGE_LM_HEAD, /* of rows that one of these two has left, max_outs at a time */
    PD_STAGE_COUNT
} pd_stage_kind;
enum { PD_FEW_ROWS = 16, PD_SOME_ROWS = 64 };

typedef struct pd_context {
    pd_model *model;
    pd_session_desc desc; /* defaults filled in; n_chunk: rows of a step, of all sequences */
    uint32_t n_seqs;      /* of a step; there may be more of them */
    pd_kv *kv;
    pd_kv_store *store;
    bool has_global; /* layers, and so pages in the store; the kv counts them in any case */
    pd_stage stages[PD_STAGE_COUNT];
    uint64_t n_runs;            /* the last run's id */
    pd_step_buf step;           /* the one being made, then the last one */
    pd_stage *ran;              /* that it has run through; NULL: none, or it failed */
    const pd_sequence *ran_for; /* that all its rows are of; NULL: of several */
    pd_sample_result *results;  /* [n_chunk] of the outputs of one run */
    uint32_t max_outs;          /* rows that lm_head makes logits of at once */
    pd_step_buf lm_head_step;   /* the next four only where there is lm_head; of max_outs rows */
    float *hidden;              /* [max_outs, H] on their way from prefill to lm_head */
    float *logits;              /* [max_outs, n_vocab] for pd_score.fn */
    float *log_probs;           /* [max_outs, 2] as lm_head leaves them */
    uint64_t compile_ns;
    struct pd_context *next; /* pd_model.contexts */
    uint32_t n_users;        /* sessions that it is acquired for */
} pd_context;

/* Errors: ARGUMENT (a number that is none of the enumeration). */
pd_status pd_check_precision(pd_precision precision, pd_error *err);

/* Limits and programs for sequences of up to desc->n_ctx positions each, of which a step takes up
 * to n_seqs. KV pages for as many with desc->all_pages, else for a first chunk: there will be more
 * when they are needed. Errors: as pd_session_create. */
pd_status pd_context_create(pd_model *model, const pd_session_desc *desc, uint32_t n_seqs,
                            pd_context **out, pd_error *err);
void pd_context_destroy(pd_context *c); /* NULL is allowed; its sequences have left before */

/* Errors: ARGUMENT (the model was opened without text weights). */
pd_status pd_context_check_model(const pd_model *model, pd_error *err);
/* Positions of a context without a wish, memory aside. */
uint32_t pd_context_usual(const pd_model *model);
/* desc with the defaults filled in. Errors: ARGUMENT, CONTEXT. */
pd_status pd_context_limits(pd_model *model, const pd_session_desc *desc, uint32_t n_seqs,
                            pd_session_desc *out, pd_error *err);
/* The plans of the context that would be made, into out[PD_STAGE_COUNT], *n of them (pd_plan_free);
 * none when it would be refused. */
void pd_context_plans(pd_model *model, const pd_session_desc *desc, uint32_t n_seqs, pd_plan *out,
                      uint32_t *n);

/* The model's context with the same limits, or a new one; sessions share its pages, programs and
 * scratch memory. context_users.c. Errors: as pd_context_create. */
pd_status pd_context_acquire(pd_model *model, const pd_session_desc *desc, pd_context **out,
                             pd_error *err);
void pd_context_hold(pd_context *c);
void pd_context_release(pd_context *c); /* the last one destroys it; NULL is allowed */

/* What a context without all_logits needs for items with scores, if it has not got it yet. Errors:
 * as pd_context_create. */
pd_status pd_context_add_scores(pd_context *c, pd_error *err);

/* Fills in what the context knows: everything but n_reused and logits_hash. */
void pd_context_get_stats(const pd_context *c, const pd_sequence *seq, pd_session_stats *out);

/* ---- sequences ------------------------------------------------------------------------------ */

/* An empty sequence. Errors: MEMORY_HOST. */
pd_status pd_context_join(pd_context *c, pd_sequence *seq, pd_error *err);
/* Its pages are free afterwards. A sequence that never joined (all zero) is allowed. */
void pd_context_leave(pd_context *c, pd_sequence *seq);

/* Its outputs are nobody's any more, kept ones forgotten: the struct may be moved. */
void pd_context_disown(pd_context *c, pd_sequence *seq);

/* Cuts to the longest length <= n that can be continued, and returns it: n, or the beginning of an
 * image that n lies in, or when local pages are gone the last mark before it, or 0. The outputs of
 * the new last position are there if they were kept. */
uint32_t pd_context_truncate(pd_context *c, pd_sequence *seq, uint32_t n);
/* What it would return. */
uint32_t pd_context_reachable(const pd_context *c, const pd_sequence *seq, uint32_t n);
/* Makes the empty sequence `to` begin as `from` does, on the same pages and with the same marks;
 * returns the length, which truncate's would be. It has no outputs until a row follows. */
uint32_t pd_context_share(pd_context *c, const pd_sequence *from, uint32_t n, pd_sequence *to);

/* ---- places to come back to ----------------------------------------------------------------- */

/* Marks a position of the sequence (pd_kv_mark). Steps do so by themselves at the borders of images
 * and once in a window. */
void pd_context_mark(pd_context *c, pd_sequence *seq, uint32_t n);
/* Keeps the last position's logits with the sequence, so that coming back there computes nothing.
 * Those that were kept or used longest ago are forgotten. Does nothing without outputs. Errors: as
 * reading them. */
pd_status pd_context_keep_output(pd_context *c, pd_sequence *seq, pd_error *err);
/* Where to go on from when the first n positions are wanted: n at the sequence's end or where
 * outputs were kept, else the last mark before it. What follows is then computed in the steps in
 * which it would have been at first, and gets the same bits: kernels round by how rows fall into
 * tiles. n as well where the last mark is more than a window away. */
uint32_t pd_context_place_before(const pd_context *c, const pd_sequence *seq, uint32_t n);
/* Whether outputs of position n - 1 were kept, and n positions can be gone back to. */
bool pd_context_has_kept_output(const pd_context *c, const pd_sequence *seq, uint32_t n);

/* ---- steps ---------------------------------------------------------------------------------- */

/* Who gets the outputs of a text's positions as they are computed. */
typedef struct pd_score {
    uint32_t first;  /* positions before it are not asked for */
    uint32_t n;      /* positions of the text */
    pd_logits_fn fn; /* gets logits, or NULL */
    void *fn_ctx;
    float *log_probs;      /* [n - 1 - first] of the token that follows each, or NULL */
    uint32_t *best;        /* [n - 1 - first], or NULL */
    float *best_log_probs; /* ... and its log-probability, or NULL */
} pd_score;

typedef enum pd_outs {
    PD_OUTS_NONE, /* for rows that others follow; of a single row as LAST */
    PD_OUTS_LAST,
    PD_OUTS_ALL /* with several sequences or speculation: at most n_seqs in a step */
} pd_outs;

/* Rows of one sequence in a step: the n positions behind what it has. */
typedef struct pd_batch_item {
    pd_sequence *seq;    /* in one item of a batch at most */
    const uint32_t *ids; /* [n], PD_TOKEN_EMBEDDED where an image's row is */
    uint32_t n;
    const pd_placed_image *images; /* [n_images] of the text; those among the rows with pixels */
    uint32_t n_images;
    pd_outs outs;
    const pd_sample_params *sampling; /* [outs] how they are sampled; NULL: the best */
    pd_sample_result *results;        /* [outs] filled in by run; may be NULL */
    /* Contexts with all_logits, or of a batch's only item behind pd_context_add_scores: gets the
     * outputs from position score->first on. ids then goes on to the end of the text, where the
     * token behind a row is looked up; sampling and results are NULL. */
    const pd_score *score;
    /* Set by run, for keep: */
    uint32_t n_kept; /* n; may be made less, though not within an image */
    pd_output out;   /* of the last row, if it has one */
} pd_batch_item;

/* One step of all items. Errors: CONTEXT, MEMORY_DEVICE (no page is left), ARGUMENT (more rows or
 * outputs than a step has room for), CANCELLED, DEVICE, NUMERIC (names the operation; or a mask
 * leaves nothing that can be drawn). After a failure no sequence has changed, but outputs may have
 * to be computed again. */
pd_status pd_context_run(pd_context *c, pd_batch_item *items, uint32_t n, const atomic_int *cancel,
                         pd_error *err);
/* The first n_kept rows of each item become its sequence's; pages beyond are given back. The
 * sequence has outputs afterwards if its last row does. */
void pd_context_keep(pd_context *c, pd_batch_item *items, uint32_t n);

/* Position pos of the sequence once more, by itself: its outputs are in row 0 of decode. If it is
 * the last position and has no outputs at hand, these are its. Errors: ARGUMENT (there is no such
 * position, an image's row, or its window is gone), and run's. */
pd_status pd_context_repeat(pd_context *c, pd_sequence *seq, uint32_t pos, const atomic_int *cancel,
                            pd_error *err);

bool pd_output_is_at_hand(const pd_output *out);
/* Whether the result of the last position is known and its logits can be had. */
bool pd_context_has_output(const pd_context *c, const pd_sequence *seq);
/* Logits [n_vocab] of the last position. Errors: as pd_context_repeat. */
pd_status pd_context_read_logits(pd_context *c, pd_sequence *seq, const atomic_int *cancel,
                                 float *logits, pd_error *err);

/* The last step again, operation by operation. Errors: ARGUMENT (it was not the sequence's, or has
 * failed), DEVICE. */
pd_status pd_context_profile(pd_context *c, const pd_sequence *seq, pd_profile_fn fn, void *ctx,
                             pd_error *err);
/* One step of two contexts, operation by operation, as pd_session_check has it, in place of run;
 * the rows have no outputs. Errors: as run; ARGUMENT (the steps differ), MEMORY_HOST. */
pd_status pd_context_check(pd_context *c, pd_batch_item *item, pd_context *reference,
                           pd_batch_item *reference_item, const atomic_int *cancel, pd_check_fn fn,
                           void *ctx, pd_error *err);

/* ---- running ahead -------------------------------------------------------------------------- */

enum { PD_RUN_AHEAD_STEPS = 32 }; /* most steps of one call: their pages are reserved beforehand */

/* Single rows of one sequence, each of which is the token that the one before it drew. */
typedef struct pd_ahead {
    pd_sequence *seq;
    uint32_t token;            /* computed first; afterwards what is to be computed next */
    uint32_t n_steps;          /* at most; 1 to PD_RUN_AHEAD_STEPS */
    pd_sample_params sampling; /* of the first, no mask; the counter goes up with each */
    uint32_t stops[2];         /* tokens at which fn is sure to return false; PD_SAMPLE_NO_ID */
    pd_token_fn fn;            /* gets each token that was drawn; false: enough */
    void *fn_ctx;
    bool more;      /* set by the call: fn said true last */
    bool cancelled; /* set by the call: the last token was drawn, but not handed to fn */
} pd_ahead;

/* Computes and keeps some steps: what fn has got, and the row that its last token was drawn from,
 * also after a failure. A backend that cannot run ahead computes one. run_ahead.c. Errors: as
 * pd_context_run. */
pd_status pd_context_run_ahead(pd_context *c, pd_ahead *ahead, const atomic_int *cancel,
                               pd_error *err);

/* ---- for the context's own files ------------------------------------------------------------ */

/* Pages for the next n positions. context_pages.c. Errors: CONTEXT, MEMORY_DEVICE, MEMORY_HOST,
 * DEVICE; the sequence is as it was then. */
pd_status pd_context_reserve(pd_context *c, pd_sequence *seq, uint32_t n, pd_error *err);
/* What was kept of position n - 1, or no output. context_output.c, as the next two. */
pd_output pd_context_kept_output(pd_context *c, pd_sequence *seq, uint32_t n);
/* As if logits [n_vocab] had been kept behind n positions; false: no memory. */
bool pd_context_take_output(pd_context *c, pd_sequence *to, uint32_t n, const void *logits,
                            const pd_sample_result *result);
/* All that is kept of `from`, for a sequence that shares its pages; its last position's output too.
 */
void pd_context_copy_kept(pd_context *c, const pd_sequence *from, pd_sequence *to);
/* Of positions beyond n - 1; 0: all. */
void pd_context_forget_outputs(pd_sequence *seq, uint32_t n);
/* Makes the step of the items' rows; has_outs: with the outputs that they ask for. */
void pd_context_make_step(pd_context *c, const pd_batch_item *items, uint32_t n, bool has_outs,
                          const atomic_int *cancel);
/* Before a program runs for `seq` (NULL: for several): outputs in its memory that another one
 * could not have again, to the bit, are kept. Errors: as reading them. context_output.c */
pd_status pd_context_save_outputs(pd_context *c, const pd_stage *stage, const pd_sequence *seq,
                                  pd_error *err);
/* Before a program runs: what its memory holds is nobody's any more. Returns the run's id. */
uint64_t pd_context_begin_run(pd_context *c, pd_stage *stage);
/* Rows of an item that have outputs: the last so many. */
uint32_t pd_batch_item_outs(const pd_batch_item *item);
/* The stage whose rows lm_head takes. */
pd_stage *pd_context_scored_stage(pd_context *c);
/* Behind it: the outputs of the step's rows. lm_head_step.c */
pd_status pd_context_run_lm_head(pd_context *c, pd_batch_item *items, uint32_t n,
                                 const atomic_int *cancel, pd_error *err);
/* The step made a NaN or an infinity in a row of the sequence: runs it again one operation at a
 * time to say where. */
pd_status pd_context_raise_nonfinite(pd_context *c, const pd_stage *stage, const pd_step *step,
                                     uint32_t pos, pd_error *err);
/* Whether an output of the context's step, in a row of the sequence at pos, is one that a token was
 * drawn from. Errors: NUMERIC: those of raise_nonfinite; there was no candidate. */
pd_status pd_context_check_result(pd_context *c, const pd_stage *stage, const pd_sample_result *r,
                                  uint32_t pos, pd_error *err);

#endif
