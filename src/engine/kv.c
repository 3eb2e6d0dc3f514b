/* Page tables: growing, cutting, sharing. Pools: kv_pool.c. Places to come back to: kv_marks.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/memory.h"
#include "engine/kv_parts.h"

/* ---- life ----------------------------------------------------------------------------------- */

pd_status pd_kv_create(const pd_kv_desc *desc, pd_kv **out, pd_error *err) {
    *out = pd_alloc(1, sizeof **out);
    if (!*out) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV page tables");
    (*out)->desc = *desc;
    (*out)->max_pages = pd_div_up(desc->max_positions, PD_PAGE_POSITIONS);
    return PD_OK;
}

void pd_kv_destroy(pd_kv *kv) {
    if (!kv) return;
    for (uint32_t i = 0; i < kv->n_seqs; i++) pd_kv_leave(kv, i);
    pd_free(kv->seqs);
    pd_kv_pool_destroy(&kv->global);
    pd_kv_pool_destroy(&kv->local);
    pd_free(kv);
}

static bool seq_init(pd_kv_seq *s, uint32_t max_pages) {
    *s = (pd_kv_seq){.joined = true};
    s->global_pages = pd_alloc(max_pages, sizeof *s->global_pages);
    s->local_pages = pd_alloc(max_pages, sizeof *s->local_pages);
    if (!s->global_pages || !s->local_pages) return false;
    for (uint32_t i = 0; i < max_pages; i++) s->global_pages[i] = s->local_pages[i] = PD_NO_PAGE;
    return true;
}

static bool add_place(pd_kv *kv) {
    pd_kv_seq *more = pd_alloc(kv->n_seqs + 1, sizeof *more);
    if (!more) return false;
    if (kv->n_seqs) memcpy(more, kv->seqs, kv->n_seqs * sizeof *more);
    pd_free(kv->seqs);
    kv->seqs = more;
    kv->n_seqs++;
    return true;
}

pd_status pd_kv_join(pd_kv *kv, uint32_t *seq, pd_error *err) {
    uint32_t id = 0;
    while (id < kv->n_seqs && kv->seqs[id].joined) id++;
    if ((id < kv->n_seqs || add_place(kv)) && seq_init(&kv->seqs[id], kv->max_pages)) {
        *seq = id;
        return PD_OK;
    }
    if (id < kv->n_seqs) pd_kv_leave(kv, id);
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV page tables");
}

void pd_kv_leave(pd_kv *kv, uint32_t seq) {
    pd_kv_seq *s = &kv->seqs[seq];
    if (s->global_pages && s->local_pages) pd_kv_truncate(kv, seq, 0);
    pd_free(s->global_pages);
    pd_free(s->local_pages);
    pd_free(s->marks);
    pd_free(s->mark_pages);
    *s = (pd_kv_seq){0};
}

uint32_t pd_kv_length(const pd_kv *kv, uint32_t seq) {
    return kv->seqs[seq].length;
}

pd_page_table pd_kv_table(const pd_kv *kv, uint32_t seq) {
    const pd_kv_seq *s = &kv->seqs[seq];
    return (pd_page_table){s->global_pages, s->local_pages, s->n_reserved_pages};
}

/* ---- page counts ---------------------------------------------------------------------------- */

static uint32_t min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Local pages that one sequence can hold at once, from the window of its last row to the end of the
 * next chunk: n positions in a row lie in at most div_up(n - 1, 64) + 1 pages. */
static uint32_t local_pages_per_seq(const pd_kv_desc *d) {
    uint32_t n = pd_div_up(d->window + d->max_chunk - 1, PD_PAGE_POSITIONS) + 1;
    return d->window ? min_u32(n, pd_div_up(d->max_positions, PD_PAGE_POSITIONS)) : 0;
}

uint64_t pd_kv_f16_bytes(const pd_config *c, uint32_t n_ctx, uint32_t n_chunk) {
    pd_kv_desc d = {.max_positions = n_ctx, .window = c->window, .max_chunk = n_chunk};
    uint64_t n_pages = 0, n_values = UINT64_C(2) * PD_PAGE_POSITIONS * c->n_kv_heads * c->head_dim;
    for (uint32_t i = 0; i < c->n_layers; i++)
        n_pages +=
            c->layer_is_global[i] ? pd_div_up(n_ctx, PD_PAGE_POSITIONS) : local_pages_per_seq(&d);
    return n_pages * n_values * 2;
}

