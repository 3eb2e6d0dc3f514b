/* A vocabulary from a GGUF's token list: reading, tables, lookups.
 *
 * Opening makes one pass over the strings to learn the layout and one to copy, classify and index
 * them; nothing is allocated per token. Tables: text/vocab.h. Merge priority: higher score first,
 * equal scores by lower id; Gemma's scores fall with the id, so the id itself serves as the rank
 * and a rank table is made only for lists where it does not.
 *
 * Refused: token lists that are not UTF-8, that lack a byte token, whose tokens exceed what one
 * decoding call may write, and scores that give no order: merging would make other tokens.
 *
 * SPDX-License-Identifier: MIT
 */
#include "text/vocab.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "text/classify.h"

/* ---- text -> id ---------------------------------------------------------------------------- */

static uint64_t hash_mix(uint64_t h, uint64_t x) {
    h = (h ^ x) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 32;
}

/* Words are short: a few multiplications, no call. */
static inline uint64_t word_hash(const char *s, size_t n) {
    uint64_t h = n;
    while (n > 8) {
        h = hash_mix(h, pd_load_u64(s));
        s += 8;
        n -= 8;
    }
    uint64_t tail = 0;
    if (n >= 4)
        tail = pd_load_u32(s) << 32 | pd_load_u32(s + n - 4);
    else if (n > 0)
        tail = (uint64_t)(uint8_t)s[0] << 16 | (uint64_t)(uint8_t)s[n / 2] << 8 | (uint8_t)s[n - 1];
    return hash_mix(hash_mix(h, tail), 0);
}

static bool has_text(const pd_vocab *v, uint32_t id, const char *s, size_t n) {
    uint32_t begin = v->start[id];
    return v->start[id + 1] - begin == n && memcmp(v->text + begin, s, n) == 0;
}

uint32_t pd_vocab_find(const pd_vocab *v, const char *text, size_t n) {
    if (n > PD_VOCAB_MAX_TOKEN_BYTES) return PD_VOCAB_NONE;
    uint64_t h = word_hash(text, n);
    uint32_t tag = (uint32_t)(h >> 32);
    for (uint32_t i = (uint32_t)h & v->slot_mask;; i = (i + 1) & v->slot_mask) {
        const pd_vocab_slot *slot = &v->slots[i];
        if (slot->id == PD_VOCAB_NONE) return PD_VOCAB_NONE;
        if (slot->tag == tag && has_text(v, slot->id, text, n)) return slot->id;
    }
}

void pd_vocab_insert(pd_vocab *v, uint32_t id) {
    const char *s = v->text + v->start[id];
    size_t n = v->start[id + 1] - v->start[id];
    uint64_t h = word_hash(s, n);
    uint32_t tag = (uint32_t)(h >> 32), i = (uint32_t)h & v->slot_mask;
    for (; v->slots[i].id != PD_VOCAB_NONE; i = (i + 1) & v->slot_mask)
        if (v->slots[i].tag == tag && has_text(v, v->slots[i].id, s, n)) return;
    v->slots[i] = (pd_vocab_slot){tag, id};
}

/* ---- reading ------------------------------------------------------------------------------- */

static bool is_list_of(const pd_gguf_value *v, pd_gguf_kind kind, uint64_t count) {
    return v->kind == PD_GGUF_ARRAY && v->item_kind == kind && v->count == count;
}

