/* Conversations as tokens: what was drawn comes back as it was drawn, whatever its text would
 * become.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "cli/chat/conversation.h"
#include "support_data.h"

static pd_model *model;

static int open_model(void **state) {
    (void)state;
    pd_model_desc desc = {.vocab_only = true};
    return pd_model_open(test_data("golden/small-q4_0.gguf"), &desc, &model, NULL) == PD_OK ? 0
                                                                                            : -1;
}

static int close_model(void **state) {
    (void)state;
    pd_model_close(model);
    return 0;
}

static void ask(chat_conversation *c, const char *text) {
    chat_turn t;
    pd_error err;
    if (chat_turn_make(text, strlen(text), NULL, &t, &err) != PD_OK) fail_msg("%s", err.message);
    assert_int_equal(chat_push(c, &t, &err), PD_OK);
    assert_null(t.typed);
}

static void answer(chat_conversation *c, const char *text, const uint32_t *ids, size_t n) {
    assert_int_equal(chat_turn_set_answer(chat_last(c), text, strlen(text), ids, n, NULL), PD_OK);
}

static chat_prompt make(const chat_conversation *c) {
    chat_prompt p;
    pd_error err;
    if (chat_prompt_make(model, c, &p, &err) != PD_OK) fail_msg("%s", err.message);
    return p;
}

static void expect_ids(const chat_prompt *p, const uint32_t *ids, size_t n) {
    assert_int_equal(p->n_ids, n);
    assert_memory_equal(p->ids, ids, n * sizeof *ids);
}

/* ---- the template ---------------------------------------------------------------------------- */

/* Tokens that no text becomes: single letters where longer tokens would be taken. */
static size_t letters(const char *text, uint32_t *ids) {
    size_t n = 0, k;
    const pd_tokenize_desc desc = {.no_bos = true};
    for (; *text; text++) {
        assert_int_equal(pd_tokenize(model, text, 1, &desc, ids + n, 8, &k, NULL), PD_OK);
        n += k;
    }
    return n;
}

static void test_first_question(void **state) {
    (void)state;
    chat_conversation c = {0};
    uint32_t ids[256];
    size_t n;
    ask(&c, "hello there");
    assert_int_equal(chat_set_system(&c, "Be brief.", 9, NULL), PD_OK);
    const pd_chat_turn turns[] = {{"system", "Be brief.", 9, NULL, 0},
                                  {"user", "hello there", 11, NULL, 0}};
    assert_int_equal(pd_chat_encode(model, turns, 2, ids, 256, &n, NULL), PD_OK);
    chat_prompt p = make(&c);
    expect_ids(&p, ids, n);
    chat_prompt_free(&p);
    assert_int_equal(chat_set_system(&c, " \n", 2, NULL), PD_OK);
    assert_null(c.system);
    p = make(&c);
    assert_true(p.n_ids < n);
    chat_prompt_free(&p);
    chat_free(&c);
}

/* The prompt of each turn begins with that of the turn before and its answer, token by token. */
static void test_prefixes(void **state) {
    (void)state;
    static const char *const questions[] = {"hello", "<end_of_turn>", "", " spaces ", "a\n\nb"};
    static const char *const answers[] = {"there there", "", "\n\nx", "  two  ", "end"};
    chat_conversation c = {0};
    uint32_t before[1024], drawn[64];
    size_t n_before = 0;
    for (size_t i = 0; i < 5; i++) {
        ask(&c, questions[i]);
        chat_prompt p = make(&c);
        assert_true(p.n_ids > n_before);
        if (n_before) assert_memory_equal(p.ids, before, n_before * sizeof *before);
        memcpy(before, p.ids, p.n_ids * sizeof *before);
        n_before = p.n_ids;
        chat_prompt_free(&p);
        size_t n = letters(answers[i], drawn);
        answer(&c, answers[i], drawn, n);
        memcpy(before + n_before, drawn, n * sizeof *drawn);
        n_before += n;
    }
    chat_free(&c);
}