static uint32_t limited(uint64_t n, uint32_t most) {
    uint64_t limit = most ? most : UINT32_MAX;
    return (uint32_t)(n < limit ? n : limit);
}

pd_kv_pages pd_kv_most_pages(const pd_kv *kv, uint32_t n_seqs) {
    const pd_kv_desc *d = &kv->desc;
    uint64_t global = (uint64_t)n_seqs * kv->max_pages;
    uint64_t local =
        (uint64_t)n_seqs * local_pages_per_seq(d) + pd_div_up(d->mark_positions, PD_PAGE_POSITIONS);
    if (local > global) local = global; /* a page for every position: marks need no others */
    return (pd_kv_pages){limited(global, d->n_global_pages),
                         d->window ? limited(local, d->n_local_pages) : 0};
}

pd_kv_pages pd_kv_page_counts(const pd_kv *kv) {
    return (pd_kv_pages){kv->global.n_pages, kv->local.n_pages};
}

pd_kv_pages pd_kv_free_pages(const pd_kv *kv) {
    return (pd_kv_pages){kv->global.n_free, kv->local.n_free};
}

pd_status pd_kv_extend(pd_kv *kv, pd_kv_pages counts, pd_error *err) {
    if (pd_kv_pool_extend(&kv->global, counts.n_global) &&
        pd_kv_pool_extend(&kv->local, counts.n_local))
        return PD_OK;
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV page tables");
}

/* ---- growing -------------------------------------------------------------------------------- */

/* The last position can be computed again: its outputs may be asked for when they are gone. */
static void drop_behind_window(pd_kv *kv, pd_kv_seq *s) {
    if (s->length == 0) return;
    uint32_t keep = pd_window_first(s->length - 1, kv->desc.window) / PD_PAGE_POSITIONS;
    for (; s->first_local_page < keep; s->first_local_page++)
        pd_kv_pool_drop(&kv->local, &s->local_pages[s->first_local_page]);
}

static void drop_pages_from(pd_kv *kv, pd_kv_seq *s, uint32_t first_page) {
    for (uint32_t i = first_page; i < s->n_reserved_pages; i++) {
        pd_kv_pool_drop(&kv->global, &s->global_pages[i]);
        pd_kv_pool_drop(&kv->local, &s->local_pages[i]);
    }
    s->n_reserved_pages = min_u32(s->n_reserved_pages, first_page);
    s->first_local_page = min_u32(s->first_local_page, first_page);
}

/* Whether another sequence, or a mark of one, holds the page. */
static bool is_shared(const pd_kv *kv, const pd_kv_seq *s, uint32_t page, bool global) {
    uint32_t id = global ? s->global_pages[page] : s->local_pages[page];
    if (id == PD_NO_PAGE) return false;
    if (global) return kv->global.refs[id] > 1;
    return kv->local.refs[id] > 1 && kv->local.refs[id] > 1 + pd_kv_marks_with(s, id);
}

/* Pages that reserving takes. */
static pd_kv_pages missing_pages(const pd_kv *kv, const pd_kv_seq *s, uint32_t n) {
    uint32_t want = pd_div_up(s->length + n, PD_PAGE_POSITIONS),
             page = s->length / PD_PAGE_POSITIONS;
    uint32_t more = want > s->n_reserved_pages ? want - s->n_reserved_pages : 0;
    pd_kv_pages p = {more, kv->desc.window ? more : 0};
    if (n == 0 || s->length % PD_PAGE_POSITIONS == 0) return p;
    p.n_global += is_shared(kv, s, page, true);
    p.n_local += is_shared(kv, s, page, false);
    return p;
}

static bool has_room(const pd_kv *kv, pd_kv_pages missing) {
    return missing.n_global <= kv->global.n_free && missing.n_local <= kv->local.n_free;
}

