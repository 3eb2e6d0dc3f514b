/* Text to ids.
 *
 *  1. Added tokens (runs of newlines, tabs and spaces, HTML tags, unused slots; control tokens only
 *     on request) are cut out of the raw text: leftmost first, longest at each place.
 *  2. What lies between is merged by byte pairs (merge.c), U+2581 meaning the same as a space.
 *  3. Characters without a token, and bytes that are not UTF-8, become byte tokens.
 *
 * Merging a whole stretch at once equals merging its words one by one, where a word ends between
 * any two neighbouring characters that no ordinary token holds side by side: no merge can ever
 * cross there. The vocabulary knows those pairs (joined), so this holds for any token list; in
 * Gemma's it cuts before nearly every space, around punctuation and between digits. Most words are
 * then single tokens, and a lookup of the word's text settles them, provided that merging the
 * token's own text gives that token, which is found out once per token (direct).
 *
 * Spaces: Gemma's list has runs of 2 to 31 of them, and the merges that build runs come before all
 * others that hold a space, so runs may be cut out in step 1. U+2581 in the raw text is a token of
 * its own only in runs of two and more; alone it is a space. Texts that hold it take a detour.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/bytes.h"
#include "base/memory.h"
#include "text/classify.h"
#include "text/vocab.h"
#include "text/word_cache.h"

enum { CACHE_MIN_BYTES = 2048 }; /* shorter texts do without a cache */

typedef struct encoder {
    const pd_vocab *v;
    bool controls;
    bool failed; /* memory ran out */
    pd_id_sink out;
    pd_merge_scratch merge;
    pd_cached_word *cache; /* NULL: none */
} encoder;

static void encode_by_merging(encoder *e, const char *word, size_t n) {
    if (!pd_merge_word(e->v, &e->merge, word, (uint32_t)n, &e->out)) e->failed = true;
}

static void encode_new_word(encoder *e, const char *word, size_t n) {
    uint32_t id = pd_vocab_find(e->v, word, n);
    if (id == PD_VOCAB_NONE) {
        encode_by_merging(e, word, n);
        return;
    }
    uint8_t direct = atomic_load_explicit(&e->v->direct[id], memory_order_relaxed);
    if (direct == PD_DIRECT_YES) {
        pd_id_put(&e->out, id);
        return;
    }
    size_t before = e->out.n;
    encode_by_merging(e, word, n);
    if (direct == PD_DIRECT_NO || e->failed) return;
    bool same = e->out.n == before + 1 && e->out.last == id;
    atomic_store_explicit(&e->v->direct[id], same ? PD_DIRECT_YES : PD_DIRECT_NO,
                          memory_order_relaxed);
}

static void encode_word(encoder *e, const char *word, size_t n) {
    if (!e->cache || n > PD_CACHE_WORD_BYTES) {
        encode_new_word(e, word, n);
        return;
    }
    pd_cached_word key = pd_cache_key(word, n), *place = pd_cache_place(e->cache, &key);
    if (pd_cache_same(&key, place)) {
        for (uint16_t i = 0; i < place->n_ids; i++) pd_id_put(&e->out, place->ids[i]);
        return;
    }
    size_t before = e->out.n;
    encode_new_word(e, word, n);
    size_t n_ids = e->out.n - before;
    if (n_ids > PD_CACHE_IDS || e->out.n > e->out.n_max || e->failed) return;
    memcpy(key.ids, e->out.ids + before, n_ids * sizeof *key.ids);
    key.n_ids = (uint16_t)n_ids;
    *place = key;
}

/* May an added token begin at s[i]? One bit for two bytes; the last byte alone always may. */
static bool may_be_added(const pd_vocab *v, const char *s, size_t i, size_t n) {
    return i + 1 == n || pd_bit_get(v->seconds, (uint32_t)(uint8_t)s[i] << 8 | (uint8_t)s[i + 1]);
}

/* The character at s, its bytes packed little-endian; returns their count, 0: not UTF-8. */
static size_t read_char(const char *s, size_t n, uint32_t *c) {
    uint8_t lead = (uint8_t)*s;
    *c = lead;
    if (lead < 128) return 1;
    size_t length = pd_utf8_length((const uint8_t *)s, n);
    for (size_t k = 1; k < length; k++) *c |= (uint32_t)(uint8_t)s[k] << (8 * k);
    return length;
}