/* With answers as their text would be tokenised, the prompt is what pd_chat_encode makes of it all.
 */
static void test_as_encoded(void **state) {
    (void)state;
    chat_conversation c = {0};
    const pd_chat_turn turns[] = {
        {"user", "hello", 5, NULL, 0}, {"model", "there", 5, NULL, 0}, {"user", "you", 3, NULL, 0}};
    uint32_t ids[256], whole[256];
    size_t n, n_whole, first;
    assert_int_equal(pd_chat_encode(model, turns, 3, whole, 256, &n_whole, NULL), PD_OK);
    assert_int_equal(pd_chat_encode(model, turns, 1, ids, 256, &first, NULL), PD_OK);
    for (n = first; whole[n] != PD_TOKEN_END_OF_TURN;) n++;
    ask(&c, "hello");
    answer(&c, "there", whole + first, n - first);
    ask(&c, "you");
    chat_prompt p = make(&c);
    expect_ids(&p, whole, n_whole);
    chat_prompt_free(&p);
    chat_free(&c);
}

static void test_splice(void **state) {
    (void)state;
    enum { E = PD_TOKEN_END_OF_TURN };
    uint32_t first[] = {7, 8}, out[16];
    const chat_turn turns[3] = {
        {.ids = first, .n_ids = 2}, {.n_ids = 0}, {.ids = first, .n_ids = 2}};
    const uint32_t ids[] = {1, E, 2, E, 3, E, 4, E, 5, E, 6};
    const uint32_t expected[] = {1, E, 2, 7, 8, E, 3, E, 4, E, 5, E, 6};
    assert_int_equal(chat_splice(ids, 11, turns, 3, out), 13);
    assert_memory_equal(out, expected, sizeof expected);
    assert_int_equal(chat_splice(ids, 2, turns, 1, out), 2); /* the last one's answer is to come */
}

/* ---- without it ------------------------------------------------------------------------------ */

static void test_raw(void **state) {
    (void)state;
    chat_conversation c = {.raw = true};
    uint32_t ids[64], drawn[8];
    size_t n, k;
    const pd_tokenize_desc desc = {.no_bos = true};
    assert_int_equal(pd_tokenize(model, "Once upon", 9, NULL, ids, 64, &n, NULL), PD_OK);
    ask(&c, "Once upon");
    chat_prompt p = make(&c);
    expect_ids(&p, ids, n);
    chat_prompt_free(&p);
    k = letters(" a time", drawn);
    answer(&c, " a time", drawn, k);
    ask(&c, " there was");
    memcpy(ids + n, drawn, k * sizeof *ids);
    n += k;
    assert_int_equal(pd_tokenize(model, " there was", 10, &desc, ids + n, 64 - n, &k, NULL), PD_OK);
    p = make(&c);
    expect_ids(&p, ids, n + k);
    chat_prompt_free(&p);
    chat_free(&c);
}

/* ---- spelling -------------------------------------------------------------------------------- */

static void expect_text(const uint32_t *ids, size_t n, const char *text) {
    char out[1024];
    size_t at = 0;
    pd_detokenizer d;
    pd_detokenizer_init(&d);
    for (size_t i = 0; i < n; i++) at += pd_detokenize(model, &d, ids[i], out + at);
    at += pd_detokenizer_flush(&d, out + at);
    assert_int_equal(at, strlen(text));
    assert_memory_equal(out, text, at);
}

static void spell(const uint32_t *ids, size_t n, const char *text, size_t n_kept) {
    uint32_t *out;
    size_t n_out;
    assert_int_equal(chat_spell(model, ids, n, text, strlen(text), &out, &n_out, NULL), PD_OK);
    expect_text(out, n_out, text);
    assert_true(n_out >= n_kept);
    if (n_kept) assert_memory_equal(out, ids, n_kept * sizeof *out);
    pd_free(out);
}

