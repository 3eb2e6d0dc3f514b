/* KV pages: who owns which. Knows nothing of devices; the pages' memory is a backend's pd_kv_store.
 *
 * K and V of 64 positions of a layer lie in one page. Global and local layers draw from two pools;
 * a page id stands for the same slot in every layer of its kind. A sequence owns one table per
 * kind. Pages are reference-counted, so that sequences can share a prefix. Local pages that fall
 * wholly behind the window are given back as the sequence grows; a sequence therefore can be cut
 * back only as far as its local pages still reach (pd_kv_truncate tells). A page that is shared is
 * never written again: whatever would is refused, or cut back to the page's beginning.
 *
 *   reserve    pages for the next n positions, O(n / 64)
 *   commit     the positions now hold K and V
 *   truncate   forget the end
 *   share      start a sequence from another's pages
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
    uint32_t n_seqs;
    uint32_t max_positions;                 /* of one sequence */
    uint32_t window;                        /* of local layers; 0: there are none */
    uint32_t max_chunk;                     /* most positions reserved at once */
    uint32_t n_global_pages, n_local_pages; /* 0: enough for every sequence at full length */
} pd_kv_desc;

/* What the pages of one sequence at full length hold, as halves. */
uint64_t pd_kv_f16_bytes(const pd_config *c, uint32_t n_ctx, uint32_t n_chunk);

pd_status pd_kv_create(const pd_kv_desc *desc, pd_kv **out, pd_error *err);
void pd_kv_destroy(pd_kv *kv);

uint32_t pd_kv_global_page_count(const pd_kv *kv); /* pool sizes, for the backend's store */
uint32_t pd_kv_local_page_count(const pd_kv *kv);
uint32_t pd_kv_free_pages(const pd_kv *kv, bool local);

uint32_t pd_kv_length(const pd_kv *kv, uint32_t seq); /* committed positions */
/* Errors: CONTEXT (beyond max_positions), MEMORY_DEVICE (no free page). Nothing changes then. */
pd_status pd_kv_reserve(pd_kv *kv, uint32_t seq, uint32_t n, pd_error *err);
void pd_kv_commit(pd_kv *kv, uint32_t seq, uint32_t n);
void pd_kv_drop_reserved(pd_kv *kv, uint32_t seq); /* pages beyond what is committed */
/* Cuts to the longest reusable length <= n and returns it: n itself, or 0 when local pages that the
 * positions behind n would need are gone. Uncommitted reservations are dropped as well. */
uint32_t pd_kv_truncate(pd_kv *kv, uint32_t seq, uint32_t n);
/* Makes the empty sequence `to` begin with the whole pages of the first n positions of `from`;
 * returns the shared length, a multiple of 64 (0: nothing could be shared). */
uint32_t pd_kv_share(pd_kv *kv, uint32_t from, uint32_t n, uint32_t to);

/* From this position on every row's window is still there; the last one's always is, unless the
 * sequence was cut or begun with shared pages and has not grown since. */
uint32_t pd_kv_first_repeatable(const pd_kv *kv, uint32_t seq);
/* Whether a committed position could be computed again, which writes its K and V. */
bool pd_kv_can_repeat(const pd_kv *kv, uint32_t seq, uint32_t pos);

pd_page_table pd_kv_table(const pd_kv *kv, uint32_t seq); /* valid until the next call on kv */

#endif
