/* What one run of a plan works on: rows, outputs and page tables. Made by a session, read by a
 * backend. Every row names its sequence and position; a batch of several sequences is the general
 * case, one conversation the special one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_PLAN_STEP_H
#define PD_PLAN_STEP_H

#include <stdatomic.h>
#include <stdint.h>

#include "args.h"
#include "plan/sample.h"

/* Positions of one layer in a KV page, and the token of a row whose embedding the host gives: the
 * shaders' own numbers. */
enum { PD_PAGE_POSITIONS = PD_SHADER_PAGE };
#define PD_TOKEN_EMBEDDED PD_SHADER_TOKEN_EMBEDDED
#define PD_NO_PAGE        UINT32_C(0xffffffff) /* in a table: never needed again, or not yet */

/* As the shaders see it, four words. Rows of a sequence are consecutive in a step and their
 * positions ascend by one. */
typedef struct pd_step_row {
    uint32_t token;
    uint32_t pos; /* 0 at <bos> */
    uint32_t seq; /* index into pd_step.tables */
    uint32_t end; /* one past the last position it may see: pos + 1, or the end of its image */
} pd_step_row;

/* Page of position p is table[p / 64]; its slot there is p % 64. */
typedef struct pd_page_table {
    const uint32_t *global_pages, *local_pages; /* [n_pages] */
    uint32_t n_pages;
} pd_page_table;

/* The first position that a row at `pos` sees; window: keys that it sees, itself included, 0: all.
 * attention.comp has the same formula. */
static inline uint32_t pd_window_first(uint32_t pos, uint32_t window) {
    return window && pos + 1 > window ? pos + 1 - window : 0;
}

typedef struct pd_step {
    uint32_t n_rows, n_outs, n_seqs;
    const pd_step_row *rows;          /* [n_rows] */
    const uint32_t *out_rows;         /* [n_outs], indices of the rows whose logits are wanted */
    const pd_page_table *tables;      /* [n_seqs] */
    const pd_sample_params *sampling; /* [n_outs] how sample operations choose; NULL: the highest */
    const atomic_int *cancel; /* not 0: give up between operations, ERR_CANCELLED; may be NULL */
    /* Called between operations, or groups of them, when nothing of the step is under way: other
     * programs may run in it. NULL: nobody is. */
    void (*between)(void *ctx);
    void *between_ctx;
} pd_step;

#endif
