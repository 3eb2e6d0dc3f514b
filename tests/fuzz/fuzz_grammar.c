/* Grammars: the first byte chooses the notation (a schema, GBNF, a regular expression, choices),
 * the second how an answer goes on. Of a grammar that is understood an answer is written, token by
 * token, by chance: each token that a mask allows must be taken, and those that are forced as well.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "fuzz.h"
#include "grammar/grammar.h"

enum { ANSWER = 24 };

static const pd_token_tree *tree(void) {
    static pd_token_tree *t;
    pd_error err;
    if (!t) fuzz_check(pd_token_tree_create(fuzz_vocab(), &t, &err) == PD_OK, "no tree of tokens");
    return t;
}

/* A token of the mask, from a place by chance; none: PD_NO_TOKEN. */
static uint32_t pick(const uint32_t *words, uint32_t n, uint32_t random) {
    for (uint32_t i = 0; i < n; i++)
        if (pd_mask_allows(words, (random + i) % n)) return (random + i) % n;
    return PD_NO_TOKEN;
}

static bool take_forced(pd_grammar *g, pd_grammar_place *place, pd_error *err) {
    uint32_t ids[8], n;
    if (!fuzz_clean(pd_grammar_get_forced(g, place, ids, 8, &n, err), err)) return false;
    for (uint32_t i = 0; i < n; i++)
        fuzz_check(pd_grammar_take(g, place, ids[i], err) == PD_OK, "a forced token is refused");
    return true;
}

static void write_answer(pd_grammar *g, uint32_t random) {
    pd_grammar_place place = {0};
    pd_error err = {0};
    uint32_t n_vocab = pd_vocab_count(fuzz_vocab());
    uint32_t *words = calloc(pd_grammar_mask_words(g), sizeof *words);
    fuzz_check(words != NULL, "no memory for a mask");
    for (uint32_t left = ANSWER; left > 0 && !place.has_ended; left--) {
        uint32_t n_left = random % 3 ? left : UINT32_MAX;
        random = random * 1664525 + 1013904223;
        if (!fuzz_clean(pd_grammar_get_mask(g, &place, n_left, words, &err), &err)) break;
        uint32_t id = pick(words, n_vocab, (random >> 8) % n_vocab);
        fuzz_check(id != PD_NO_TOKEN, "a mask allows nothing");
        if (!fuzz_clean(pd_grammar_take(g, &place, id, &err), &err)) break;
        if (!take_forced(g, &place, &err)) break;
    }
    free(words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const pd_grammar_kind kinds[] = {PD_GRAMMAR_JSON_SCHEMA, PD_GRAMMAR_GBNF,
                                            PD_GRAMMAR_REGEX, PD_GRAMMAR_CHOICES, PD_GRAMMAR_JSON};
    pd_grammar *g;
    pd_error err = {0};
    if (n < 2) return 0;
    pd_grammar_kind kind = kinds[data[0] % 5];
    if (!fuzz_clean(pd_grammar_make(tree(), kind, (const char *)data + 2, n - 2, &g, &err), &err))
        return 0;
    write_answer(g, data[1]);
    pd_grammar_free(g);
    return 0;
}
