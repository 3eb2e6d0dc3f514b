/* See step_buf.h.  SPDX-License-Identifier: MIT */
#include "engine/step_buf.h"

#include "base/memory.h"

pd_status pd_step_buf_create(pd_step_buf *b, uint32_t max_rows, uint32_t max_seqs, pd_error *err) {
    *b = (pd_step_buf){.rows = pd_alloc(max_rows, sizeof *b->rows),
                       .out_rows = pd_alloc(max_rows, sizeof *b->out_rows),
                       .sampling = pd_alloc(max_rows, sizeof *b->sampling),
                       .tables = pd_alloc(max_seqs, sizeof *b->tables)};
    if (b->rows && b->out_rows && b->sampling && b->tables) return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for steps of %u rows", max_rows);
}

void pd_step_buf_destroy(pd_step_buf *b) {
    pd_free(b->rows);
    pd_free(b->out_rows);
    pd_free(b->sampling);
    pd_free(b->tables);
    *b = (pd_step_buf){0};
}

void pd_step_buf_start(pd_step_buf *b, const atomic_int *cancel) {
    b->step =
        (pd_step){.rows = b->rows, .out_rows = b->out_rows, .tables = b->tables, .cancel = cancel};
}

uint32_t pd_step_buf_add(pd_step_buf *b, pd_page_table table, uint32_t n_rows, uint32_t n_outs,
                         const pd_sample_params *sampling) {
    static const pd_sample_params highest = {.k = 1};
    pd_step *s = &b->step;
    uint32_t first = s->n_rows;
    b->tables[s->n_seqs++] = table;
    s->n_rows += n_rows;
    for (uint32_t i = 0; i < n_outs; i++, s->n_outs++) {
        b->out_rows[s->n_outs] = s->n_rows - n_outs + i;
        b->sampling[s->n_outs] = sampling ? sampling[i] : highest;
    }
    if (sampling) s->sampling = b->sampling;
    return first;
}

void pd_step_buf_forget_masks(pd_step_buf *b) {
    for (uint32_t i = 0; i < b->step.n_outs; i++) b->sampling[i].mask = NULL;
}