static pd_status read_arrays(const pd_gguf *g, const pd_gguf_value **tokens,
                             const pd_gguf_value **scores, pd_error *err) {
    pd_string model;
    if (!pd_gguf_get_string(g, "tokenizer.ggml.model", &model))
        return PD_RAISE(err, PD_ERR_MODEL, "%s has no text value tokenizer.ggml.model",
                        pd_gguf_path(g));
    if (model.n != 5 || memcmp(model.data, "llama", 5) != 0)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "tokenizer.ggml.model is \"%.*s\", but Gemma 3's is \"llama\"",
                        (int)(model.n < 64 ? model.n : 64), model.data);
    const pd_gguf_value *t = pd_gguf_find(g, "tokenizer.ggml.tokens");
    if (!t || t->kind != PD_GGUF_ARRAY || t->item_kind != PD_GGUF_STRING)
        return PD_RAISE(err, PD_ERR_MODEL, "tokenizer.ggml.tokens is missing or not a text array");
    if (t->count == 0 || t->count > PD_VOCAB_MAX_TOKENS)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "tokenizer.ggml.tokens has %" PRIu64 " items, expected 1 to %d", t->count,
                        PD_VOCAB_MAX_TOKENS);
    const pd_gguf_value *s = pd_gguf_find(g, "tokenizer.ggml.scores");
    const pd_gguf_value *types = pd_gguf_find(g, "tokenizer.ggml.token_type");
    if (types && !is_list_of(types, PD_GGUF_I32, t->count) &&
        !is_list_of(types, PD_GGUF_U32, t->count))
        return PD_RAISE(err, PD_ERR_MODEL,
                        "tokenizer.ggml.token_type is not an array of %" PRIu64
                        " 32-bit integers, one per token",
                        t->count);
    if (!s || !is_list_of(s, PD_GGUF_F32, t->count))
        return PD_RAISE(err, PD_ERR_MODEL,
                        "tokenizer.ggml.scores is not an array of %" PRIu64
                        " float values, one per token",
                        t->count);
    *tokens = t;
    *scores = s;
    return PD_OK;
}

static pd_status vocab_alloc(pd_vocab *v, const pd_gguf_value *tokens, pd_error *err) {
    uint32_t n = v->count, n_slots = 16;
    while (n_slots < 2 * n) n_slots *= 2;
    v->slot_mask = n_slots - 1;
    v->text = pd_alloc(tokens->n_bytes + 1, 1);
    v->start = pd_alloc((size_t)n + 1, sizeof *v->start);
    v->kind = pd_alloc(n, 1);
    v->slots = pd_alloc(n_slots, sizeof *v->slots);
    v->seconds = pd_alloc(65536 / 8, 1);
    v->joined = pd_alloc(PD_VOCAB_JOINED_BITS / 8, 1);
    v->direct = pd_alloc(n, sizeof *v->direct);
    v->told = pd_alloc(1, sizeof *v->told);
    if (!v->told || !v->text || !v->start || !v->kind || !v->slots || !v->seconds || !v->joined ||
        !v->direct)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a vocabulary of %" PRIu32 " tokens",
                        n);
    memset(v->slots, 0xFF, n_slots * sizeof *v->slots); /* every id is PD_VOCAB_NONE */
    memset(v->byte_id, 0xFF, sizeof v->byte_id);
    return PD_OK;
}

/* Copies a token's string with U+2581 as a space; noting, for ordinary tokens, its neighbouring
 * characters. False when it is not UTF-8. */
static bool copy_text(pd_vocab *v, pd_string s, char *to, size_t *n_out, bool ordinary) {
    const uint8_t *in = (const uint8_t *)s.data;
    size_t n = 0;
    uint32_t before = 0;
    for (size_t i = 0, step; i < s.n; i += step) {
        step = in[i] < 128 ? 1 : pd_utf8_length(in + i, s.n - i);
        if (step == 0) return false;
        uint32_t c = 0;
        if (step == 3 && memcmp(in + i, PD_SPACE_MARK, 3) == 0) {
            c = ' ';
            to[n++] = ' ';
        } else {
            for (size_t k = 0; k < step; k++) {
                c |= (uint32_t)in[i + k] << (8 * k);
                to[n++] = (char)in[i + k];
            }
        }
        if (ordinary && i > 0) pd_bit_set(v->joined, pd_vocab_pair_bit(before, c));
        before = c;
    }
    *n_out = n;
    return true;
}