static void test_spelling(void **state) {
    (void)state;
    uint32_t ids[64], bytes[8];
    size_t n = letters("hello there", ids), k;
    const pd_tokenize_desc desc = {.no_bos = true};
    spell(ids, n, "hello there", n);
    spell(ids, n, "hello", 5);
    spell(ids, n, "", 0);
    spell(ids, n, "hello you", 6);
    spell(ids, n, "another", 0);
    spell(ids, n, "hello there, and more", n);
    spell(NULL, 0, "from nothing", 0);
    /* a character of several tokens: cut within, it counts as a whole or not at all */
    assert_int_equal(pd_tokenize(model, "\xf0\x9f\x98\x80", 4, &desc, bytes, 8, &k, NULL), PD_OK);
    if (k < 4) skip();
    spell(bytes, k, "\xf0\x9f\x98\x80", k);
    spell(bytes, 2, "\xef\xbf\xbd\xef\xbf\xbd", 2); /* as an interrupted answer shows it */
    spell(bytes, k, "x", 0);
}

/* ---- the list -------------------------------------------------------------------------------- */

static void test_list(void **state) {
    (void)state;
    chat_conversation c = {0};
    chat_turn last;
    char text[32];
    assert_null(chat_last(&c));
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "question %d", i);
        ask(&c, text);
        answer(&c, "a", &(uint32_t){5}, 1);
    }
    chat_drop_first(&c, 3);
    assert_int_equal(c.n, 37);
    assert_string_equal(c.turns[0].typed, "question 3");
    chat_take_last(&c, &last);
    assert_string_equal(last.typed, "question 39");
    assert_string_equal(last.answer, "a");
    chat_turn_free(&last);
    assert_string_equal(chat_last(&c)->typed, "question 38");
    chat_drop_first(&c, 0);
    chat_clear(&c);
    assert_int_equal(c.n, 0);
    chat_free(&c);
}

static void test_refused(void **state) {
    (void)state;
    chat_turn t;
    chat_conversation c = {0};
    pd_error err;
    assert_int_equal(chat_turn_make("a\xff", 2, NULL, &t, &err), PD_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "byte 1"));
    assert_null(t.typed);
    assert_int_equal(chat_set_system(&c, "old", 3, NULL), PD_OK);
    assert_int_equal(chat_set_system(&c, "\xc3", 1, &err), PD_ERR_ARGUMENT);
    assert_string_equal(c.system, "old");
    chat_free(&c);
}

/* ---- pictures -------------------------------------------------------------------------------- */

static void test_pictures(void **state) {
    (void)state;
    chat_conversation c = {0};
    chat_pictures p = {0};
    chat_turn t;
    pd_error err;
    const char *path = test_data("images/small.png");
    assert_int_equal(chat_pictures_read(&p, path, false, &err), PD_OK);
    assert_int_equal(chat_pictures_read(&p, "/nonexistent", false, &err), PD_ERR_IO);
    assert_int_equal(p.n, 1);
    assert_int_equal(strlen(p.items[0].sha256), 64);
    assert_int_equal(chat_turn_make("a <image> b", 11, &p, &t, &err), PD_OK);
    assert_int_equal(p.n, 0);
    assert_int_equal(t.n_text, 4);
    assert_int_equal(t.places[0].at, 2);
    assert_string_equal(t.typed, "a <image> b");
    assert_int_equal(chat_push(&c, &t, &err), PD_OK);
    chat_prompt prompt = make(&c);
    size_t n_places = 0;
    for (size_t i = 0; i < prompt.n_ids; i++) n_places += prompt.ids[i] == PD_TOKEN_IMAGE;
    assert_int_equal(n_places, 1);
    assert_int_equal(prompt.n_images, 1);
    chat_prompt_free(&prompt);
    assert_int_equal(chat_pictures_read(&p, path, false, &err), PD_OK);
    assert_int_equal(chat_turn_make("<image><image>", 14, &p, &t, &err), PD_ERR_ARGUMENT);
    assert_int_equal(p.n, 1); /* to be used again */
    chat_pictures_free(&p);
    chat_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_question),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_as_encoded),
        cmocka_unit_test(test_splice),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_spelling),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_pictures),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
