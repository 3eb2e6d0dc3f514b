/* A step with the memory that its pointers lead to: rows, outputs, one sequence's table, one draw.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_ENGINE_STEP_BUF_H
#define PD_ENGINE_STEP_BUF_H

#include "base/error.h"
#include "plan/step.h"

typedef struct pd_step_buf {
    pd_step step;       /* n_rows 0: nothing has been made yet */
    pd_step_row *rows;  /* [max_rows] */
    uint32_t *out_rows; /* [max_rows] */
    pd_page_table table;
    pd_sample_params params;
    uint32_t max_rows;
} pd_step_buf;

pd_status pd_step_buf_create(pd_step_buf *b, uint32_t max_rows, pd_error *err);
void pd_step_buf_destroy(pd_step_buf *b);

/* A step of n_rows rows, which the caller fills in, and of n_outs outputs, which are the last rows.
 * It draws nothing. */
void pd_step_buf_start(pd_step_buf *b, uint32_t n_rows, uint32_t n_outs, pd_page_table table,
                       const atomic_int *cancel);

#endif