/* Text without U+2581. */
static void encode_plain(encoder *e, const char *s, size_t n) {
    const pd_vocab *v = e->v;
    size_t word = 0, i = 0; /* the open word is [word, i) */
    uint32_t before = 0;
    while (i < n) {
        uint32_t c = 0, id = 0;
        size_t step =
            may_be_added(v, s, i, n) ? pd_added_match(v, s + i, n - i, e->controls, &id) : 0;
        bool is_token = step > 0;
        if (!is_token && (step = read_char(s + i, n - i, &c)) == 0) {
            is_token = true;
            id = v->byte_id[(uint8_t)s[i]];
            step = 1;
        }
        if (i > word && (is_token || !pd_bit_get(v->joined, pd_vocab_pair_bit(before, c)))) {
            encode_word(e, s + word, i - word);
            word = i;
        }
        i += step;
        if (is_token) {
            pd_id_put(&e->out, id);
            word = i;
        } else {
            before = c;
        }
    }
    if (i > word) encode_word(e, s + word, i - word);
}

/* The first U+2581, or NULL. */
static const char *find_mark(const char *s, size_t n) {
    if (n < 3) return NULL;
    const char *end = s + n, *at = s;
    while (end - at >= 3 && (at = memchr(at, PD_SPACE_MARK[0], (size_t)(end - at) - 2)) != NULL) {
        if (memcmp(at, PD_SPACE_MARK, 3) == 0) return at;
        at++;
    }
    return NULL;
}

/* Tokens of a raw run of U+2581; returns how many marks of it are left (0 or 1). */
static size_t encode_marks(encoder *e, size_t n_marks) {
    static const char spaces[] = "                                ";
    while (n_marks >= 2) {
        uint32_t id;
        size_t n = n_marks < sizeof spaces - 1 ? n_marks : sizeof spaces - 1;
        n = pd_added_match(e->v, spaces, n, false, &id);
        if (n == 0) break;
        pd_id_put(&e->out, id);
        n_marks -= n;
    }
    return n_marks;
}

/* Text with U+2581: runs of it are tokens, single ones turn into spaces in a copy. */
static void encode_marked(encoder *e, const char *s, size_t n) {
    char *copy = pd_alloc(n, 1);
    if (!copy) {
        e->failed = true;
        return;
    }
    size_t n_copy = 0;
    while (n > 0) {
        const char *mark = find_mark(s, n);
        size_t n_plain = mark ? (size_t)(mark - s) : n, n_marks = 0;
        memcpy(copy + n_copy, s, n_plain);
        n_copy += n_plain;
        s += n_plain;
        n -= n_plain;
        for (; n >= 3 && memcmp(s, PD_SPACE_MARK, 3) == 0; s += 3, n -= 3) n_marks++;
        if (n_marks >= 2) {
            encode_plain(e, copy, n_copy);
            n_copy = 0;
            n_marks = encode_marks(e, n_marks);
        }
        memset(copy + n_copy, ' ', n_marks);
        n_copy += n_marks;
    }
    encode_plain(e, copy, n_copy);
    pd_free(copy);
}

pd_status pd_vocab_encode(const pd_vocab *v, const char *text, size_t n_bytes, bool parse_special,
                          uint32_t *ids, size_t n_max, size_t *n_ids, pd_error *err) {
    encoder e = {.v = v, .controls = parse_special, .out = {.ids = ids, .n_max = n_max}};
    *n_ids = 0;
    if (n_bytes >= UINT32_MAX)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the text has %zu bytes, which is 4 GiB or more",
                        n_bytes);
    if (n_bytes >= CACHE_MIN_BYTES) e.cache = pd_alloc(PD_CACHE_ENTRIES, sizeof *e.cache);
    if (find_mark(text, n_bytes))
        encode_marked(&e, text, n_bytes);
    else
        encode_plain(&e, text, n_bytes);
    pd_merge_scratch_free(&e.merge);
    pd_free(e.cache);
    *n_ids = e.out.n;
    if (e.failed)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory to tokenize %zu bytes of text",
                        n_bytes);
    if (e.out.n > n_max)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "the text has %zu tokens, but there is room for only %zu", e.out.n, n_max);
    return PD_OK;
}

/* Every token stands for at least one byte of text, but <bos> and <eos>. */
size_t pd_tokenize_bound(size_t n_bytes) {
    return n_bytes < SIZE_MAX - 1 ? n_bytes + 2 : n_bytes;
}
