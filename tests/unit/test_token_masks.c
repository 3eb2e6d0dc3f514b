/* Masks of tokens against brute force: each token of a vocabulary, character by character.
 * PERIDOT_TOKENIZER_JSON: over the real vocabulary too.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_vocab.h"

#include <time.h>

#include "base/bytes.h"
#include "grammar/gbnf.h"
#include "grammar/token_masks.h"

/* ---- by brute force -------------------------------------------------------------------------- */

/* Can a text that begins with these bytes, fewer than a character's, go on? By all characters near
 * them. */
static bool may_complete(pd_automaton *a, uint32_t state, const uint8_t *bytes, size_t n,
                         uint32_t max_bytes) {
    size_t length = pd_utf8_need(bytes[0]);
    char all[4];
    if (length < 2) return false;
    uint32_t from = bytes[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) from = from << 6 | (i < n ? bytes[i] & 0x3fu : 0);
    for (uint32_t c = from; c < from + (1u << (6 * (length - n))) && c <= PD_CHAR_MAX; c++) {
        uint32_t next;
        if (c >= 0xd800 && c < 0xe000) continue;
        if (pd_utf8_encode(c, all) != length || memcmp(all, bytes, n) != 0) continue;
        assert_int_equal(pd_automaton_step(a, state, c, &next, NULL), PD_OK);
        if (next != PD_STATE_DEAD && pd_automaton_min_bytes(a, next) + length - n <= max_bytes)
            return true;
    }
    return false;
}

static bool may_follow(pd_automaton *a, uint32_t state, pd_string s, uint32_t max_bytes) {
    if (pd_utf8_valid_bytes(s.data, s.n) < s.n)
        return s.n == 1 && may_complete(a, state, (const uint8_t *)s.data, 1, max_bytes);
    for (size_t at = 0; at < s.n;) {
        uint32_t c = pd_utf8_next(s.data, s.n, &at);
        assert_int_equal(pd_automaton_step(a, state, c, &state, NULL), PD_OK);
        if (state == PD_STATE_DEAD) return false;
    }
    return pd_automaton_min_bytes(a, state) <= max_bytes;
}

/* ---- grammars and states --------------------------------------------------------------------- */

#define JSON                                                                                       \
    "root ::= object\n"                                                                            \
    "value ::= object | array | string | number | \"true\" | \"false\" | \"null\"\n"               \
    "object ::= \"{\" ws (pair (\",\" ws pair)*)? \"}\" ws\n"                                      \
    "pair ::= string \":\" ws value\n"                                                             \
    "array ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n"                                     \
    "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" [0-9a-f]{4}))* " \
    "\"\\\"\" ws\n"                                                                                \
    "number ::= \"-\"? [0-9]{1,15} ws\n"                                                           \
    "ws ::= [ \\n]{0,8}\n"

static const char *const grammars[] = {
    JSON,
    "root ::= \"\\\"\" [^\"\\\\\\x00-\\x1f]{0,12} \"\\\"\"", /* a text of a limited length */
    "root ::= [^x]*",
    "root ::= [a-z ]+ \"\\n\"",
    "root ::= [\xc3\xa4-\xc3\xbc\xe2\x82\xac]{2,5} [\xf0\x9f\x98\x80-\xf0\x9f\x99\x8f]?",
    "root ::= \"yes\" | \"no\" | \"perhaps, \" [^.]+ \".\"",
    "root ::= . | .{3}",
};

static pd_automaton *make(const char *text) {
    pd_rules r = {0};
    pd_node root;
    pd_error err;
    pd_automaton *a = NULL;
    if (pd_gbnf_read(&r, text, strlen(text), &root, &err) != PD_OK ||
        pd_automaton_create(&r, root, &a, &err) != PD_OK)
        fail_msg("%s", err.message);
    pd_rules_free(&r);
    return a;
}

typedef struct checking {
    pd_vocab *vocab;
    pd_token_tree *tree;
    pd_automaton *automaton;
    pd_token_masks *masks;
    uint32_t *words;
    uint64_t random;
    double longest_ms;
} checking;

static uint32_t draw(checking *c, uint32_t n) {
    c->random = c->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((c->random >> 33) % n);
}

/* Of processor time: the longest, for whoever wants to know; no bound is set here. */
static void get_mask(checking *c, uint32_t state, uint32_t max_bytes) {
    pd_error err;
    memset(c->words, 0, c->tree->n_words * sizeof *c->words);
    clock_t begin = clock();
    assert_int_equal(pd_token_masks_get(c->masks, state, max_bytes, c->words, &err), PD_OK);
    assert_int_equal(pd_token_masks_bytes(c->masks, state, NULL, 0, max_bytes, c->words, &err),
                     PD_OK);
    double ms = 1e3 * (double)(clock() - begin) / CLOCKS_PER_SEC;
    if (ms > c->longest_ms) c->longest_ms = ms;
}

/* with_bytes: tokens of a byte too, which takes a second. */
static void check_mask(checking *c, const char *grammar, uint32_t state, uint32_t max_bytes,
                       bool with_bytes) {
    const pd_special *s = pd_vocab_special(c->vocab);
    get_mask(c, state, max_bytes);
    for (uint32_t id = 0; id < c->tree->n_vocab; id++) {
        pd_string text = pd_vocab_text(c->vocab, id);
        bool is_text = text.n > 0 && !pd_vocab_is_control(c->vocab, id) &&
                       !pd_special_is_stop(s, id) && id != s->start_of_image &&
                       id != s->end_of_image;
        if (!with_bytes && pd_utf8_valid_bytes(text.data, text.n) < text.n) continue;
        bool want = is_text && may_follow(c->automaton, state, text, max_bytes);
        if (pd_mask_allows(c->words, id) != want)
            fail_msg("%s: state %u, at most %u bytes to the end: token %u (%.*s) is %s", grammar,
                     state, max_bytes, id, (int)text.n, text.data, want ? "left out" : "allowed");
    }
}

