/* A direct-mapped cache from short words to their ids, for the length of one call; private to
 * src/text. It exists for speed only: without it every result is the same.
 *
 * Text repeats its words, and an entry is one cache line half that is usually near, where the
 * vocabulary's tables are three dependent reads far away. Words of 1 to 16 bytes are held whole in
 * two integers, so a comparison is exact; words that make more than three ids are not kept.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEXT_WORD_CACHE_H
#define PD_TEXT_WORD_CACHE_H

#include "text/vocab.h"

enum { PD_CACHE_ENTRIES = 2048, PD_CACHE_WORD_BYTES = 16, PD_CACHE_IDS = 3 };

typedef struct pd_cached_word {
    uint64_t head, tail; /* all bytes of the word; they overlap */
    uint32_t ids[PD_CACHE_IDS];
    uint16_t n_bytes; /* 0: empty */
    uint16_t n_ids;
} pd_cached_word;

/* The word of n bytes, 1 to 16, as a key without ids. */
static inline pd_cached_word pd_cache_key(const char *s, size_t n) {
    pd_cached_word w = {.n_bytes = (uint16_t)n};
    if (n >= 8) {
        w.head = pd_load_u64(s);
        w.tail = pd_load_u64(s + n - 8);
    } else if (n >= 4) {
        w.head = pd_load_u32(s) << 32 | pd_load_u32(s + n - 4);
    } else {
        w.head =
            (uint64_t)(uint8_t)s[0] << 16 | (uint64_t)(uint8_t)s[n / 2] << 8 | (uint8_t)s[n - 1];
    }
    return w;
}

/* The place where this word is, if it is anywhere. */
static inline pd_cached_word *pd_cache_place(pd_cached_word *cache, const pd_cached_word *key) {
    uint64_t h = (key->head ^ (key->tail + key->n_bytes) * UINT64_C(0xD6E8FEB86659FD93)) *
                 UINT64_C(0x9E3779B97F4A7C15);
    return &cache[h >> 53];
}

static inline int pd_cache_same(const pd_cached_word *a, const pd_cached_word *b) {
    return a->head == b->head && a->tail == b->tail && a->n_bytes == b->n_bytes;
}

_Static_assert(sizeof(pd_cached_word) == 32, "two entries a cache line");
_Static_assert(PD_CACHE_ENTRIES == 1 << (64 - 53), "pd_cache_place takes the upper bits");

#endif
