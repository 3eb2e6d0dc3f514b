/* See grammar.h.  SPDX-License-Identifier: MIT */
#include "grammar/grammar.h"

#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "base/thread.h"
#include "grammar/readers.h"
#include "model/config.h"

struct pd_grammar {
    const pd_token_tree *tree;
    pd_automaton *automaton;
    pd_token_masks *masks;
    pd_mutex *lock; /* of both, which learn while they are asked */
    bool has_words; /* answers may be texts that nothing but their length cuts off */
};

/* ---- making ---------------------------------------------------------------------------------- */

static pd_status compile(pd_grammar *g, pd_grammar_kind kind, const char *text, size_t n,
                         pd_error *err) {
    pd_rules rules = {0};
    pd_node root;
    pd_status status = pd_grammar_read(&rules, kind, text, n, &root, err);
    if (status == PD_OK) status = pd_automaton_create(&rules, root, &g->automaton, err);
    pd_rules_free(&rules);
    return status;
}

pd_status pd_grammar_make(const pd_token_tree *t, pd_grammar_kind kind, const char *text, size_t n,
                          pd_grammar **out, pd_error *err) {
    pd_grammar *g = pd_alloc(1, sizeof *g);
    if (!g) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar");
    g->tree = t;
    g->has_words = kind == PD_GRAMMAR_TOOLS;
    g->lock = pd_mutex_create();
    pd_status status = g->lock ? compile(g, kind, text, n, err)
                               : PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a grammar");
    if (status == PD_OK) status = pd_token_masks_create(g->automaton, t, &g->masks, err);
    if (status == PD_OK)
        *out = g;
    else
        pd_grammar_free(g);
    return status;
}

void pd_grammar_free(pd_grammar *g) {
    if (!g) return;
    pd_token_masks_destroy(g->masks);
    pd_automaton_destroy(g->automaton);
    pd_mutex_destroy(g->lock);
    pd_free(g);
}

/* ---- places ---------------------------------------------------------------------------------- */

static uint32_t state_of(const pd_grammar_place *place) {
    return place->state ? place->state : PD_STATE_START;
}

static pd_status check_open(const pd_grammar_place *place, pd_error *err) {
    if (!place->has_ended) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "the answer has come to its grammar's end");
}

static pd_status refuse_token(uint32_t id, pd_error *err) {
    return PD_RAISE(err, PD_ERR_ARGUMENT, "token %u cannot follow in the grammar", id);
}

/* The characters that are complete move the state; the bytes of one that is not are kept. */
static pd_status take_bytes(pd_grammar *g, pd_grammar_place *place, pd_string text, uint32_t id,
                            pd_error *err) {
    uint32_t state = state_of(place);
    for (size_t i = 0; i < text.n; i++) {
        if (place->n_begun == sizeof place->begun) return refuse_token(id, err);
        place->begun[place->n_begun++] = (uint8_t)text.data[i];
        size_t need = pd_utf8_need(place->begun[0]), at = 0;
        if (need == 0) return refuse_token(id, err);
        if (place->n_begun < need) continue;
        if (pd_utf8_length(place->begun, need) != need) return refuse_token(id, err);
        uint32_t c = pd_utf8_next((const char *)place->begun, need, &at);
        PD_TRY(pd_automaton_step(g->automaton, state, c, &state, err));
        if (state == PD_STATE_DEAD) return refuse_token(id, err);
        place->n_begun = 0;
    }
    place->state = state;
    return PD_OK;
}

static pd_status is_free(pd_grammar *g, const pd_grammar_place *place, bool *out, pd_error *err) {
    *out = false;
    if (place->has_ended || place->n_begun) return PD_OK;
    return pd_automaton_is_free(g->automaton, state_of(place), out, err);
}

pd_status pd_grammar_is_free(pd_grammar *g, const pd_grammar_place *place, bool *out,
                             pd_error *err) {
    pd_mutex_lock(g->lock);
    pd_status status = is_free(g, place, out, err);
    pd_mutex_unlock(g->lock);
    return status;
}

static pd_status take(pd_grammar *g, pd_grammar_place *place, uint32_t id, pd_error *err) {
    pd_grammar_place next = *place;
    bool anything_goes;
    PD_TRY(check_open(place, err));
    PD_TRY(is_free(g, place, &anything_goes, err));
    if (anything_goes) return PD_OK;
    if (pd_special_is_stop(pd_vocab_special(g->tree->vocab), id)) {
        bool may_end = place->n_begun == 0 && pd_automaton_may_end(g->automaton, state_of(place));
        if (!may_end) return refuse_token(id, err);
        place->has_ended = true;
        return PD_OK;
    }
    pd_string text = pd_vocab_text(g->tree->vocab, id);
    if (text.n == 0 || pd_vocab_is_control(g->tree->vocab, id)) return refuse_token(id, err);
    PD_TRY(take_bytes(g, &next, text, id, err));
    *place = next;
    return PD_OK;
}

pd_status pd_grammar_take(pd_grammar *g, pd_grammar_place *place, uint32_t id, pd_error *err) {
    pd_mutex_lock(g->lock);
    pd_status status = take(g, place, id, err);
    pd_mutex_unlock(g->lock);
    return status;
}

