/* Page pools, reference counts and page tables.
 *
 * A pool hands out page ids from a stack of free ones. A sequence's table has an entry per 64
 * positions for each kind of layer; entries of local pages that fell behind the window are
 * PD_NO_PAGE again. first_local is the lowest position whose local K and V the sequence still owns.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/kv.h"

#include "base/memory.h"

typedef struct page_pool {
    uint32_t *refs;       /* [n_pages] */
    uint32_t *free_stack; /* [n_free] ids */
    uint32_t n_pages, n_free;
} page_pool;

typedef struct kv_seq {
    uint32_t *global_pages, *local_pages; /* [max_pages] */
    uint32_t n_reserved_pages;            /* entries that reserve has filled */
    uint32_t length;                      /* committed positions */
    uint32_t first_local_page;            /* lowest table entry whose local page is owned */
} kv_seq;

struct pd_kv {
    pd_kv_desc desc;
    uint32_t max_pages; /* of one sequence */
    page_pool global, local;
    kv_seq *seqs;
};

/* ---- pools ---------------------------------------------------------------------------------- */

static bool pool_init(page_pool *pool, uint32_t n_pages) {
    pool->n_pages = pool->n_free = n_pages;
    pool->refs = pd_alloc(n_pages ? n_pages : 1, sizeof *pool->refs);
    pool->free_stack = pd_alloc(n_pages ? n_pages : 1, sizeof *pool->free_stack);
    if (!pool->refs || !pool->free_stack) return false;
    for (uint32_t i = 0; i < n_pages; i++) pool->free_stack[i] = n_pages - 1 - i;
    return true;
}

static void pool_free(page_pool *pool) {
    pd_free(pool->refs);
    pd_free(pool->free_stack);
}

static uint32_t page_take(page_pool *pool) {
    uint32_t id = pool->free_stack[--pool->n_free];
    pool->refs[id] = 1;
    return id;
}

static void page_drop(page_pool *pool, uint32_t *entry) {
    if (*entry == PD_NO_PAGE) return;
    if (--pool->refs[*entry] == 0) pool->free_stack[pool->n_free++] = *entry;
    *entry = PD_NO_PAGE;
}

/* ---- life ----------------------------------------------------------------------------------- */

/* Local pages that one sequence can own at once, from the window of its last row to the end of the
 * next chunk: n positions in a row lie in at most div_up(n - 1, 64) + 1 pages. */
static uint32_t local_pages_per_seq(const pd_kv_desc *d) {
    if (d->window == 0) return 0;
    uint32_t max_pages = pd_div_up(d->max_positions, PD_PAGE_POSITIONS);
    uint32_t n = pd_div_up(d->window + d->max_chunk - 1, PD_PAGE_POSITIONS) + 1;
    return n < max_pages ? n : max_pages;
}

uint64_t pd_kv_f16_bytes(const pd_config *c, uint32_t n_ctx, uint32_t n_chunk) {
    pd_kv_desc d = {.max_positions = n_ctx, .window = c->window, .max_chunk = n_chunk};
    uint64_t n_pages = 0, n_values = UINT64_C(2) * PD_PAGE_POSITIONS * c->n_kv_heads * c->head_dim;
    for (uint32_t i = 0; i < c->n_layers; i++)
        n_pages +=
            c->layer_is_global[i] ? pd_div_up(n_ctx, PD_PAGE_POSITIONS) : local_pages_per_seq(&d);
    return n_pages * n_values * 2;
}

static bool seq_init(kv_seq *s, uint32_t max_pages) {
    s->global_pages = pd_alloc(max_pages, sizeof *s->global_pages);
    s->local_pages = pd_alloc(max_pages, sizeof *s->local_pages);
    if (!s->global_pages || !s->local_pages) return false;
    for (uint32_t i = 0; i < max_pages; i++) s->global_pages[i] = s->local_pages[i] = PD_NO_PAGE;
    return true;
}

