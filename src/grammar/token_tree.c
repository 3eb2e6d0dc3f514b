/* See token_tree.h. Tokens are sorted by their bytes, which is the order of their characters.
 * SPDX-License-Identifier: MIT
 */
#include "grammar/token_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"

typedef struct text {
    const char *s;
    uint32_t n, token;
    uint64_t first; /* its first bytes, to be compared at once */
} text;

typedef struct making {
    pd_token_tree *t;
    text *texts;
    uint32_t n_texts;
} making;

static pd_status raise_no_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar's tokens");
}

/* ---- texts ----------------------------------------------------------------------------------- */

static uint64_t first_bytes(const char *s, size_t n) {
    uint64_t out = 0;
    for (size_t i = 0; i < 8; i++) out = out << 8 | (i < n ? (uint8_t)s[i] : 0);
    return out;
}

static int compare_texts(const void *a, const void *b) {
    const text *x = a, *y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    uint32_t n = x->n < y->n ? x->n : y->n;
    int order = memcmp(x->s, y->s, n);
    if (order) return order;
    return x->n != y->n ? (x->n < y->n ? -1 : 1) : (x->token < y->token ? -1 : 1);
}

static bool is_written(const pd_vocab *v, uint32_t id) {
    const pd_special *s = pd_vocab_special(v);
    return !pd_vocab_is_control(v, id) && !pd_special_is_stop(s, id) && id != s->start_of_image &&
           id != s->end_of_image;
}

static void list_texts(making *m) {
    const pd_vocab *v = m->t->vocab;
    for (uint32_t i = 0; i < 256; i++) m->t->byte_tokens[i] = PD_NO_TOKEN;
    for (uint32_t id = 0; id < m->t->n_vocab; id++) {
        pd_string s = pd_vocab_text(v, id);
        if (s.n == 0 || !is_written(v, id)) continue;
        bool is_text = pd_utf8_valid_bytes(s.data, s.n) == s.n;
        if (is_text)
            m->texts[m->n_texts++] = (text){s.data, (uint32_t)s.n, id, first_bytes(s.data, s.n)};
        else if (s.n == 1)
            m->t->byte_tokens[(uint8_t)s.data[0]] = id;
    }
    qsort(m->texts, m->n_texts, sizeof *m->texts, compare_texts);
}

static bool is_plain(const text *t) {
    for (uint32_t i = 0; i < t->n; i++) /* bytes above 0x7f are parts of plain characters */
        if ((uint8_t)t->s[i] < 0x80 && !pd_char_is_plain((uint8_t)t->s[i])) return false;
    return true;
}

/* ---- characters ------------------------------------------------------------------------------ */

static pd_status list_chars(making *m, pd_error *err) {
    pd_token_tree *t = m->t;
    uint8_t *seen = pd_alloc((PD_CHAR_COUNT + 7) / 8, 1);
    if (!seen) return raise_no_memory(err);
    for (uint32_t i = 0; i < m->n_texts; i++)
        for (size_t at = 0; at < m->texts[i].n;) {
            uint32_t c = pd_utf8_next(m->texts[i].s, m->texts[i].n, &at);
            t->n_chars += !(seen[c / 8] >> (c % 8) & 1);
            seen[c / 8] = (uint8_t)(seen[c / 8] | 1u << (c % 8));
        }
    if (t->n_chars > UINT16_MAX) {
        pd_free(seen);
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "the vocabulary has more than %d different characters", UINT16_MAX);
    }
    t->chars = pd_alloc(t->n_chars + 1, sizeof *t->chars);
    uint32_t n = 0;
    for (uint32_t c = 0; c < PD_CHAR_COUNT && t->chars; c++)
        if (seen[c / 8] >> (c % 8) & 1) t->chars[n++] = c;
    pd_free(seen);
    return t->chars ? PD_OK : raise_no_memory(err);
}

