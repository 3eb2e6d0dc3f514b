/* Byte-pair merging of one word.
 *
 * The word's characters are the first symbols; again and again the neighbouring pair whose joined
 * text is the ordinary token of the lowest rank becomes one symbol, the leftmost on ties, until no
 * pair is a token. A character that is not in the vocabulary becomes its bytes' tokens and parts
 * the word: byte tokens never merge.
 *
 * Two ways with the same result: short words scan a small array for the lowest rank; longer ones
 * keep a linked list and a heap of pairs, O(n log n). A heap entry is stale when the symbols it
 * named have changed; then the bytes it would join differ, which its length shows.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/bytes.h"
#include "base/memory.h"
#include "text/vocab.h"

enum { SHORT_SYMBOLS = 48 };

/* ---- short: arrays ------------------------------------------------------------------------- */

typedef struct short_word {
    uint32_t n;
    uint32_t id[SHORT_SYMBOLS];
    uint32_t pair[SHORT_SYMBOLS]; /* the token that symbols i and i + 1 make, or NONE */
    uint32_t start[SHORT_SYMBOLS + 1];
} short_word;

static void find_pair(const pd_vocab *v, short_word *w, const char *text, uint32_t i) {
    w->pair[i] = i + 1 < w->n ? pd_vocab_find(v, text + w->start[i], w->start[i + 2] - w->start[i])
                              : PD_VOCAB_NONE;
}

static uint32_t best_pair(const pd_vocab *v, const short_word *w) {
    uint32_t best = PD_VOCAB_NONE, best_rank = PD_VOCAB_NONE;
    for (uint32_t i = 0; i + 1 < w->n; i++) {
        if (w->pair[i] == PD_VOCAB_NONE) continue;
        uint32_t rank = pd_vocab_rank(v, w->pair[i]);
        if (rank < best_rank) {
            best_rank = rank;
            best = i;
        }
    }
    return best;
}

static void merge_short(const pd_vocab *v, short_word *w, const char *text, pd_id_sink *out) {
    for (uint32_t i = 0; i < w->n; i++) find_pair(v, w, text, i);
    for (uint32_t i; (i = best_pair(v, w)) != PD_VOCAB_NONE;) {
        size_t n_behind = w->n - i - 2;
        w->id[i] = w->pair[i];
        memmove(w->id + i + 1, w->id + i + 2, n_behind * sizeof *w->id);
        memmove(w->pair + i + 1, w->pair + i + 2, n_behind * sizeof *w->pair);
        memmove(w->start + i + 1, w->start + i + 2, (n_behind + 1) * sizeof *w->start);
        w->n--;
        find_pair(v, w, text, i);
        if (i > 0) find_pair(v, w, text, i - 1);
    }
    for (uint32_t i = 0; i < w->n; i++) pd_id_put(out, w->id[i]);
}

/* ---- long: linked list and heap ------------------------------------------------------------ */

typedef struct symbol {
    uint32_t start, n; /* n = 0: swallowed by a merge */
    uint32_t id;
    uint32_t before, after; /* PD_VOCAB_NONE at the ends */
} symbol;

typedef struct candidate {
    uint32_t rank, at; /* the left symbol */
    uint32_t n;        /* bytes of both */
    uint32_t id;
} candidate;

typedef struct long_word {
    const pd_vocab *v;
    const char *text;
    symbol *symbols;
    candidate *heap;
    size_t n_heap;
} long_word;