pd_status pd_kv_create(const pd_kv_desc *desc, pd_kv **out, pd_error *err) {
    *out = NULL;
    pd_kv *kv = pd_alloc(1, sizeof *kv);
    if (!kv) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV page tables");
    kv->desc = *desc;
    kv->max_pages = pd_div_up(desc->max_positions, PD_PAGE_POSITIONS);
    uint32_t n_global = desc->n_global_pages ? desc->n_global_pages : desc->n_seqs * kv->max_pages;
    uint32_t n_local =
        desc->n_local_pages ? desc->n_local_pages : desc->n_seqs * local_pages_per_seq(desc);
    bool ok = pool_init(&kv->global, n_global) && pool_init(&kv->local, n_local);
    kv->seqs = pd_alloc(desc->n_seqs, sizeof *kv->seqs);
    for (uint32_t i = 0; ok && kv->seqs && i < desc->n_seqs; i++)
        ok = seq_init(&kv->seqs[i], kv->max_pages);
    if (!ok || !kv->seqs) {
        pd_kv_destroy(kv);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV page tables");
    }
    *out = kv;
    return PD_OK;
}

void pd_kv_destroy(pd_kv *kv) {
    if (!kv) return;
    for (uint32_t i = 0; kv->seqs && i < kv->desc.n_seqs; i++) {
        pd_free(kv->seqs[i].global_pages);
        pd_free(kv->seqs[i].local_pages);
    }
    pd_free(kv->seqs);
    pool_free(&kv->global);
    pool_free(&kv->local);
    pd_free(kv);
}

uint32_t pd_kv_global_page_count(const pd_kv *kv) {
    return kv->global.n_pages;
}
uint32_t pd_kv_local_page_count(const pd_kv *kv) {
    return kv->local.n_pages;
}
uint32_t pd_kv_free_pages(const pd_kv *kv, bool local) {
    return local ? kv->local.n_free : kv->global.n_free;
}
uint32_t pd_kv_length(const pd_kv *kv, uint32_t seq) {
    return kv->seqs[seq].length;
}

pd_page_table pd_kv_table(const pd_kv *kv, uint32_t seq) {
    const kv_seq *s = &kv->seqs[seq];
    return (pd_page_table){s->global_pages, s->local_pages, s->n_reserved_pages};
}

/* ---- growing -------------------------------------------------------------------------------- */

/* The last position can be computed again: its outputs may be asked for when they are gone. */
static void drop_behind_window(pd_kv *kv, kv_seq *s) {
    if (s->length == 0) return;
    uint32_t keep = pd_window_first(s->length - 1, kv->desc.window) / PD_PAGE_POSITIONS;
    for (; s->first_local_page < keep; s->first_local_page++)
        page_drop(&kv->local, &s->local_pages[s->first_local_page]);
}

static void drop_pages_from(pd_kv *kv, kv_seq *s, uint32_t first_page) {
    for (uint32_t i = first_page; i < s->n_reserved_pages; i++) {
        page_drop(&kv->global, &s->global_pages[i]);
        page_drop(&kv->local, &s->local_pages[i]);
    }
    if (s->n_reserved_pages > first_page) s->n_reserved_pages = first_page;
    if (s->first_local_page > first_page) s->first_local_page = first_page;
}

pd_status pd_kv_reserve(pd_kv *kv, uint32_t seq, uint32_t n, pd_error *err) {
    kv_seq *s = &kv->seqs[seq];
    if (n > kv->desc.max_positions - s->length)
        return PD_RAISE(err, PD_ERR_CONTEXT, "%u more positions after %u exceed the context of %u",
                        n, s->length, kv->desc.max_positions);
    drop_behind_window(kv, s);
    uint32_t want = pd_div_up(s->length + n, PD_PAGE_POSITIONS);
    uint32_t missing = want > s->n_reserved_pages ? want - s->n_reserved_pages : 0;
    bool local = kv->desc.window != 0;
    if (missing > kv->global.n_free || (local && missing > kv->local.n_free))
        return PD_RAISE(err, PD_ERR_MEMORY_DEVICE,
                        "%u KV pages are needed, but only %u global and %u local ones are free",
                        missing, kv->global.n_free, kv->local.n_free);
    for (; s->n_reserved_pages < want; s->n_reserved_pages++) {
        s->global_pages[s->n_reserved_pages] = page_take(&kv->global);
        if (local) s->local_pages[s->n_reserved_pages] = page_take(&kv->local);
    }
    return PD_OK;
}

