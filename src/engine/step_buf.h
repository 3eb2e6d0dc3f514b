/* A step with the memory that its pointers lead to: rows, outputs and how they are sampled, and the
 * page tables of several sequences.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_ENGINE_STEP_BUF_H
#define PD_ENGINE_STEP_BUF_H

#include "base/error.h"
#include "plan/step.h"

typedef struct pd_step_buf {
    pd_step step;               /* n_rows 0: nothing has been made yet */
    pd_step_row *rows;          /* [max_rows] */
    uint32_t *out_rows;         /* [max_rows] */
    pd_sample_params *sampling; /* [max_rows] of outputs */
    pd_page_table *tables;      /* [max_seqs] */
} pd_step_buf;

pd_status pd_step_buf_create(pd_step_buf *b, uint32_t max_rows, uint32_t max_seqs, pd_error *err);
void pd_step_buf_destroy(pd_step_buf *b);

/* An empty step; cancel: pd_step.cancel. */
void pd_step_buf_start(pd_step_buf *b, const atomic_int *cancel);
/* A sequence: its rows, which the caller fills in, at b->rows + the index returned, follow. The
 * last n_outs of them are outputs. sampling: [n_outs], or NULL for the highest. */
uint32_t pd_step_buf_add(pd_step_buf *b, pd_page_table table, uint32_t n_rows, uint32_t n_outs,
                         const pd_sample_params *sampling);
/* The step has run, and may be looked at again: masks lived until then. */
void pd_step_buf_forget_masks(pd_step_buf *b);

#endif
