/* See step_buf.h.  SPDX-License-Identifier: MIT */
#include "engine/step_buf.h"

#include "base/memory.h"

pd_status pd_step_buf_create(pd_step_buf *b, uint32_t max_rows, pd_error *err) {
    *b = (pd_step_buf){.rows = pd_alloc(max_rows, sizeof *b->rows),
                       .out_rows = pd_alloc(max_rows, sizeof *b->out_rows),
                       .max_rows = max_rows};
    if (b->rows && b->out_rows) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for steps of %u rows", max_rows);
}

void pd_step_buf_destroy(pd_step_buf *b) {
    pd_free(b->rows);
    pd_free(b->out_rows);
    *b = (pd_step_buf){0};
}

void pd_step_buf_start(pd_step_buf *b, uint32_t n_rows, uint32_t n_outs, pd_page_table table,
                       const atomic_int *cancel) {
    b->table = table;
    b->step = (pd_step){.n_rows = n_rows,
                        .n_outs = n_outs,
                        .n_seqs = 1,
                        .rows = b->rows,
                        .out_rows = b->out_rows,
                        .tables = &b->table,
                        .cancel = cancel};
    for (uint32_t i = 0; i < n_outs; i++) b->out_rows[i] = n_rows - n_outs + i;
}