/* Half as many again, so that a long text grows its pool a few times only. */
static uint32_t grown(const pd_kv_pool *pool, uint32_t missing, uint32_t most, bool modest) {
    if (missing <= pool->n_free) return pool->n_pages;
    uint64_t least = (uint64_t)pool->n_pages + missing - pool->n_free;
    uint64_t n = (uint64_t)pool->n_pages + (modest ? 0 : pool->n_pages / 2);
    if (n < least) n = least;
    n = min_u32((uint32_t)(n < UINT32_MAX ? n : UINT32_MAX), most);
    return n > pool->n_pages ? (uint32_t)n : pool->n_pages;
}

static uint32_t count_joined(const pd_kv *kv) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < kv->n_seqs; i++) n += kv->seqs[i].joined;
    return n;
}

pd_kv_pages pd_kv_wanted_pages(const pd_kv *kv, uint32_t seq, uint32_t n, bool modest) {
    pd_kv_pages most = pd_kv_most_pages(kv, count_joined(kv));
    pd_kv_pages missing = missing_pages(kv, &kv->seqs[seq], n);
    return (pd_kv_pages){grown(&kv->global, missing.n_global, most.n_global, modest),
                         grown(&kv->local, missing.n_local, most.n_local, modest)};
}

/* The page that the next position lies in becomes the sequence's own. */
static void own_page(pd_kv *kv, pd_kv_seq *s, uint32_t page, bool global, pd_kv_copies *copies) {
    if (!is_shared(kv, s, page, global)) return;
    pd_kv_pool *pool = global ? &kv->global : &kv->local;
    uint32_t *entry = global ? &s->global_pages[page] : &s->local_pages[page];
    uint32_t from = *entry;
    pd_kv_pool_drop(pool, entry);
    *entry = pd_kv_pool_take(pool);
    copies->list[copies->n].global = global;
    copies->list[copies->n].from = from;
    copies->list[copies->n++].to = *entry;
}

pd_status pd_kv_reserve(pd_kv *kv, uint32_t seq, uint32_t n, pd_kv_copies *copies, pd_error *err) {
    pd_kv_seq *s = &kv->seqs[seq];
    copies->n = 0;
    if (n > kv->desc.max_positions - s->length)
        return PD_RAISE(err, PD_ERR_CONTEXT, "%u more positions after %u exceed the context of %u",
                        n, s->length, kv->desc.max_positions);
    drop_behind_window(kv, s);
    pd_kv_pages missing = missing_pages(kv, s, n);
    while (!has_room(kv, missing) && missing.n_local > kv->local.n_free && pd_kv_give_up_mark(kv))
        missing = missing_pages(kv, s, n); /* the mark may have been what shared the page */
    if (!has_room(kv, missing))
        return PD_RAISE(err, PD_ERR_MEMORY_DEVICE,
                        "%u global and %u local KV pages are needed, but only %u and %u are free",
                        missing.n_global, missing.n_local, kv->global.n_free, kv->local.n_free);
    if (n > 0 && s->length % PD_PAGE_POSITIONS) {
        own_page(kv, s, s->length / PD_PAGE_POSITIONS, true, copies);
        own_page(kv, s, s->length / PD_PAGE_POSITIONS, false, copies);
    }
    uint32_t want = pd_div_up(s->length + n, PD_PAGE_POSITIONS);
    for (; s->n_reserved_pages < want; s->n_reserved_pages++) {
        s->global_pages[s->n_reserved_pages] = pd_kv_pool_take(&kv->global);
        if (kv->desc.window) s->local_pages[s->n_reserved_pages] = pd_kv_pool_take(&kv->local);
    }
    return PD_OK;
}

void pd_kv_undo_copies(pd_kv *kv, uint32_t seq, const pd_kv_copies *copies) {
    pd_kv_seq *s = &kv->seqs[seq];
    uint32_t page = s->length / PD_PAGE_POSITIONS;
    for (uint32_t i = 0; i < copies->n; i++) {
        bool global = copies->list[i].global;
        pd_kv_pool *pool = global ? &kv->global : &kv->local;
        uint32_t *entry = global ? &s->global_pages[page] : &s->local_pages[page];
        pd_kv_pool_drop(pool, entry);
        *entry = copies->list[i].from;
        pd_kv_pool_hold(pool, *entry);
    }
}

