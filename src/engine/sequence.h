/* What a context has computed of one text: tokens, their KV pages, and the outputs of the last one.
 * Computed state only: what is still to be computed is in a batch's items. context.c writes it, and
 * nothing else does.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_ENGINE_SEQUENCE_H
#define PD_ENGINE_SEQUENCE_H

#include "engine/tokens.h"
#include "plan/sample.h"

typedef struct pd_stage pd_stage;

/* A row of what a run of a stage's program has left in the program's memory, or a copy of it. */
typedef struct pd_output {
    const pd_stage *stage; /* NULL: a copy, if there is one */
    uint64_t run_id;       /* the row is still there if it is the stage's (pd_output_is_at_hand) */
    uint32_t row;
    const float *kept;       /* [n_vocab] the sequence's copy of the logits; NULL: there is none */
    pd_sample_result result; /* known in any case */
} pd_output;

/* The logits behind n positions, on the host. */
typedef struct pd_kept_output {
    uint32_t n;      /* 0: the place is free */
    uint64_t run_id; /* of the run that made them */
    pd_sample_result result;
    float *logits; /* [n_vocab] */
    uint64_t used; /* the context's n_runs when it was made, or gone back to */
} pd_kept_output;
enum { PD_KEPT_OUTPUTS = 4 };

/* Steps that rows of a sequence were in: their whole time, and its own rows. */
typedef struct pd_step_work {
    uint64_t prompt_ns, decode_ns;
    uint32_t n_prompt, n_decode, n_dropped;
} pd_step_work;

typedef struct pd_sequence {
    pd_tokens tokens; /* tokens.n is the length of its KV cache, always */
    uint32_t kv_id;   /* of pd_context.kv */
    pd_output out;    /* of the last position */
    pd_kept_output kept[PD_KEPT_OUTPUTS];
    pd_step_work work;
} pd_sequence;

#endif