/* ---- masks ----------------------------------------------------------------------------------- */

uint32_t pd_grammar_mask_words(const pd_grammar *g) {
    uint32_t least = pd_div_up(PD_TEXT_VOCAB, 32);
    return g->tree->n_words > least ? g->tree->n_words : least;
}

/* Bytes that may lie between what a token leaves and an end: of the tokens left one is drawn now,
 * one ends the answer, and each of the others writes a byte at least. */
static uint32_t bytes_left(uint32_t n_left) {
    return n_left == UINT32_MAX ? PD_NO_LIMIT : n_left > 2 ? n_left - 2 : 0;
}

static bool is_empty(const uint32_t *words, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (words[i]) return false;
    return true;
}

static pd_status find_tokens(pd_grammar *g, const pd_grammar_place *place, uint32_t max_bytes,
                             uint32_t *words, pd_error *err) {
    uint32_t state = state_of(place);
    if (place->n_begun == 0) PD_TRY(pd_token_masks_get(g->masks, state, max_bytes, words, err));
    return pd_token_masks_bytes(g->masks, state, place->begun, place->n_begun, max_bytes, words,
                                err);
}

/* Where no token leads to an end that is near enough, all may follow: the answer will be cut off. A
 * text without any form is not brought to an end: its last token is one more of it. */
static pd_status get_mask(pd_grammar *g, const pd_grammar_place *place, uint32_t n_left,
                          uint32_t *words, pd_error *err) {
    const pd_special *special = pd_vocab_special(g->tree->vocab);
    PD_TRY(check_open(place, err));
    bool may_end = place->n_begun == 0 && pd_automaton_may_end(g->automaton, state_of(place));
    for (uint32_t i = 0; i < special->n_stops && may_end; i++)
        pd_mask_allow(words, special->stops[i]);
    if (n_left > 1 || g->has_words) PD_TRY(find_tokens(g, place, bytes_left(n_left), words, err));
    if (is_empty(words, g->tree->n_words)) PD_TRY(find_tokens(g, place, PD_NO_LIMIT, words, err));
    if (!is_empty(words, g->tree->n_words)) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "no token of the model's vocabulary goes on in the grammar");
}

pd_status pd_grammar_get_mask(pd_grammar *g, const pd_grammar_place *place, uint32_t n_left,
                              uint32_t *words, pd_error *err) {
    memset(words, 0, pd_grammar_mask_words(g) * sizeof *words);
    pd_mutex_lock(g->lock);
    pd_status status = get_mask(g, place, n_left, words, err);
    pd_mutex_unlock(g->lock);
    return status;
}

/* ---- what alone can follow ------------------------------------------------------------------- */

/* The text up to where there is a choice; *ends: nothing can follow it. */
static pd_status forced_text(pd_grammar *g, const pd_grammar_place *place, char *text, size_t max,
                             size_t *n, bool *ends, pd_error *err) {
    uint32_t state = state_of(place), c;
    *n = 0;
    PD_TRY(pd_automaton_only_char(g->automaton, state, &c, err));
    while (c != PD_NO_CHAR && *n + 4 <= max) {
        *n += pd_utf8_encode(c, text + *n);
        PD_TRY(pd_automaton_step(g->automaton, state, c, &state, err));
        PD_TRY(pd_automaton_only_char(g->automaton, state, &c, err));
    }
    *ends = pd_automaton_is_last(g->automaton, state);
    return PD_OK;
}

/* How many of the tokens write what they stand for: U+2581 in a text becomes a space's token. */
static uint32_t count_taken(pd_grammar *g, const pd_grammar_place *place, const uint32_t *ids,
                            uint32_t n) {
    pd_grammar_place at = *place;
    pd_error unused;
    uint32_t taken = 0;
    while (taken < n && take(g, &at, ids[taken], &unused) == PD_OK) taken++;
    return taken;
}

static pd_status get_forced(pd_grammar *g, const pd_grammar_place *place, uint32_t *ids,
                            uint32_t n_max, uint32_t *n, pd_error *err) {
    enum { MAX_TEXT = 1024 };
    char text[MAX_TEXT];
    uint32_t all[MAX_TEXT + 16];
    size_t n_text, n_ids;
    bool ends;
    *n = 0;
    if (place->has_ended || place->n_begun || n_max == 0) return PD_OK;
    PD_TRY(forced_text(g, place, text, sizeof text, &n_text, &ends, err));
    if (n_text < 2) return PD_OK;
    PD_TRY(pd_vocab_encode(g->tree->vocab, text, n_text, false, all, MAX_TEXT + 16, &n_ids, err));
    if (!ends && n_ids > 0) n_ids--; /* what follows may belong to the last one */
    *n = count_taken(g, place, all, n_ids < n_max ? (uint32_t)n_ids : n_max);
    memcpy(ids, all, *n * sizeof *ids);
    return PD_OK;
}

pd_status pd_grammar_get_forced(pd_grammar *g, const pd_grammar_place *place, uint32_t *ids,
                                uint32_t n_max, uint32_t *n, pd_error *err) {
    pd_mutex_lock(g->lock);
    pd_status status = get_forced(g, place, ids, n_max, n, err);
    pd_mutex_unlock(g->lock);
    return status;
}
