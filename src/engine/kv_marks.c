/* Places to come back to: references to the local pages that the next row needs there.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/memory.h"
#include "engine/kv_parts.h"

/* ---- asking --------------------------------------------------------------------------------- */

const pd_kv_mark_pages *pd_kv_find_mark(const pd_kv_seq *s, uint32_t n) {
    for (uint32_t i = s->n_marks; i > 0; i--)
        if (s->marks[i - 1].n <= n) return &s->marks[i - 1];
    return NULL;
}

uint32_t pd_kv_marks_with(const pd_kv_seq *s, uint32_t local_page) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_marks; i++)
        for (uint32_t k = 0; k < s->marks[i].n_pages; k++) n += s->marks[i].pages[k] == local_page;
    return n;
}

uint32_t pd_kv_mark_before(const pd_kv *kv, uint32_t seq, uint32_t n) {
    const pd_kv_mark_pages *mark = pd_kv_find_mark(&kv->seqs[seq], n);
    return mark ? mark->n : 0;
}

/* ---- making --------------------------------------------------------------------------------- */

/* Its part of the block goes to the end of the list, for the next one. */
static void drop_mark(pd_kv *kv, pd_kv_seq *s, uint32_t index) {
    pd_kv_mark_pages *m = &s->marks[index];
    uint32_t *pages = m->pages;
    for (uint32_t i = 0; i < m->n_pages; i++) pd_kv_pool_drop(&kv->local, &pages[i]);
    s->n_marks--;
    memmove(m, m + 1, (s->n_marks - index) * sizeof *m);
    s->marks[s->n_marks].pages = pages;
}

static uint32_t least_used(const pd_kv_seq *s) {
    uint32_t at = 0;
    for (uint32_t i = 1; i < s->n_marks; i++)
        if (s->marks[i].used < s->marks[at].used) at = i;
    return at;
}

/* n positions in a row lie in at most div_up(n - 1, 64) + 1 pages. */
uint32_t pd_kv_mark_room(const pd_kv *kv) {
    return pd_div_up(kv->desc.window - 1, PD_PAGE_POSITIONS) + 1;
}

static bool make_room(const pd_kv *kv, pd_kv_seq *s) {
    if (s->marks) return true;
    uint32_t room = pd_kv_mark_room(kv);
    pd_kv_mark_pages *marks = pd_alloc(PD_KV_MAX_MARKS, sizeof *marks);
    s->mark_pages = pd_alloc(PD_KV_MAX_MARKS, room * sizeof *s->mark_pages);
    if (!marks || !s->mark_pages) {
        pd_free(marks);
        pd_free(s->mark_pages);
        s->mark_pages = NULL;
        return false;
    }
    for (uint32_t i = 0; i < PD_KV_MAX_MARKS; i++) marks[i].pages = s->mark_pages + i * room;
    s->marks = marks;
    return true;
}

/* Room for one mark more, before those beyond n. */
static pd_kv_mark_pages *insert_mark(pd_kv *kv, pd_kv_seq *s, uint32_t n) {
    if (s->n_marks == PD_KV_MAX_MARKS) drop_mark(kv, s, least_used(s));
    uint32_t at = s->n_marks, *pages = s->marks[at].pages;
    while (at > 0 && s->marks[at - 1].n > n) at--;
    memmove(&s->marks[at + 1], &s->marks[at], (s->n_marks - at) * sizeof *s->marks);
    s->marks[at].pages = pages;
    s->n_marks++;
    return &s->marks[at];
}

/* The pages are held first: making room may drop a mark that they are of. */
void pd_kv_add_mark(pd_kv *kv, pd_kv_seq *s, uint32_t n, uint32_t first_page, const uint32_t *pages,
                    uint32_t n_pages) {
    if (!make_room(kv, s)) return;
    for (uint32_t i = 0; i < n_pages; i++) pd_kv_pool_hold(&kv->local, pages[i]);
    pd_kv_mark_pages *mark = insert_mark(kv, s, n);
    memcpy(mark->pages, pages, n_pages * sizeof *pages);
    *mark = (pd_kv_mark_pages){n, first_page, n_pages, mark->pages, ++kv->clock};
}

void pd_kv_mark(pd_kv *kv, uint32_t seq, uint32_t n) {
    pd_kv_seq *s = &kv->seqs[seq];
    if (kv->desc.window == 0 || n == 0 || n > s->length || !pd_kv_sees_window(kv, s, n)) return;
    if (kv->desc.mark_positions == 0) return;
    const pd_kv_mark_pages *there = pd_kv_find_mark(s, n);
    if (there && there->n == n) {
        s->marks[there - s->marks].used = ++kv->clock;
        return;
    }
    uint32_t first = pd_window_first(n, kv->desc.window) / PD_PAGE_POSITIONS;
    uint32_t end = pd_div_up(n, PD_PAGE_POSITIONS);
    if (end > first) pd_kv_add_mark(kv, s, n, first, s->local_pages + first, end - first);
}

/* ---- using ---------------------------------------------------------------------------------- */

void pd_kv_go_to_mark(pd_kv *kv, pd_kv_seq *s, const pd_kv_mark_pages *mark) {
    for (uint32_t i = 0; i < mark->n_pages; i++) pd_kv_pool_hold(&kv->local, mark->pages[i]);
    for (uint32_t i = s->first_local_page; i < s->n_reserved_pages; i++)
        pd_kv_pool_drop(&kv->local, &s->local_pages[i]);
    memcpy(s->local_pages + mark->first_page, mark->pages, mark->n_pages * sizeof *mark->pages);
    s->first_local_page = mark->first_page;
    s->marks[mark - s->marks].used = ++kv->clock;
}

void pd_kv_drop_marks(pd_kv *kv, pd_kv_seq *s, uint32_t n) {
    while (s->n_marks > 0 && s->marks[s->n_marks - 1].n > n) drop_mark(kv, s, s->n_marks - 1);
}

void pd_kv_copy_marks(pd_kv *kv, const pd_kv_seq *from, pd_kv_seq *to) {
    for (uint32_t i = 0; i < from->n_marks && from->marks[i].n <= to->length; i++) {
        const pd_kv_mark_pages *m = &from->marks[i];
        pd_kv_add_mark(kv, to, m->n, m->first_page, m->pages, m->n_pages);
    }
}

bool pd_kv_give_up_mark(pd_kv *kv) {
    pd_kv_seq *oldest = NULL;
    for (uint32_t i = 0; i < kv->n_seqs; i++) {
        pd_kv_seq *s = &kv->seqs[i];
        if (s->n_marks == 0) continue;
        if (!oldest || s->marks[least_used(s)].used < oldest->marks[least_used(oldest)].used)
            oldest = s;
    }
    if (!oldest) return false;
    drop_mark(kv, oldest, least_used(oldest));
    return true;
}