static uint32_t index_of(const pd_token_tree *t, uint32_t c) {
    uint32_t low = 0, high = t->n_chars;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (t->chars[middle] <= c)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void free_list(pd_token_list *l) {
    pd_free(l->nodes);
    pd_free(l->tokens);
    *l = (pd_token_list){0};
}

/* The way from the root to the text before. */
typedef struct path {
    uint32_t nodes[PD_DETOKENIZE_MAX_BYTES], n;
} path;

static bool grow(pd_token_list *l) {
    uint32_t cap = l->cap ? 2 * l->cap : 1024;
    pd_token_list larger = {.nodes = pd_alloc(cap, sizeof *l->nodes),
                            .tokens = pd_alloc(cap, sizeof *l->tokens),
                            .n = l->n,
                            .cap = cap};
    bool good = larger.nodes && larger.tokens;
    if (good && l->n) memcpy(larger.nodes, l->nodes, l->n * sizeof *l->nodes);
    if (good && l->n) memcpy(larger.tokens, l->tokens, l->n * sizeof *l->tokens);
    free_list(good ? l : &larger);
    if (good) *l = larger;
    return good;
}

static bool add_node(pd_token_list *l, uint32_t c, uint32_t depth, uint32_t nobody) {
    if (l->n == l->cap && !grow(l)) return false;
    l->nodes[l->n] = (pd_token_node){.c = (uint16_t)c, .depth = (uint8_t)depth};
    l->tokens[l->n++] = nobody;
    return true;
}

static void leave(pd_token_list *l, path *p, uint32_t depth) {
    while (p->n > depth) l->nodes[p->nodes[--p->n]].end = l->n;
}

/* Characters of s that are on the path already; *at: where the next one begins. */
static uint32_t common(const pd_token_tree *t, const pd_token_list *l, const path *p, const text *s,
                       size_t *at) {
    uint32_t n = 0;
    *at = 0;
    while (n < p->n && *at < s->n) {
        size_t next = *at;
        if (t->chars[l->nodes[p->nodes[n]].c] != pd_utf8_next(s->s, s->n, &next)) break;
        *at = next;
        n++;
    }
    return n;
}

static bool add_text(pd_token_tree *t, pd_token_list *l, path *p, const text *s) {
    size_t at, before = 0;
    uint32_t n = common(t, l, p, s, &at);
    if (at == s->n) { /* the same text again: a node of its own for its last character */
        n--;
        for (size_t i = 0; i < s->n;) {
            before = i;
            pd_utf8_next(s->s, s->n, &i);
        }
        at = before;
    }
    leave(l, p, n);
    while (at < s->n) {
        uint32_t c = index_of(t, pd_utf8_next(s->s, s->n, &at));
        p->nodes[n++] = l->n;
        if (!add_node(l, c, n, t->nobody)) return false;
    }
    p->n = n;
    l->tokens[p->nodes[n - 1]] = s->token;
    for (uint32_t i = 0; i < n; i++) {
        pd_token_node *node = &l->nodes[p->nodes[i]];
        if (node->deepest < n) node->deepest = (uint8_t)n;
    }
    if (n > t->longest) t->longest = n;
    return true;
}

static pd_status make_list(making *m, bool plain, pd_token_list *l, pd_error *err) {
    path *p = pd_alloc(1, sizeof *p);
    bool good = p != NULL;
    for (uint32_t i = 0; i < m->n_texts && good; i++)
        if (is_plain(&m->texts[i]) == plain) good = add_text(m->t, l, p, &m->texts[i]);
    if (good) leave(l, p, 0);
    pd_free(p);
    return good ? PD_OK : raise_no_memory(err);
}

static pd_status make_plain_masks(pd_token_tree *t, pd_error *err) {
    t->plain_up_to = pd_alloc((size_t)(t->longest + 1) * t->n_words, sizeof *t->plain_up_to);
    if (!t->plain_up_to) return raise_no_memory(err);
    for (uint32_t i = 0; i < t->plain.n; i++) {
        const pd_token_node *node = &t->plain.nodes[i];
        if (t->plain.tokens[i] != t->nobody)
            pd_mask_allow(t->plain_up_to + (size_t)node->depth * t->n_words, t->plain.tokens[i]);
    }
    for (size_t i = t->n_words; i < (size_t)(t->longest + 1) * t->n_words; i++)
        t->plain_up_to[i] |= t->plain_up_to[i - t->n_words];
    return PD_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static pd_status make(pd_token_tree *t, pd_error *err) {
    making m = {.t = t, .texts = pd_alloc(t->n_vocab + 1, sizeof *m.texts)};
    if (!m.texts) return raise_no_memory(err);
    list_texts(&m);
    pd_status status = list_chars(&m, err);
    if (status == PD_OK) status = make_list(&m, true, &t->plain, err);
    if (status == PD_OK) status = make_list(&m, false, &t->others, err);
    if (status == PD_OK) status = make_plain_masks(t, err);
    pd_free(m.texts);
    return status;
}

pd_status pd_token_tree_create(const pd_vocab *v, pd_token_tree **out, pd_error *err) {
    pd_token_tree *t = pd_alloc(1, sizeof *t);
    if (!t) return raise_no_memory(err);
    t->vocab = v;
    t->n_vocab = pd_vocab_count(v);
    t->n_words = pd_div_up(t->n_vocab, 32);
    t->nobody = 32 * t->n_words;
    pd_status status = make(t, err);
    if (status == PD_OK)
        *out = t;
    else
        pd_token_tree_destroy(t);
    return status;
}

void pd_token_tree_destroy(pd_token_tree *t) {
    if (!t) return;
    pd_free(t->chars);
    free_list(&t->plain);
    free_list(&t->others);
    pd_free(t->plain_up_to);
    pd_free(t);
}
