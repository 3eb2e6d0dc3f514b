/* The tables behind a pd_vocab; private to src/text.
 *
 *     id -> text     text + start[]: all tokens' texts back to back, U+2581 already a space
 *     text -> id     slots[]: open addressing over the ordinary tokens, load at most one half
 *     added tokens   added[]: ids sorted by text, cut by first byte; seconds: a filter of two bytes
 *     words          joined: which neighbouring characters some ordinary token holds side by side
 *     direct[]       per token: does its own text encode to exactly this token? Found on first use,
 *                    by any thread; every thread would find the same
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEXT_VOCAB_H
#define PD_TEXT_VOCAB_H

#include <stdatomic.h>
#include <string.h>

#include "text/special.h"
#include "text/tokenizer.h"

enum {
    PD_VOCAB_REAL_COUNT = 262144, /* ids at and above it are padding, but for the soft token */
    PD_VOCAB_MAX_TOKENS = 1 << 22,
    PD_VOCAB_MAX_TOKEN_BYTES = PD_DETOKENIZE_MAX_BYTES - 16, /* leaves room for held bytes */
    PD_VOCAB_JOINED_BITS = 1 << 19
};
#define PD_VOCAB_NONE UINT32_MAX

typedef enum pd_token_kind {
    PD_KIND_ORDINARY, /* made by merging, or a single character */
    PD_KIND_BYTE,
    PD_KIND_ADDED,   /* matched in the raw text before merging: runs, HTML tags, unused slots */
    PD_KIND_CONTROL, /* the same, but only when the caller asks for it */
    PD_KIND_PADDING
} pd_token_kind;

enum { PD_DIRECT_UNKNOWN, PD_DIRECT_YES, PD_DIRECT_NO };

typedef struct pd_vocab_slot {
    uint32_t tag; /* upper half of the hash */
    uint32_t id;  /* PD_VOCAB_NONE: empty */
} pd_vocab_slot;

struct pd_vocab {
    uint32_t count;
    char *text;
    uint32_t *start; /* [count + 1] */
    uint8_t *kind;   /* [count], pd_token_kind */
    uint32_t *rank;  /* [count], lower merges first; NULL: the id is the rank */
    pd_vocab_slot *slots;
    uint32_t slot_mask;
    uint32_t byte_id[256];
    uint32_t *added; /* [n_added] */
    uint32_t n_added;
    uint32_t added_begin[257]; /* by first byte */
    uint8_t *seconds;          /* [65536 / 8] */
    uint8_t *joined;           /* [PD_VOCAB_JOINED_BITS / 8] */
    _Atomic(uint8_t) *direct;  /* [count] */
    pd_special special;
    _Atomic(uint8_t)
        *told; /* [1] set once the user was told that the file's template is not used */
};

/* Two neighbouring characters, each as its UTF-8 bytes packed little-endian, to a bit of `joined`.
 * ASCII pairs have a bit of their own; others share bits by hash, which only joins more. */
static inline uint32_t pd_vocab_pair_bit(uint32_t left, uint32_t right) {
    if ((left | right) < 128) return left << 7 | right;
    uint64_t h = ((uint64_t)left << 32 | right) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(h >> 40) & (PD_VOCAB_JOINED_BITS - 1);
}

static inline bool pd_bit_get(const uint8_t *bits, uint32_t i) {
    return bits[i >> 3] >> (i & 7) & 1;
}

static inline void pd_bit_set(uint8_t *bits, uint32_t i) {
    bits[i >> 3] = (uint8_t)(bits[i >> 3] | 1u << (i & 7));
}

static inline uint64_t pd_load_u64(const char *s) {
    uint64_t x;
    memcpy(&x, s, 8);
    return x;
}

static inline uint64_t pd_load_u32(const char *s) {
    uint32_t x;
    memcpy(&x, s, 4);
    return x;
}

static inline uint32_t pd_vocab_rank(const pd_vocab *v, uint32_t id) {
    return v->rank ? v->rank[id] : id;
}

/* The ordinary token with this text, or PD_VOCAB_NONE. */
uint32_t pd_vocab_find(const pd_vocab *v, const char *text, size_t n);
void pd_vocab_insert(pd_vocab *v, uint32_t id); /* the first of equal texts stays */

/* added.c. Builds added[] and its filters from kind[]. */
bool pd_added_build(pd_vocab *v);
/* Length of the longest added token at s, its id in *id; 0 when none. */
size_t pd_added_match(const pd_vocab *v, const char *s, size_t n, bool controls, uint32_t *id);

/* Ids on their way out: counts on when the caller's array is full. */
typedef struct pd_id_sink {
    uint32_t *ids;
    size_t n_max, n;
    uint32_t last;
} pd_id_sink;

static inline void pd_id_put(pd_id_sink *s, uint32_t id) {
    if (s->n < s->n_max) s->ids[s->n] = id;
    s->n++;
    s->last = id;
}

/* merge.c. Byte-pair merging of one word: no added token, no U+2581, less than 4 GiB. The scratch
 * starts all zero and grows; false when memory ran out. */
typedef struct pd_merge_scratch {
    void *symbols, *heap;
    size_t n_symbols, n_heap; /* capacities */
} pd_merge_scratch;

bool pd_merge_word(const pd_vocab *v, pd_merge_scratch *m, const char *word, uint32_t n,
                   pd_id_sink *out);
void pd_merge_scratch_free(pd_merge_scratch *m);

#endif
