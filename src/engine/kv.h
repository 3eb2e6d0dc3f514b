/* KV pages: who holds which. Knows nothing of devices; the pages' memory is a backend's
 * pd_kv_store.
 *
 * K and V of 64 positions of a layer lie in one page. Global and local layers draw from two pools;
 * a page id stands for the same slot in every layer of its kind. A sequence has one table per kind.
 * Pages are counted by who holds them, so that sequences share what they have in common.
 *
 * Local pages that fall wholly behind the window are given back as the sequence grows. A mark holds
 * on to those that its position needs: the sequence can be cut back to there, bit for bit, until
 * the pool runs out of pages and the mark that was used longest ago is given up. Global pages need
 * no marks: they stay as long as their positions do.
 *
 * A page that another sequence holds as well is not written: growing into its middle takes a new
 * page, to which the backend copies it first (pd_kv_copies). A mark of the sequence's own is no
 * obstacle: what it needs lies before the positions that are written.
 *
 *   join, leave   a sequence begins, empty, and ends
 *   reserve       pages for the next n positions, O(n / 64)
 *   commit        the positions now hold K and V
 *   mark          a place to come back to
 *   truncate      forget the end
 *   share         start a sequence from another's pages
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_ENGINE_KV_H
#define PD_ENGINE_KV_H

#include "base/error.h"
#include "model/config.h"
#include "plan/step.h"

typedef struct pd_kv pd_kv;

typedef struct pd_kv_desc {
    uint32_t max_positions;  /* of one sequence */
    uint32_t window;         /* of local layers; 0: there are none */
    uint32_t max_chunk;      /* most positions reserved at once */
    uint32_t mark_positions; /* whose local pages marks may hold beyond the sequences' own */
    /* Most pages of either kind; 0: enough for every sequence at full length, and for marks. */
    uint32_t n_global_pages, n_local_pages;
} pd_kv_desc;

/* What the pages of one sequence at full length hold, as halves. */
uint64_t pd_kv_f16_bytes(const pd_config *c, uint32_t n_ctx, uint32_t n_chunk);

pd_status pd_kv_create(const pd_kv_desc *desc, pd_kv **out, pd_error *err);
void pd_kv_destroy(pd_kv *kv);

/* ---- pages ---------------------------------------------------------------------------------- */

typedef struct pd_kv_pages {
    uint32_t n_global, n_local;
} pd_kv_pages;

pd_kv_pages pd_kv_page_counts(const pd_kv *kv); /* there are none at first */
pd_kv_pages pd_kv_free_pages(const pd_kv *kv);
/* As many as n_seqs sequences can come to need. */
pd_kv_pages pd_kv_most_pages(const pd_kv *kv, uint32_t n_seqs);
/* Page counts with which the next n positions of the sequence find room, and half as many again
 * unless it is to be modest; the present ones where they do, or where there may be no more pages.
 */
pd_kv_pages pd_kv_wanted_pages(const pd_kv *kv, uint32_t seq, uint32_t n, bool modest);
/* The backend's store has been extended to these counts. Errors: MEMORY_HOST. */
pd_status pd_kv_extend(pd_kv *kv, pd_kv_pages counts, pd_error *err);

/* ---- sequences ------------------------------------------------------------------------------ */

pd_status pd_kv_join(pd_kv *kv, uint32_t *seq, pd_error *err); /* Errors: MEMORY_HOST */
void pd_kv_leave(pd_kv *kv, uint32_t seq);

uint32_t pd_kv_length(const pd_kv *kv, uint32_t seq); /* committed positions */

/* Pages whose content goes into others before these are written. */
typedef struct pd_kv_copies {
    struct {
        bool global;
        uint32_t from, to;
    } list[2];
    uint32_t n;
} pd_kv_copies;

/* Gives up marks when it has to. Errors: CONTEXT (beyond max_positions), MEMORY_DEVICE (no free
 * page). The sequence is as it was then. */
pd_status pd_kv_reserve(pd_kv *kv, uint32_t seq, uint32_t n, pd_kv_copies *copies, pd_error *err);
/* The copies could not be made: the pages are shared as before. Right behind reserve. */
void pd_kv_undo_copies(pd_kv *kv, uint32_t seq, const pd_kv_copies *copies);
void pd_kv_commit(pd_kv *kv, uint32_t seq, uint32_t n);
void pd_kv_drop_reserved(pd_kv *kv, uint32_t seq); /* pages beyond what is committed */

/* ---- going back ----------------------------------------------------------------------------- */

/* A mark at position n, if all that it needs is still there (always so for the positions of the
 * last step and its end). Marks are a convenience: where host memory lacks there is none. */
void pd_kv_mark(pd_kv *kv, uint32_t seq, uint32_t n);
/* The position of the last mark up to n; 0: there is none. */
uint32_t pd_kv_mark_before(const pd_kv *kv, uint32_t seq, uint32_t n);

/* What truncate would return. */
uint32_t pd_kv_reachable(const pd_kv *kv, uint32_t seq, uint32_t n);
/* Cuts to the longest reusable length <= n and returns it: n itself, or when local pages that the
 * positions behind n would need are gone, the last mark before it, or 0. Uncommitted reservations
 * are dropped as well, and marks beyond that length. */
uint32_t pd_kv_truncate(pd_kv *kv, uint32_t seq, uint32_t n);
/* Makes the empty sequence `to` begin with the first n positions of `from`, and with its marks
 * there; returns the shared length, which is less when truncate's would be. */
uint32_t pd_kv_share(pd_kv *kv, uint32_t from, uint32_t n, uint32_t to);

/* From this position on every row's window is still there; the last one's always is, unless the
 * sequence was cut or begun with shared pages and has not grown since. */
uint32_t pd_kv_first_repeatable(const pd_kv *kv, uint32_t seq);
/* Whether a committed position could be computed again, which writes its K and V. */
bool pd_kv_can_repeat(const pd_kv *kv, uint32_t seq, uint32_t pos);

pd_page_table pd_kv_table(const pd_kv *kv, uint32_t seq); /* valid until the next call on kv */

/* ---- outside of the pools ------------------------------------------------------------------- */

/* A sequence's pages without their ids: global page i is table entry i, local pages have numbers of
 * their own, since several marks and the table may hold the same one. kv_state.c */
typedef struct pd_kv_state {
    uint32_t length, n_global, n_local;
    uint32_t n_words;
    uint32_t *words; /* lists of local pages: { position, first table entry, n, numbers [n] }, the
                        table's own first, then each mark's, ascending */
    uint32_t *global_ids, *local_ids; /* [n_global], [n_local] where the pages are now */
} pd_kv_state;

/* Errors: MEMORY_HOST. out is to be freed in any case. */
pd_status pd_kv_get_state(const pd_kv *kv, uint32_t seq, pd_kv_state *out, pd_error *err);
/* Slots of a page, by its number, that positions have filled. */
uint32_t pd_kv_state_filled(const pd_kv_state *s, bool global, uint32_t number);
void pd_kv_state_free(pd_kv_state *s);
/* Makes an empty sequence of it, in pages that are free; fills in their ids, which are to be
 * written then. Errors: FORMAT (no state of such a sequence), MEMORY_DEVICE (not so many pages are
 * free); the sequence is empty then. */
pd_status pd_kv_set_state(pd_kv *kv, uint32_t seq, pd_kv_state *state, pd_error *err);
/* Page counts with which it finds room. */
pd_kv_pages pd_kv_pages_for_state(const pd_kv *kv, const pd_kv_state *state);

#endif
