/* See token_masks.h.
 *
 * Within texts nearly all tokens are allowed, and walking them would take milliseconds. So it is
 * first found out how many plain characters, whichever they are, the automaton takes in a row:
 * tokens of plain characters that are not longer are allowed together, by masks that the tree has.
 *
 * SPDX-License-Identifier: MIT
 */
#include "grammar/token_masks.h"

#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"

/* States of which masks are kept, and those that a run of plain characters may be in at once. */
enum { N_KEPT = 256, MAX_RUN_STATES = 16, N_NEAR = 16 };

typedef struct kept_mask {
    uint32_t state, needed; /* needed: the most bytes to an end behind any of its tokens */
    uint32_t *words;        /* NULL: nothing is kept here yet */
} kept_mask;

struct pd_token_masks {
    pd_automaton *automaton;
    const pd_token_tree *tree;
    uint16_t *classes; /* [n_chars] of the tree's characters */
    uint32_t n_classes;
    uint32_t *plain; /* [n_plain] classes that plain characters are in */
    uint32_t n_plain;
    uint32_t *states;    /* [longest + 1] on the way from the root */
    uint32_t *near_ends; /* [n_words + 1] of a mask that is not kept */
    kept_mask kept[N_KEPT];
};

typedef struct finding {
    pd_token_masks *m;
    uint32_t *words; /* [n_words + 1] */
    uint32_t max_bytes;
    uint32_t needed;
    uint32_t run; /* plain tokens up to this length are in words */
    pd_error *err;
} finding;

/* ---- runs of plain characters ---------------------------------------------------------------- */

typedef struct run_states {
    uint32_t list[MAX_RUN_STATES], n;
} run_states;

/* False: there is no room. */
static bool add_run_state(run_states *r, uint32_t state) {
    for (uint32_t i = 0; i < r->n; i++)
        if (r->list[i] == state) return true;
    if (r->n == MAX_RUN_STATES) return false;
    r->list[r->n++] = state;
    return true;
}

static void note(finding *f, uint32_t state) {
    uint32_t bytes = pd_automaton_min_bytes(f->m->automaton, state);
    if (bytes > f->needed) f->needed = bytes;
}

/* All states behind one more plain character. *goes_on: each such character is taken. */
static pd_status take_plain(finding *f, const run_states *from, run_states *to, bool *goes_on) {
    const pd_token_masks *m = f->m;
    uint32_t next;
    *goes_on = false;
    to->n = 0;
    for (uint32_t i = 0; i < from->n; i++)
        for (uint32_t k = 0; k < m->n_plain; k++) {
            PD_TRY(pd_automaton_next(m->automaton, from->list[i], m->plain[k], &next, f->err));
            if (next == PD_STATE_DEAD || !add_run_state(to, next)) return PD_OK;
            if (pd_automaton_min_bytes(m->automaton, next) > f->max_bytes) return PD_OK;
        }
    *goes_on = true;
    return PD_OK;
}

static bool are_same(const run_states *a, const run_states *b) {
    return a->n == b->n && memcmp(a->list, b->list, a->n * sizeof *a->list) == 0;
}

/* How many plain characters are taken from here, at most as many as the longest token has. */
static pd_status find_run(finding *f, uint32_t state) {
    run_states now = {{state}, 1}, next;
    uint32_t longest = f->m->tree->longest;
    bool goes_on;
    for (f->run = 0; f->run < longest; f->run++, now = next) {
        PD_TRY(take_plain(f, &now, &next, &goes_on));
        if (!goes_on) break;
        for (uint32_t i = 0; i < next.n; i++) note(f, next.list[i]);
        if (are_same(&now, &next)) f->run = longest - 1; /* for ever */
    }
    const uint32_t *plain = f->m->tree->plain_up_to + (size_t)f->run * f->m->tree->n_words;
    if (f->run)
        for (uint32_t i = 0; i < f->m->tree->n_words; i++) f->words[i] |= plain[i];
    return PD_OK;
}

/* ---- walking --------------------------------------------------------------------------------- */

