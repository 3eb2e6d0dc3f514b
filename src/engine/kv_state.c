/* A sequence's tables and marks as numbers, for files.
 *
 * What is read back is not trusted: every number is checked against what a sequence of this length
 * could have, so that no file leads to a page that is not there.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/memory.h"
#include "engine/kv_parts.h"

enum { LIST_WORDS = 3 }; /* position, first table entry, count */

void pd_kv_state_free(pd_kv_state *s) {
    pd_free(s->words);
    pd_free(s->global_ids);
    pd_free(s->local_ids);
    *s = (pd_kv_state){0};
}

/* ---- from a sequence ------------------------------------------------------------------------ */

static uint32_t number_of(pd_kv_state *s, uint32_t local_page) {
    for (uint32_t i = 0; i < s->n_local; i++)
        if (s->local_ids[i] == local_page) return i;
    s->local_ids[s->n_local] = local_page;
    return s->n_local++;
}

static void add_list(pd_kv_state *s, uint32_t n, uint32_t first, uint32_t count,
                     const uint32_t *pages) {
    s->words[s->n_words++] = n;
    s->words[s->n_words++] = first;
    s->words[s->n_words++] = count;
    for (uint32_t i = 0; i < count; i++) s->words[s->n_words++] = number_of(s, pages[i]);
}

pd_status pd_kv_get_state(const pd_kv *kv, uint32_t seq, pd_kv_state *out, pd_error *err) {
    const pd_kv_seq *s = &kv->seqs[seq];
    uint32_t n_pages = pd_div_up(s->length, PD_PAGE_POSITIONS);
    uint32_t first = kv->desc.window ? s->first_local_page : n_pages;
    uint32_t n_held = n_pages - first, n_words = LIST_WORDS + n_held;
    for (uint32_t i = 0; i < s->n_marks; i++) {
        n_words += LIST_WORDS + s->marks[i].n_pages;
        n_held += s->marks[i].n_pages;
    }
    *out = (pd_kv_state){.length = s->length, .n_global = n_pages};
    out->words = pd_alloc(n_words, sizeof *out->words);
    out->global_ids = pd_alloc(n_pages + 1, sizeof *out->global_ids);
    out->local_ids = pd_alloc(n_held + 1, sizeof *out->local_ids);
    if (!out->words || !out->global_ids || !out->local_ids)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV page tables");
    memcpy(out->global_ids, s->global_pages, n_pages * sizeof *out->global_ids);
    add_list(out, s->length, first, n_pages - first, s->local_pages + first);
    for (uint32_t i = 0; i < s->n_marks; i++) {
        const pd_kv_mark_pages *m = &s->marks[i];
        add_list(out, m->n, m->first_page, m->n_pages, m->pages);
    }
    return PD_OK;
}

static uint32_t filled(uint32_t n, uint32_t index) { /* in table entry `index`, by n positions */
    uint32_t first = index * PD_PAGE_POSITIONS;
    return n <= first ? 0 : n - first < PD_PAGE_POSITIONS ? n - first : PD_PAGE_POSITIONS;
}

/* Of a local page by whichever list needs most of it. */
uint32_t pd_kv_state_filled(const pd_kv_state *s, bool global, uint32_t number) {
    uint32_t most = 0;
    if (global) return filled(s->length, number);
    for (uint32_t at = 0; at < s->n_words; at += LIST_WORDS + s->words[at + 2])
        for (uint32_t i = 0; i < s->words[at + 2]; i++) {
            uint32_t n = filled(s->words[at], s->words[at + 1] + i);
            if (s->words[at + LIST_WORDS + i] == number && n > most) most = n;
        }
    return most;
}

/* ---- to a sequence -------------------------------------------------------------------------- */

/* The list at word `at`, which ends at *end: whether it may stand in a sequence with these limits.
 */
static bool check_list(const pd_kv *kv, const pd_kv_state *s, uint32_t at, uint32_t *end) {
    if (s->n_words - at < LIST_WORDS) return false;
    const uint32_t *w = s->words + at;
    uint32_t n = w[0], first = w[1], count = w[2], n_pages = pd_div_up(n, PD_PAGE_POSITIONS);
    if (n > s->length || first > n_pages || count != n_pages - first) return false;
    if (count > s->n_words - at - LIST_WORDS) return false;
    for (uint32_t i = 0; i < count; i++)
        if (w[LIST_WORDS + i] >= s->n_local) return false;
    *end = at + LIST_WORDS + count;
    return kv->desc.window == 0 || pd_window_first(n, kv->desc.window) / PD_PAGE_POSITIONS >= first;
}

