/* Added tokens: those cut out of the raw text before anything is merged.
 *
 * They are kept as ids sorted by their text's bytes. Matching walks the text byte by byte and
 * narrows the range of tokens that still agree; the last complete one is the longest. Two bytes of
 * look-ahead (seconds) refuse most positions with one bit test.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "base/memory.h"
#include "text/vocab.h"

typedef struct entry {
    const char *text;
    uint32_t n, id;
} entry;

static int compare_entries(const void *a, const void *b) {
    const entry *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->n < y->n ? x->n : y->n);
    if (order) return order;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool is_added(const pd_vocab *v, uint32_t id) {
    return (v->kind[id] == PD_KIND_ADDED || v->kind[id] == PD_KIND_CONTROL) &&
           v->start[id + 1] > v->start[id];
}

static void index_entries(pd_vocab *v, const entry *entries) {
    for (uint32_t i = 0; i < v->n_added; i++) {
        uint32_t first = (uint8_t)entries[i].text[0];
        v->added[i] = entries[i].id;
        v->added_begin[first + 1] = i + 1;
        if (entries[i].n == 1)
            memset(v->seconds + first * 32, 0xFF, 32);
        else
            pd_bit_set(v->seconds, first << 8 | (uint8_t)entries[i].text[1]);
    }
    for (uint32_t b = 1; b < 257; b++)
        if (v->added_begin[b] == 0) v->added_begin[b] = v->added_begin[b - 1];
}

bool pd_added_build(pd_vocab *v) {
    uint32_t n = 0;
    for (uint32_t id = 0; id < v->count; id++) n += is_added(v, id);
    entry *entries = pd_alloc((size_t)n + 1, sizeof *entries);
    v->added = pd_alloc((size_t)n + 1, sizeof *v->added);
    if (!entries || !v->added) {
        pd_free(entries);
        return false;
    }
    for (uint32_t id = 0; id < v->count; id++)
        if (is_added(v, id))
            entries[v->n_added++] =
                (entry){v->text + v->start[id], v->start[id + 1] - v->start[id], id};
    qsort(entries, n, sizeof *entries, compare_entries);
    index_entries(v, entries);
    pd_free(entries);
    return true;
}

/* Byte `at` of entry i, -1 behind its end (so that it sorts first). */
static int byte_at(const pd_vocab *v, uint32_t i, uint32_t at) {
    uint32_t id = v->added[i], begin = v->start[id];
    return begin + at < v->start[id + 1] ? (uint8_t)v->text[begin + at] : -1;
}

/* First entry of [lo, hi), which agree before `at`, whose byte there is at least `byte`. */
static uint32_t lower_bound(const pd_vocab *v, uint32_t lo, uint32_t hi, uint32_t at, int byte) {
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (byte_at(v, mid, at) < byte)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

size_t pd_added_match(const pd_vocab *v, const char *s, size_t n, bool controls, uint32_t *id) {
    uint32_t first = (uint8_t)s[0];
    uint32_t lo = v->added_begin[first], hi = v->added_begin[first + 1];
    size_t found = 0;
    for (uint32_t at = 1; lo < hi; at++) {
        for (; lo < hi && byte_at(v, lo, at) < 0; lo++) /* complete here */
            if ((controls || v->kind[v->added[lo]] != PD_KIND_CONTROL) && found != at) {
                found = at;
                *id = v->added[lo];
            }
        if (at >= n) break;
        int byte = (uint8_t)s[at];
        lo = lower_bound(v, lo, hi, at, byte);
        hi = lower_bound(v, lo, hi, at, byte + 1);
    }
    return found;
}