/* A token is written, and the automaton is in `state`. near: states that were found to be near
 * enough to an end, by their lowest bits. */
static void allow(finding *f, uint32_t token, uint32_t state, uint32_t *near) {
    if (pd_automaton_min_bytes(f->m->automaton, state) > f->max_bytes) return;
    note(f, state);
    near[state % N_NEAR] = state;
    pd_mask_allow(f->words, token);
}

/* Tokens of a tree that are longer than `covered` characters. Half of the nodes end a token,
 * without a rule that a processor could guess: nodes that end none write into the word behind all.
 */
static pd_status walk(finding *f, const pd_token_list *l, uint32_t state, uint32_t covered) {
    const uint16_t *classes = f->m->classes;
    uint32_t *states = f->m->states, *words = f->words, near[N_NEAR] = {PD_STATE_DEAD};
    const uint32_t nobody = f->m->tree->nobody;
    const size_t n_classes = f->m->n_classes;
    const uint32_t *table = pd_automaton_table(f->m->automaton);
    states[0] = state;
    for (uint32_t i = 0; i < l->n;) {
        const pd_token_node node = l->nodes[i];
        uint32_t from = states[node.depth - 1], class = classes[node.c], to = PD_STATE_DEAD;
        if (node.deepest > covered) to = table[from * n_classes + class];
        if (to == PD_STATE_UNKNOWN) {
            PD_TRY(pd_automaton_next(f->m->automaton, from, class, &to, f->err));
            table = pd_automaton_table(f->m->automaton);
        }
        if (to == PD_STATE_DEAD) {
            i = node.end;
            continue;
        }
        if (to == near[to % N_NEAR])
            pd_mask_allow(words, l->tokens[i]);
        else if (l->tokens[i] != nobody)
            allow(f, l->tokens[i], to, near);
        states[node.depth] = to;
        i++;
    }
    return PD_OK;
}

static pd_status find_tokens(finding *f, uint32_t state) {
    const pd_token_tree *t = f->m->tree;
    f->needed = 0;
    PD_TRY(find_run(f, state));
    if (f->run < t->longest) PD_TRY(walk(f, &t->plain, state, f->run));
    return walk(f, &t->others, state, 0);
}

/* ---- masks that are kept --------------------------------------------------------------------- */

static pd_status keep(finding *f, kept_mask *k, uint32_t state) {
    uint32_t n_words = f->m->tree->n_words;
    if (!k->words) k->words = pd_alloc(n_words + 1, sizeof *k->words);
    if (!k->words) return PD_RAISE(f->err, PD_ERR_MEMORY_HOST, "no memory for a grammar's masks");
    memset(k->words, 0, n_words * sizeof *k->words);
    k->state = PD_STATE_DEAD;
    f->words = k->words;
    f->max_bytes = PD_NO_LIMIT;
    PD_TRY(find_tokens(f, state));
    k->state = state;
    k->needed = f->needed;
    return PD_OK;
}

static void add_words(uint32_t *to, const uint32_t *from, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) to[i] |= from[i];
}

pd_status pd_token_masks_get(pd_token_masks *m, uint32_t state, uint32_t max_bytes, uint32_t *words,
                             pd_error *err) {
    kept_mask *k = &m->kept[state % N_KEPT];
    finding f = {.m = m, .err = err};
    if (k->state != state) PD_TRY(keep(&f, k, state));
    if (k->needed <= max_bytes) {
        add_words(words, k->words, m->tree->n_words);
        return PD_OK;
    }
    f.words = m->near_ends;
    f.max_bytes = max_bytes;
    memset(f.words, 0, m->tree->n_words * sizeof *f.words);
    PD_TRY(find_tokens(&f, state));
    add_words(words, f.words, m->tree->n_words);
    return PD_OK;
}

/* ---- tokens of a byte ------------------------------------------------------------------------ */