static bool check_state(const pd_kv *kv, const pd_kv_state *s) {
    uint32_t end, before = 0, n_lists = 0;
    if (s->length > kv->desc.max_positions) return false;
    if (s->n_global != pd_div_up(s->length, PD_PAGE_POSITIONS)) return false;
    for (uint32_t at = 0; at < s->n_words || at == 0; at = end, n_lists++) {
        if (!check_list(kv, s, at, &end)) return false;
        if (n_lists == 0 && s->words[at] != s->length) return false;
        if (n_lists > 0 && s->words[at] <= before) return false;
        if (n_lists > 0 && (kv->desc.window == 0 || s->words[at + 2] > pd_kv_mark_room(kv)))
            return false;
        if (n_lists > 0) before = s->words[at];
    }
    return n_lists <= PD_KV_MAX_MARKS + 1 && (kv->desc.window != 0 || s->n_local == 0);
}

/* Table entries or a mark of the list at `at`; returns where it ends. */
static uint32_t set_list(pd_kv *kv, pd_kv_seq *seq, const pd_kv_state *s, uint32_t at,
                         uint32_t *scratch) {
    const uint32_t *w = s->words + at;
    for (uint32_t i = 0; i < w[2]; i++) scratch[i] = s->local_ids[w[LIST_WORDS + i]];
    if (at > 0) {
        if (kv->desc.mark_positions) pd_kv_add_mark(kv, seq, w[0], w[1], scratch, w[2]);
    } else {
        for (uint32_t i = 0; i < w[2]; i++) {
            seq->local_pages[w[1] + i] = scratch[i];
            pd_kv_pool_hold(&kv->local, scratch[i]);
        }
        seq->first_local_page = w[1];
    }
    return at + LIST_WORDS + w[2];
}

pd_kv_pages pd_kv_pages_for_state(const pd_kv *kv, const pd_kv_state *state) {
    pd_kv_pages p = pd_kv_page_counts(kv);
    if (state->n_global > kv->global.n_free) p.n_global += state->n_global - kv->global.n_free;
    if (state->n_local > kv->local.n_free) p.n_local += state->n_local - kv->local.n_free;
    return p;
}

pd_status pd_kv_set_state(pd_kv *kv, uint32_t seq, pd_kv_state *s, pd_error *err) {
    pd_kv_seq *q = &kv->seqs[seq];
    if (q->length != 0 || !check_state(kv, s))
        return PD_RAISE(err, PD_ERR_FORMAT, "the page tables are not those of %u positions",
                        s->length);
    while (s->n_local > kv->local.n_free && pd_kv_give_up_mark(kv)) continue;
    if (s->n_global > kv->global.n_free || s->n_local > kv->local.n_free)
        return PD_RAISE(err, PD_ERR_MEMORY_DEVICE,
                        "%u global and %u local KV pages are needed, but only %u and %u are free",
                        s->n_global, s->n_local, kv->global.n_free, kv->local.n_free);
    uint32_t *scratch = pd_alloc(s->n_words, sizeof *scratch);
    if (!scratch) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the KV page tables");
    pd_kv_truncate(kv, seq, 0); /* what is reserved */
    for (uint32_t i = 0; i < s->n_global; i++)
        s->global_ids[i] = q->global_pages[i] = pd_kv_pool_take(&kv->global);
    for (uint32_t i = 0; i < s->n_local; i++) s->local_ids[i] = pd_kv_pool_take(&kv->local);
    q->n_reserved_pages = s->n_global;
    q->length = s->length;
    for (uint32_t at = 0; at < s->n_words;) at = set_list(kv, q, s, at, scratch);
    /* the pages are the lists' alone now, and one that is in none of them is free */
    for (uint32_t i = 0; i < s->n_local; i++) {
        uint32_t id = s->local_ids[i];
        pd_kv_pool_drop(&kv->local, &id);
    }
    pd_free(scratch);
    return PD_OK;
}