void pd_kv_commit(pd_kv *kv, uint32_t seq, uint32_t n) {
    kv->seqs[seq].length += n;
}

void pd_kv_drop_reserved(pd_kv *kv, uint32_t seq) {
    pd_kv_seq *s = &kv->seqs[seq];
    drop_pages_from(kv, s, pd_div_up(s->length, PD_PAGE_POSITIONS));
}

uint32_t pd_kv_first_repeatable(const pd_kv *kv, uint32_t seq) {
    uint32_t first_local = kv->seqs[seq].first_local_page * PD_PAGE_POSITIONS;
    return first_local ? first_local + kv->desc.window - 1 : 0;
}

bool pd_kv_can_repeat(const pd_kv *kv, uint32_t seq, uint32_t pos) {
    const pd_kv_seq *s = &kv->seqs[seq];
    uint32_t page = pos / PD_PAGE_POSITIONS;
    return pos < s->length && pos >= pd_kv_first_repeatable(kv, seq) &&
           !is_shared(kv, s, page, true) && !is_shared(kv, s, page, false);
}

/* ---- cutting and sharing -------------------------------------------------------------------- */

bool pd_kv_sees_window(const pd_kv *kv, const pd_kv_seq *s, uint32_t n) {
    return pd_window_first(n, kv->desc.window) >= s->first_local_page * PD_PAGE_POSITIONS;
}

uint32_t pd_kv_reachable(const pd_kv *kv, uint32_t seq, uint32_t n) {
    const pd_kv_seq *s = &kv->seqs[seq];
    n = min_u32(n, s->length);
    if (pd_kv_sees_window(kv, s, n)) return n;
    const pd_kv_mark_pages *mark = pd_kv_find_mark(s, n);
    return mark ? mark->n : 0;
}

uint32_t pd_kv_truncate(pd_kv *kv, uint32_t seq, uint32_t n) {
    pd_kv_seq *s = &kv->seqs[seq];
    n = min_u32(n, s->length);
    if (!pd_kv_sees_window(kv, s, n)) {
        const pd_kv_mark_pages *mark = pd_kv_find_mark(s, n);
        n = mark ? mark->n : 0;
        if (mark) pd_kv_go_to_mark(kv, s, mark);
    }
    s->length = n;
    pd_kv_drop_marks(kv, s, n);
    drop_pages_from(kv, s, pd_div_up(n, PD_PAGE_POSITIONS));
    return n;
}

uint32_t pd_kv_share(pd_kv *kv, uint32_t from, uint32_t n, uint32_t to) {
    const pd_kv_seq *a = &kv->seqs[from];
    pd_kv_seq *b = &kv->seqs[to];
    if (b->length != 0 || from == to) return 0;
    drop_pages_from(kv, b, 0);
    n = pd_kv_reachable(kv, from, n);
    uint32_t n_pages = pd_div_up(n, PD_PAGE_POSITIONS);
    const pd_kv_mark_pages *mark = pd_kv_sees_window(kv, a, n) ? NULL : pd_kv_find_mark(a, n);
    for (uint32_t i = 0; i < n_pages; i++) {
        b->global_pages[i] = a->global_pages[i];
        pd_kv_pool_hold(&kv->global, b->global_pages[i]);
        b->local_pages[i] = mark ? PD_NO_PAGE : a->local_pages[i];
        if (b->local_pages[i] != PD_NO_PAGE) pd_kv_pool_hold(&kv->local, b->local_pages[i]);
    }
    for (uint32_t i = 0; mark && i < mark->n_pages; i++) {
        b->local_pages[mark->first_page + i] = mark->pages[i];
        pd_kv_pool_hold(&kv->local, mark->pages[i]);
    }
    b->n_reserved_pages = n_pages;
    b->first_local_page = min_u32(mark ? mark->first_page : a->first_local_page, n_pages);
    b->length = n;
    pd_kv_copy_marks(kv, a, b);
    return n;
}