void pd_kv_commit(pd_kv *kv, uint32_t seq, uint32_t n) {
    kv->seqs[seq].length += n;
}

void pd_kv_drop_reserved(pd_kv *kv, uint32_t seq) {
    kv_seq *s = &kv->seqs[seq];
    drop_pages_from(kv, s, pd_div_up(s->length, PD_PAGE_POSITIONS));
}

uint32_t pd_kv_first_repeatable(const pd_kv *kv, uint32_t seq) {
    uint32_t first_local = kv->seqs[seq].first_local_page * PD_PAGE_POSITIONS;
    return first_local ? first_local + kv->desc.window - 1 : 0;
}

/* ---- cutting and sharing -------------------------------------------------------------------- */

static bool is_shared(const pd_kv *kv, const kv_seq *s, uint32_t page) {
    uint32_t local = s->local_pages[page];
    return kv->global.refs[s->global_pages[page]] > 1 ||
           (local != PD_NO_PAGE && kv->local.refs[local] > 1);
}

bool pd_kv_can_repeat(const pd_kv *kv, uint32_t seq, uint32_t pos) {
    return pos < pd_kv_length(kv, seq) && pos >= pd_kv_first_repeatable(kv, seq) &&
           !is_shared(kv, &kv->seqs[seq], pos / PD_PAGE_POSITIONS);
}

uint32_t pd_kv_truncate(pd_kv *kv, uint32_t seq, uint32_t n) {
    kv_seq *s = &kv->seqs[seq];
    if (n > s->length) n = s->length;
    /* rows to come would write into the page of position n: it must not be another's as well */
    uint32_t partial = n % PD_PAGE_POSITIONS;
    if (partial && is_shared(kv, s, n / PD_PAGE_POSITIONS)) n -= partial;
    /* and the next row, at position n, must find its whole window */
    bool window_gone =
        pd_window_first(n, kv->desc.window) < s->first_local_page * PD_PAGE_POSITIONS;
    if (window_gone) n = 0;
    s->length = n;
    drop_pages_from(kv, s, pd_div_up(n, PD_PAGE_POSITIONS));
    return n;
}

uint32_t pd_kv_share(pd_kv *kv, uint32_t from, uint32_t n, uint32_t to) {
    kv_seq *a = &kv->seqs[from], *b = &kv->seqs[to];
    if (n > a->length) n = a->length;
    uint32_t n_pages = n / PD_PAGE_POSITIONS;
    uint32_t shared = n_pages * PD_PAGE_POSITIONS;
    bool window_gone =
        pd_window_first(shared, kv->desc.window) < a->first_local_page * PD_PAGE_POSITIONS;
    if (b->length != 0 || from == to || window_gone) return 0;
    drop_pages_from(kv, b, 0);
    for (uint32_t i = 0; i < n_pages; i++) {
        b->global_pages[i] = a->global_pages[i];
        b->local_pages[i] = a->local_pages[i];
        kv->global.refs[a->global_pages[i]]++;
        if (a->local_pages[i] != PD_NO_PAGE) kv->local.refs[a->local_pages[i]]++;
    }
    b->n_reserved_pages = n_pages;
    b->first_local_page = a->first_local_page < n_pages ? a->first_local_page : n_pages;
    b->length = shared;
    return shared;
}
