/* Every allocation of host memory fails once, and then that and all later ones: of making a grammar
 * in each notation, and of writing an answer in it. Each time the library says MEMORY_HOST with a
 * sentence, neither crashes nor leaks, and what was made goes on with the same tokens afterwards.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fault/support_allocations.h"
#include "fault/support_fault.h"
#include "grammar/grammar.h"
#include "support_golden.h"

enum { N_TOKENS = 24 };

static const struct {
    pd_grammar_kind kind;
    const char *text;
} notations[] = {
    {PD_GRAMMAR_JSON, ""},
    {PD_GRAMMAR_GBNF, "root ::= (\"a\" | [b-d]{2,3} | item)* \".\"\nitem ::= \"(\" item? \")\""},
    {PD_GRAMMAR_REGEX, "(a|b{2,4}|[^x])+-\\d{2,}"},
    {PD_GRAMMAR_CHOICES, "[\"yes\", \"no\", \"perhaps\"]"},
    {PD_GRAMMAR_TOOLS,
     "{\"tools\": [{\"name\": \"f\", \"parameters\": {\"properties\": {\"a\": {\"type\": "
     "\"integer\"}}}}], \"parallel\": true}"},
    {PD_GRAMMAR_JSON_SCHEMA, "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": "
                             "\"integer\", \"minimum\": -3, \"maximum\": 120}, "
                             "\"b\": {\"items\": {\"$ref\": \"#/$defs/c\"}, \"minItems\": 1, "
                             "\"maxItems\": 3}, \"d\": {\"format\": "
                             "\"date\"}, \"e\": {\"pattern\": \"^[a-c]+$\", \"maxLength\": 5}, "
                             "\"f\": {\"type\": \"number\", "
                             "\"exclusiveMinimum\": 0.5}}, \"required\": [\"b\"], "
                             "\"additionalProperties\": {\"type\": \"boolean\"}, "
                             "\"$defs\": {\"c\": {\"anyOf\": [{\"enum\": [\"x\", 1, null]}, "
                             "{\"allOf\": [{\"minLength\": 1}, "
                             "{\"type\": \"string\", \"maxLength\": 3}]}]}}}"},
};

/* ---- an answer ---------------------------------------------------------------------------------
 */

/* The tokens that follow, each the first of the mask from a place that depends on how many there
 * are. */
static pd_status write_answer(pd_grammar *g, const pd_vocab *v, uint32_t *ids, uint32_t *n,
                              pd_error *err) {
    static uint32_t words[1 << 13];
    pd_grammar_place place = {0};
    uint32_t n_vocab = pd_vocab_count(v), n_forced, forced[4];
    for (*n = 0; *n < N_TOKENS && !place.has_ended; (*n)++) {
        uint32_t id = 97 * *n % n_vocab;
        PD_TRY(pd_grammar_get_mask(g, &place, N_TOKENS - *n, words, err));
        while (!pd_mask_allows(words, id)) id = (id + 1) % n_vocab;
        PD_TRY(pd_grammar_take(g, &place, id, err));
        PD_TRY(pd_grammar_get_forced(g, &place, forced, 4, &n_forced, err));
        ids[*n] = id;
    }
    return PD_OK;
}

static pd_status run(const pd_vocab *v, size_t which, uint32_t *ids, uint32_t *n, pd_error *err) {
    pd_token_tree *tree;
    pd_grammar *g;
    uint32_t again[N_TOKENS], n_again;
    PD_TRY(pd_token_tree_create(v, &tree, err));
    const char *text = notations[which].text;
    pd_status status = pd_grammar_make(tree, notations[which].kind, text, strlen(text), &g, err);
    if (status == PD_OK) {
        status = write_answer(g, v, ids, n, err);
        pd_error second;
        fail_at = 0;
        must(write_answer(g, v, again, &n_again, &second), &second);
        if (status == PD_OK) assert_memory_equal(ids, again, *n * sizeof *ids);
        pd_grammar_free(g);
    }
    pd_token_tree_destroy(tree);
    return status;
}

/* ---- the walk ----------------------------------------------------------------------------------
 */

static uint32_t walk(const pd_vocab *v, size_t which) {
    uint32_t wanted[N_TOKENS], found[N_TOKENS], n_wanted, n_found;
    pd_error err;
    fail_at = 0;
    must(run(v, which, wanted, &n_wanted, &err), &err);
    for (uint32_t n = 1;; n++) {
        snprintf(where, sizeof where, "notation %zu: allocation %u fails", which, n);
        err = (pd_error){0};
        n_allocations = n_failed = 0;
        fail_at = n;
        pd_status status = run(v, which, found, &n_found, &err);
        fail_at = 0;
        if (n_failed == 0) return n - 1;
        if (status != PD_ERR_MEMORY_HOST || !is_sentence(err.message))
            complain("%s: \"%s\"", pd_status_name(status), err.message);
    }
}

static void every_allocation_fails(void **state) {
    (void)state;
    pd_gguf *file;
    pd_vocab *v;
    pd_error err;
    watch();
    must(pd_gguf_open(GOLDEN("small-q4_0.gguf"), &file, &err), &err);
    must(pd_vocab_open(file, &v, &err), &err);
    for (size_t which = 0; which < sizeof notations / sizeof *notations; which++)
        for (int later = 0; later < 2; later++) {
            ever_after = later;
            uint32_t n = walk(v, which);
            assert_true(n > 20);
            print_message("notation %zu: %u allocations%s\n", which, n,
                          later ? ", with every later one" : "");
        }
    ever_after = false;
    assert_int_equal(n_complaints, 0);
    pd_vocab_close(v);
    pd_gguf_close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails)};
    return cmocka_run_group_tests_name("fault.grammar_allocations", tests, NULL, NULL);
}