static bool goes_first(const candidate *a, const candidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(long_word *w, candidate c) {
    size_t i = w->n_heap++;
    for (size_t up; i > 0 && goes_first(&c, &w->heap[up = (i - 1) / 2]); i = up)
        w->heap[i] = w->heap[up];
    w->heap[i] = c;
}

static candidate heap_pop(long_word *w) {
    candidate top = w->heap[0], last = w->heap[--w->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < w->n_heap; i = child) {
        if (child + 1 < w->n_heap && goes_first(&w->heap[child + 1], &w->heap[child])) child++;
        if (!goes_first(&w->heap[child], &last)) break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = last;
    return top;
}

static void offer_pair(long_word *w, uint32_t at) {
    const symbol *s = &w->symbols[at];
    if (s->after == PD_VOCAB_NONE) return;
    uint32_t n = s->n + w->symbols[s->after].n;
    uint32_t id = pd_vocab_find(w->v, w->text + s->start, n);
    if (id != PD_VOCAB_NONE)
        heap_push(w, (candidate){.rank = pd_vocab_rank(w->v, id), .at = at, .n = n, .id = id});
}

static void apply_candidate(long_word *w, candidate c) {
    symbol *left = &w->symbols[c.at];
    if (left->n == 0 || left->after == PD_VOCAB_NONE) return;
    symbol *right = &w->symbols[left->after];
    if (left->n + right->n != c.n) return;
    left->id = c.id;
    left->n = c.n;
    left->after = right->after;
    right->n = 0;
    if (left->after != PD_VOCAB_NONE) w->symbols[left->after].before = c.at;
    offer_pair(w, c.at);
    if (left->before != PD_VOCAB_NONE) offer_pair(w, left->before);
}

static void merge_long(long_word *w, uint32_t n_symbols, pd_id_sink *out) {
    w->n_heap = 0;
    for (uint32_t i = 0; i < n_symbols; i++) offer_pair(w, i);
    while (w->n_heap > 0) apply_candidate(w, heap_pop(w));
    for (uint32_t i = 0; i != PD_VOCAB_NONE; i = w->symbols[i].after)
        pd_id_put(out, w->symbols[i].id);
}

static bool scratch_reserve(pd_merge_scratch *m, size_t n_symbols) {
    if (n_symbols <= m->n_symbols) return true;
    pd_merge_scratch_free(m);
    /* Pushed at most: one pair per symbol at first, two per merge, and a merge removes one. */
    m->symbols = pd_alloc(n_symbols, sizeof(symbol));
    m->heap = pd_alloc(n_symbols, 3 * sizeof(candidate));
    if (!m->symbols || !m->heap) return false;
    m->n_symbols = n_symbols;
    m->n_heap = 3 * n_symbols;
    return true;
}

void pd_merge_scratch_free(pd_merge_scratch *m) {
    pd_free(m->symbols);
    pd_free(m->heap);
    *m = (pd_merge_scratch){0};
}

/* ---- a word -------------------------------------------------------------------------------- */

static size_t char_length(const char *s, size_t n) {
    return (uint8_t)*s < 128 ? 1 : pd_utf8_length((const uint8_t *)s, n);
}

/* The symbols of text from its start to the first unknown character or the end; returns the bytes
 * they take. Symbols beyond `cap` are counted, not stored. */
static uint32_t read_short(const pd_vocab *v, const char *text, uint32_t n, short_word *w,
                           uint32_t *n_symbols) {
    uint32_t i = 0, count = 0;
    while (i < n) {
        uint32_t step = (uint32_t)char_length(text + i, n - i);
        uint32_t id = step ? pd_vocab_find(v, text + i, step) : PD_VOCAB_NONE;
        if (id == PD_VOCAB_NONE) break;
        if (count < SHORT_SYMBOLS) {
            w->id[count] = id;
            w->start[count] = i;
        }
        count++;
        i += step;
    }
    w->n = count < SHORT_SYMBOLS ? count : SHORT_SYMBOLS;
    if (count <= SHORT_SYMBOLS) w->start[count] = i;
    *n_symbols = count;
    return i;
}

static void read_long(long_word *w, uint32_t n_bytes, uint32_t n_symbols) {
    for (uint32_t i = 0, k = 0; k < n_symbols; k++) {
        uint32_t step = (uint32_t)char_length(w->text + i, n_bytes - i);
        w->symbols[k] = (symbol){.start = i,
                                 .n = step,
                                 .id = pd_vocab_find(w->v, w->text + i, step),
                                 .before = k ? k - 1 : PD_VOCAB_NONE,
                                 .after = k + 1 < n_symbols ? k + 1 : PD_VOCAB_NONE};
        i += step;
    }
}

bool pd_merge_word(const pd_vocab *v, pd_merge_scratch *m, const char *word, uint32_t n,
                   pd_id_sink *out) {
    while (n > 0) {
        short_word w;
        uint32_t n_symbols, done = read_short(v, word, n, &w, &n_symbols);
        if (n_symbols > SHORT_SYMBOLS) {
            if (!scratch_reserve(m, n_symbols)) return false;
            long_word l = {.v = v, .text = word, .symbols = m->symbols, .heap = m->heap};
            read_long(&l, done, n_symbols);
            merge_long(&l, n_symbols, out);
        } else if (n_symbols > 0) {
            merge_short(v, &w, word, out);
        }
        word += done;
        n -= done;
        if (n == 0) break;
        uint32_t step = (uint32_t)char_length(word, n); /* 0: not UTF-8, one byte at a time */
        if (step == 0) step = 1;
        for (uint32_t i = 0; i < step; i++) pd_id_put(out, v->byte_id[(uint8_t)word[i]]);
        word += step;
        n -= step;
    }
    return true;
}