/* The characters whose UTF-8 begins with these bytes. False: there are none. */
static bool chars_with(const uint8_t *bytes, uint32_t n, uint32_t *first, uint32_t *last) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t need = pd_utf8_need(bytes[0]);
    if (need < 2 || n > need) return false;
    *first = *last = bytes[0] & (0xffu >> (need + 1));
    for (uint32_t i = 1; i < need; i++) {
        if (i < n && (bytes[i] & 0xc0) != 0x80) return false;
        *first = *first << 6 | (i < n ? bytes[i] & 0x3fu : 0);
        *last = *last << 6 | (i < n ? bytes[i] & 0x3fu : 0x3f);
    }
    if (*first < least[need]) *first = least[need];
    if (*last > PD_CHAR_MAX) *last = PD_CHAR_MAX;
    return *first <= *last;
}

pd_status pd_token_masks_bytes(pd_token_masks *m, uint32_t state, const uint8_t *begun, uint32_t n,
                               uint32_t max_bytes, uint32_t *words, pd_error *err) {
    uint8_t bytes[4];
    uint32_t first, last, needed;
    if (n) memcpy(bytes, begun, n);
    for (uint32_t byte = 0x80; byte < 256; byte++) {
        uint32_t token = m->tree->byte_tokens[byte];
        bytes[n] = (uint8_t)byte;
        if (token == PD_NO_TOKEN || !chars_with(bytes, n + 1, &first, &last)) continue;
        PD_TRY(pd_automaton_nearest_end(m->automaton, state, first, last, &needed, err));
        uint64_t rest = needed + pd_utf8_need(bytes[0]) - (n + 1);
        if (needed != PD_NEVER_ENDS && rest <= max_bytes) pd_mask_allow(words, token);
    }
    return PD_OK;
}

/* ---- making ---------------------------------------------------------------------------------- */

static bool has_plain(uint32_t first, uint32_t last) {
    if (first >= 0xd800 && last <= 0xdfff) return false; /* no characters */
    while (first <= last && !pd_char_is_plain(first)) first++;
    return first <= last;
}

static void list_plain_classes(pd_token_masks *m, const pd_char_classes *c) {
    for (uint32_t i = 0; i < c->n_intervals; i++) {
        uint32_t last = i + 1 < c->n_intervals ? c->starts[i + 1] - 1 : PD_CHAR_MAX;
        bool is_listed = !has_plain(c->starts[i], last);
        for (uint32_t k = 0; k < m->n_plain && !is_listed; k++)
            is_listed = m->plain[k] == c->classes[i];
        if (!is_listed) m->plain[m->n_plain++] = c->classes[i];
    }
}

static void classify_chars(pd_token_masks *m, const pd_char_classes *c) {
    for (uint32_t i = 0, at = 0; i < m->tree->n_chars; i++) {
        while (at + 1 < c->n_intervals && c->starts[at + 1] <= m->tree->chars[i]) at++;
        m->classes[i] = (uint16_t)c->classes[at];
    }
}

pd_status pd_token_masks_create(pd_automaton *a, const pd_token_tree *t, pd_token_masks **out,
                                pd_error *err) {
    const pd_char_classes *c = pd_automaton_classes(a);
    pd_token_masks *m = pd_alloc(1, sizeof *m);
    if (!m) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar's masks");
    m->automaton = a;
    m->tree = t;
    m->n_classes = c->n_classes;
    m->classes = pd_alloc(t->n_chars + 1, sizeof *m->classes);
    m->plain = pd_alloc(c->n_classes, sizeof *m->plain);
    m->states = pd_alloc(t->longest + 1, sizeof *m->states);
    m->near_ends = pd_alloc(t->n_words + 1, sizeof *m->near_ends);
    if (m->classes && m->plain && m->states && m->near_ends) {
        list_plain_classes(m, c);
        classify_chars(m, c);
        *out = m;
        return PD_OK;
    }
    pd_token_masks_destroy(m);
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar's masks");
}

void pd_token_masks_destroy(pd_token_masks *m) {
    if (!m) return;
    for (uint32_t i = 0; i < N_KEPT; i++) pd_free(m->kept[i].words);
    pd_free(m->classes);
    pd_free(m->plain);
    pd_free(m->states);
    pd_free(m->near_ends);
    pd_free(m);
}
