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

/* A row of what a run of a stage's program has left in the program's memory. */
typedef struct pd_output {
    const pd_stage *stage; /* NULL: there is no output */
    uint64_t run_id;       /* the row is still there if it is the stage's (pd_output_is_at_hand) */
    uint32_t row;
    pd_sample_result result; /* known in any case */
} pd_output;

typedef struct pd_sequence {
    pd_tokens tokens; /* tokens.n is the length of its KV cache, always */
    uint32_t kv_id;   /* of pd_context.kv */
    pd_output out;    /* of the last position */
} pd_sequence;

#endif
