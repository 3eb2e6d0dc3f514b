/* The inside of pd_kv, for kv.c and kv_marks.c.  SPDX-License-Identifier: MIT */
#ifndef PD_ENGINE_KV_PARTS_H
#define PD_ENGINE_KV_PARTS_H

#include "engine/kv.h"
#include "engine/kv_pool.h"

/* Local pages that the row at position n sees, and those up to it. */
typedef struct pd_kv_mark_pages {
    uint32_t n;
    uint32_t first_page, n_pages; /* table entries [first_page, first_page + n_pages) */
    uint32_t *pages; /* [pd_kv_mark_room], a part of one block that marks[0 ...] share */
    uint64_t used;   /* pd_kv.clock when it was made, or gone back to */
} pd_kv_mark_pages;

enum { PD_KV_MAX_MARKS = 256 }; /* of a sequence */

typedef struct pd_kv_seq {
    bool joined;
    uint32_t *global_pages,
        *local_pages;          /* [max_pages]; local ones behind the window: PD_NO_PAGE */
    uint32_t n_reserved_pages; /* entries that reserve has filled */
    uint32_t length;           /* committed positions */
    uint32_t first_local_page; /* lowest table entry whose local page is held */
    pd_kv_mark_pages *marks; /* [n_marks] of PD_KV_MAX_MARKS, ascending by n; made with the first */
    uint32_t *mark_pages;    /* the block, so that marks are made without allocating */
    uint32_t n_marks;
} pd_kv_seq;

struct pd_kv {
    pd_kv_desc desc;
    uint32_t max_pages; /* of one sequence */
    pd_kv_pool global, local;
    pd_kv_seq *seqs; /* [n_seqs] */
    uint32_t n_seqs;
    uint64_t clock;
};

/* Whether the row at position n finds its whole window in the sequence's own table. */
bool pd_kv_sees_window(const pd_kv *kv, const pd_kv_seq *s, uint32_t n);

/* ---- kv_marks.c ----------------------------------------------------------------------------- */

const pd_kv_mark_pages *pd_kv_find_mark(const pd_kv_seq *s, uint32_t n); /* the last one <= n */
uint32_t pd_kv_marks_with(const pd_kv_seq *s, uint32_t local_page);      /* that hold the page */
uint32_t pd_kv_mark_room(const pd_kv *kv);                               /* most pages of a mark */
/* The mark's pages become those of the sequence's table. */
void pd_kv_go_to_mark(pd_kv *kv, pd_kv_seq *s, const pd_kv_mark_pages *mark);
void pd_kv_drop_marks(pd_kv *kv, pd_kv_seq *s, uint32_t n);             /* those beyond n */
void pd_kv_copy_marks(pd_kv *kv, const pd_kv_seq *from, pd_kv_seq *to); /* up to to->length */
/* Gives up the mark of any sequence that was used longest ago; false: there is none. */
bool pd_kv_give_up_mark(pd_kv *kv);
/* Holds the pages, at most pd_kv_mark_room, for a mark at n, before those beyond it. */
void pd_kv_add_mark(pd_kv *kv, pd_kv_seq *s, uint32_t n, uint32_t first_page, const uint32_t *pages,
                    uint32_t n_pages);

#endif