static pd_status add_token(pd_vocab *v, const pd_classifier *c, uint32_t id, pd_string s,
                           pd_error *err) {
    pd_token_kind kind = pd_classify(c, id, s);
    size_t n = 1;
    PD_TRY(pd_special_check_text(id, s, err));
    pd_special_note_marker(&v->special, v->count, id, s);
    bool named = id == v->special.bos || pd_special_is_stop(&v->special, id);
    if (named && kind != PD_KIND_BYTE) kind = PD_KIND_CONTROL;
    if (s.n > 3 * PD_VOCAB_MAX_TOKEN_BYTES)
        return PD_RAISE(err, PD_ERR_MODEL, "token %" PRIu32 " has %" PRIu64 " bytes", id, s.n);
    if (kind == PD_KIND_BYTE) {
        int byte = pd_classify_byte(s);
        v->text[v->start[id]] = (char)byte;
        if (v->byte_id[byte] == PD_VOCAB_NONE) v->byte_id[byte] = id;
    } else if (!copy_text(v, s, v->text + v->start[id], &n, kind == PD_KIND_ORDINARY)) {
        return PD_RAISE(err, PD_ERR_MODEL, "token %" PRIu32 " is not UTF-8", id);
    }
    if (n > PD_VOCAB_MAX_TOKEN_BYTES)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "token %" PRIu32 " has %zu bytes of text, more than the %d allowed", id, n,
                        PD_VOCAB_MAX_TOKEN_BYTES);
    v->kind[id] = (uint8_t)kind;
    v->start[id + 1] = v->start[id] + (uint32_t)n;
    if (kind == PD_KIND_ORDINARY && n > 0) pd_vocab_insert(v, id);
    return PD_OK;
}

static pd_status add_tokens(pd_vocab *v, const pd_gguf_value *tokens, pd_error *err) {
    pd_classifier c;
    pd_classify_init(&c, v->count);
    uint64_t cursor = 0;
    for (uint32_t id = 0; id < v->count; id++)
        pd_classify_check(&c, id, pd_gguf_string_next(tokens, &cursor));
    cursor = 0;
    for (uint32_t id = 0; id < v->count; id++)
        PD_TRY(add_token(v, &c, id, pd_gguf_string_next(tokens, &cursor), err));
    for (int b = 0; b < 256; b++)
        if (v->byte_id[b] == PD_VOCAB_NONE)
            return PD_RAISE(err, PD_ERR_MODEL, "the vocabulary has no byte token <0x%02X>", b);
    return PD_OK;
}

/* ---- merge priority ------------------------------------------------------------------------ */

typedef struct scored {
    uint32_t key; /* grows as the score falls; a total order over all bit patterns */
    uint32_t id;
} scored;

static uint32_t falling_key(const uint8_t *item) {
    uint32_t bits;
    memcpy(&bits, item, 4);
    if (bits == 0x80000000u) bits = 0; /* -0 equals 0 */
    return bits >> 31 ? bits : 0x7FFFFFFFu - bits;
}