/* A token that may follow, by chance; false: none does. */
static bool go_on(checking *c, uint32_t *state) {
    uint32_t n = c->tree->n_vocab, from = draw(c, n);
    get_mask(c, *state, PD_NO_LIMIT);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = (from + i) % n;
        pd_string s = pd_vocab_text(c->vocab, id);
        if (!pd_mask_allows(c->words, id) || pd_utf8_valid_bytes(s.data, s.n) < s.n) continue;
        for (size_t at = 0; at < s.n;)
            pd_automaton_step(c->automaton, *state, pd_utf8_next(s.data, s.n, &at), state, NULL);
        return true;
    }
    return false;
}

static void check_grammar(checking *c, const char *grammar, uint32_t n_states) {
    pd_error err;
    c->automaton = make(grammar);
    assert_int_equal(pd_token_masks_create(c->automaton, c->tree, &c->masks, &err), PD_OK);
    uint32_t state = PD_STATE_START;
    for (uint32_t i = 0; i < n_states; i++) {
        uint32_t nearest = pd_automaton_min_bytes(c->automaton, state);
        check_mask(c, grammar, state, PD_NO_LIMIT, i % 16 == 0);
        check_mask(c, grammar, state, nearest + draw(c, 4), i % 32 == 1);
        if (!go_on(c, &state)) state = PD_STATE_START;
    }
    print_message("%.40s...: %u masks, the longest took %.2f ms\n", grammar, 2 * n_states,
                  c->longest_ms);
    c->longest_ms = 0;
    pd_token_masks_destroy(c->masks);
    pd_automaton_destroy(c->automaton);
}

static void check_vocabulary(pd_vocab *v, uint32_t n_states) {
    checking c = {.vocab = v, .random = 7};
    pd_error err;
    assert_int_equal(pd_token_tree_create(v, &c.tree, &err), PD_OK);
    c.words = malloc(c.tree->n_words * sizeof *c.words);
    for (size_t i = 0; i < sizeof grammars / sizeof *grammars; i++)
        check_grammar(&c, grammars[i], n_states);
    free(c.words);
    pd_token_tree_destroy(c.tree);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_small_vocabulary(void **state) {
    (void)state;
    pd_gguf *file = open_gguf(GOLDEN("small-q4_0.gguf"));
    pd_vocab *v = open_vocab(file);
    check_vocabulary(v, 60);
    pd_vocab_close(v);
    pd_gguf_close(file);
}

static void test_real_vocabulary(void **state) {
    (void)state;
    pd_gguf *file = real_vocab(0);
    if (!file) {
        print_message(NO_VOCAB);
        skip();
    }
    pd_vocab *v = open_vocab(file);
    check_vocabulary(v, getenv("PERIDOT_TEST_LONG") ? 200 : 30);
    pd_vocab_close(v);
    pd_gguf_close(file);
}

/* The rest of a character behind its first bytes. */
static void test_begun_characters(void **state) {
    (void)state;
    static const uint8_t begun[][3] = {
        {0xc3}, {0xe2}, {0xe2, 0x82}, {0xf0, 0x9f}, {0xf0, 0x9f, 0x98}, {0xed}, {0xf4}};
    static const uint8_t lengths[] = {1, 1, 2, 2, 3, 1, 1};
    pd_gguf *file = open_gguf(GOLDEN("small-q4_0.gguf"));
    pd_vocab *v = open_vocab(file);
    pd_error err;
    checking c = {0};
    assert_int_equal(pd_token_tree_create(v, &c.tree, &err), PD_OK);
    c.words = malloc(c.tree->n_words * sizeof *c.words);
    for (size_t g = 0; g < sizeof grammars / sizeof *grammars; g++) {
        c.automaton = make(grammars[g]);
        assert_int_equal(pd_token_masks_create(c.automaton, c.tree, &c.masks, &err), PD_OK);
        for (size_t i = 0; i < sizeof lengths; i++) {
            memset(c.words, 0, c.tree->n_words * sizeof *c.words);
            assert_int_equal(pd_token_masks_bytes(c.masks, PD_STATE_START, begun[i], lengths[i],
                                                  PD_NO_LIMIT, c.words, &err),
                             PD_OK);
            for (uint32_t byte = 0x80; byte < 256; byte++) {
                uint8_t bytes[4];
                memcpy(bytes, begun[i], lengths[i]);
                bytes[lengths[i]] = (uint8_t)byte;
                bool want =
                    may_complete(c.automaton, PD_STATE_START, bytes, lengths[i] + 1u, PD_NO_LIMIT);
                assert_int_equal(pd_mask_allows(c.words, c.tree->byte_tokens[byte]), want);
            }
        }
        pd_token_masks_destroy(c.masks);
        pd_automaton_destroy(c.automaton);
    }
    free(c.words);
    pd_token_tree_destroy(c.tree);
    pd_vocab_close(v);
    pd_gguf_close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_vocabulary),
        cmocka_unit_test(test_real_vocabulary),
        cmocka_unit_test(test_begun_characters),
    };
    return cmocka_run_group_tests_name("unit.token_masks", tests, NULL, NULL);
}