static int compare_scored(const void *a, const void *b) {
    const scored *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Scores of the tokens that merging makes: numbers, and not all the same. */
static pd_status check_scores(const pd_vocab *v, const pd_gguf_value *scores, pd_error *err) {
    bool varied = false;
    uint32_t n = 0;
    float first = 0, score;
    for (uint32_t id = 0; id < v->count; id++) {
        memcpy(&score, scores->data + 4 * (size_t)id, 4);
        if (!isfinite(score))
            return PD_RAISE(err, PD_ERR_MODEL,
                            "tokenizer.ggml.scores is not finite for token %" PRIu32, id);
        if (v->kind[id] != PD_KIND_ORDINARY) continue;
        if (n++ == 0) first = score;
        varied = varied || score != first;
    }
    if (varied || n < 2) return PD_OK;
    return PD_RAISE(err, PD_ERR_MODEL,
                    "tokenizer.ggml.scores is %g for all tokens, which gives no order of merging",
                    (double)first);
}

static bool ids_are_ranks(const pd_vocab *v, const pd_gguf_value *scores) {
    uint32_t before = 0;
    for (uint32_t id = 0; id < v->count; id++) {
        if (v->kind[id] != PD_KIND_ORDINARY) continue;
        uint32_t key = falling_key(scores->data + 4 * (size_t)id);
        if (key < before) return false;
        before = key;
    }
    return true;
}

static pd_status rank_tokens(pd_vocab *v, const pd_gguf_value *scores, pd_error *err) {
    PD_TRY(check_scores(v, scores, err));
    if (ids_are_ranks(v, scores)) return PD_OK;
    scored *order = pd_alloc(v->count, sizeof *order);
    v->rank = pd_alloc(v->count, sizeof *v->rank);
    if (!order || !v->rank) {
        pd_free(order);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for %" PRIu32 " merge ranks", v->count);
    }
    for (uint32_t id = 0; id < v->count; id++)
        order[id] = (scored){falling_key(scores->data + 4 * (size_t)id), id};
    qsort(order, v->count, sizeof *order, compare_scored);
    for (uint32_t i = 0; i < v->count; i++) v->rank[order[i].id] = i;
    pd_free(order);
    return PD_OK;
}

/* ---- the object ---------------------------------------------------------------------------- */

pd_status pd_vocab_open(const pd_gguf *g, pd_vocab **out, pd_error *err) {
    const pd_gguf_value *tokens = NULL, *scores = NULL;
    *out = NULL;
    PD_TRY(read_arrays(g, &tokens, &scores, err));
    pd_vocab *v = pd_alloc(1, sizeof *v);
    if (!v) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a vocabulary");
    pd_status status;
    v->count = (uint32_t)tokens->count;
    PD_TRY_GOTO(pd_special_read(g, v->count, &v->special, err));
    PD_TRY_GOTO(vocab_alloc(v, tokens, err));
    PD_TRY_GOTO(add_tokens(v, tokens, err));
    PD_TRY_GOTO(rank_tokens(v, scores, err));
    if (!pd_added_build(v)) {
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for the vocabulary's added tokens");
        goto done;
    }
    *out = v;
    return PD_OK;
done:
    pd_vocab_close(v);
    return status;
}

void pd_vocab_close(pd_vocab *v) {
    if (!v) return;
    pd_free(v->text);
    pd_free(v->start);
    pd_free(v->kind);
    pd_free(v->rank);
    pd_free(v->slots);
    pd_free(v->added);
    pd_free(v->seconds);
    pd_free(v->joined);
    pd_free((void *)v->direct);
    pd_free((void *)v->told);
    pd_free(v);
}

const pd_special *pd_vocab_special(const pd_vocab *v) {
    return &v->special;
}

uint32_t pd_vocab_count(const pd_vocab *v) {
    return v->count;
}

uint64_t pd_vocab_bytes(const pd_vocab *v) {
    uint64_t per_token = sizeof *v->start + sizeof *v->kind + sizeof *v->direct;
    if (v->rank) per_token += sizeof *v->rank;
    return sizeof *v + v->start[v->count] + v->count * per_token +
           ((uint64_t)v->slot_mask + 1) * sizeof *v->slots + v->n_added * sizeof *v->added +
           65536 / 8 + PD_VOCAB_JOINED_BITS / 8;
}

pd_string pd_vocab_text(const pd_vocab *v, uint32_t id) {
    if (id >= v->count) return (pd_string){"", 0};
    return (pd_string){v->text + v->start[id], v->start[id + 1] - v->start[id]};
}

bool pd_vocab_is_control(const pd_vocab *v, uint32_t id) {
    return id < v->count && (v->kind[id] == PD_KIND_CONTROL || v->kind[id] == PD_KIND_PADDING);
}
