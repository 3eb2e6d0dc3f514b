/* Answers in a grammar: whatever a model with random weights would rather say, what is written
 * fits; complete wherever there is room; the same by sessions and requests, by the host's draws and
 * the device's; several grammars in one step, beside answers without one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/bytes.h"
#include "grammar/gbnf.h"
#include "peridot_grammar.h"
#include "support_requests.h"
#include "unit/support_grammar.h"

#define OBJECT                                                                                     \
    "root ::= \"{\\\"name\\\": \" string \", \\\"sizes\\\": [\" (size (\", \" size){0,3})? "       \
    "\"]}\"\n"                                                                                     \
    "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\" [\"\\\\/bfnrt]){0,20} \"\\\"\"\n"        \
    "size ::= \"-\"? ([0-9] | [1-9] [0-9]{1,5})\n"

static const char *const grammars[] = {
    OBJECT,
    "root ::= \"yes\" | \"no\" | \"perhaps\"",
    "root ::= [a-z]{3,9} (\" \" [a-z]{3,9})* \".\"",
    "root ::= \"(\" root \")\" | [0-9] | root2\nroot2 ::= \"<\" root \">\"",
    "root ::= [\xc3\xa4-\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80]{2,6}", /* bytes, if the model has no
                                                                        token */
    "root ::= \"The whole of this answer is known before it begins.\"",
    "root ::= \"{\" [a-z]{2} \"}\" | [^{] .*", /* free from its second character on, if it is not an
                                                  object */
};
enum { N_GRAMMARS = sizeof grammars / sizeof *grammars, FREE = N_GRAMMARS - 1 };

/* ---- what was written ------------------------------------------------------------------------ */

static void text_of(const pd_model *m, const answer *a, char *out, size_t size) {
    pd_detokenizer d;
    size_t n = 0;
    pd_detokenizer_init(&d);
    for (uint32_t i = 0; i < a->n[0] && n + 2 * PD_DETOKENIZE_MAX_BYTES < size; i++)
        n += pd_detokenize(m, &d, a->ids[0][i], out + n);
    n += pd_detokenizer_flush(&d, out + n);
    out[n] = '\0';
}

static pd_automaton *automaton_of(const char *grammar) {
    pd_rules r = {0};
    pd_node root;
    pd_automaton *a;
    pd_error err;
    must(pd_gbnf_read(&r, grammar, strlen(grammar), &root, &err), &err);
    must(pd_automaton_create(&r, root, &a, &err), &err);
    pd_rules_free(&r);
    return a;
}

/* complete: it must have come to its end. */
static void expect_fits(const pd_model *m, const answer *a, uint32_t grammar, bool complete) {
    char text[8192];
    pd_automaton *automaton = automaton_of(grammars[grammar]);
    text_of(m, a, text, sizeof text);
    grammar_verdict verdict = follow_text(automaton, text);
    bool ends = a->n[0] > 0 && pd_model_is_stop(m, a->ids[0][a->n[0] - 1]);
    if (verdict == REFUSED) fail_msg("grammar %u: %s", grammar, text);
    if (complete && verdict != ACCEPTED) fail_msg("grammar %u is not complete: %s", grammar, text);
    if (ends && verdict != ACCEPTED) fail_msg("grammar %u was ended too early: %s", grammar, text);
    pd_automaton_destroy(automaton);
}

/* ---- sessions and requests ------------------------------------------------------------------- */

static pd_grammar *make(pd_model *m, uint32_t which) {
    pd_error err;
    pd_grammar *g;
    must(pd_grammar_create(m, PD_GRAMMAR_GBNF, grammars[which], strlen(grammars[which]), &g, &err),
         &err);
    return g;
}

static ask ask_for(uint32_t number, pd_grammar *g, uint32_t n_max) {
    ask a = {
        .family = number % 3, .n_same = 20, .n = 21 + number % 9, .number = number, .n_max = n_max};
    switch (number % 4) {
    case 0: a.sampler = (pd_sampler_desc){.temp = 1, .top_k = 40, .seed = number}; break;
    case 1:
        a.sampler = (pd_sampler_desc){.temp = 2, .top_p = 0.9f, .seed = number};
        break; /* by the host */
    case 2: a.sampler = (pd_sampler_desc){.repeat_penalty = 1.5f}; break;
    default: break;
    }
    a.sampler.grammar = g;
    return a;
}

static void both_fit(void *ctx, const char *device) {
    (void)ctx;
    static answer got[4 * N_GRAMMARS], wanted[4 * N_GRAMMARS], free_answer;
    pd_grammar *all[N_GRAMMARS];
    pd_model *m = open_model(device);
    pd_batch *b = open_batch(m, 4, false);
    for (uint32_t i = 0; i < N_GRAMMARS; i++) all[i] = make(m, i);
    ask without = {.n_same = 20, .n = 30, .n_max = 60, .sampler = {.temp = 1, .top_k = 40}};
    submit(b, &without, &free_answer);
    for (uint32_t i = 0; i < 4 * N_GRAMMARS; i++) {
        ask a = ask_for(i, all[i % N_GRAMMARS], 120);
        by_session(m, &a, &wanted[i]);
        submit(b, &a, &got[i]);
    }
    finish(&free_answer);
    for (uint32_t i = 0; i < 4 * N_GRAMMARS; i++) {
        finish(&got[i]);
        check_same(device, i, &got[i], &wanted[i]);
        expect_fits(m, &got[i], i % N_GRAMMARS, i % N_GRAMMARS != FREE);
    }
    pd_batch_destroy(b);
    for (uint32_t i = 0; i < N_GRAMMARS; i++) pd_grammar_destroy(all[i]);
    pd_model_close(m);
}

static void test_sessions_and_requests(void **state) {
    (void)state;
    on_every_device(both_fit, NULL);
}

/* ---- room ------------------------------------------------------------------------------------ */

/* The shortest object has 25 characters; an answer is complete wherever it can be. */
static void little_room(void *ctx, const char *device) {
    (void)ctx;
    static answer got;
    pd_model *m = open_model(device);
    pd_grammar *g = make(m, 0);
    for (uint32_t n_max = 1; n_max < 60; n_max += n_max < 20 ? 6 : 1) {
        ask a = ask_for(n_max, g, n_max);
        by_session(m, &a, &got);
        expect_fits(m, &got, 0, n_max > 25);
        assert_true(got.n[0] <= n_max);
    }
    pd_grammar_destroy(g);
    pd_model_close(m);
}

static void test_little_room(void **state) {
    (void)state;
    on_every_device(little_room, NULL);
}

/* ---- draws ----------------------------------------------------------------------------------- */

/* A bias of nothing makes the host draw: the same tokens. */
static void host_and_device(void *ctx, const char *device) {
    (void)ctx;
    static answer by_device, by_host;
    static const pd_logit_bias none = {7, 0};
    pd_model *m = open_model(device);
    for (uint32_t i = 0; i < 3 * N_GRAMMARS; i++) {
        pd_grammar *g = make(m, i % N_GRAMMARS);
        ask a = ask_for(4 * i, g, 80);
        by_session(m, &a, &by_device);
        a.sampler.logit_bias = &none;
        a.sampler.n_logit_bias = 1;
        by_session(m, &a, &by_host);
        check_same(device, i, &by_device, &by_host);
        pd_grammar_destroy(g);
    }
    pd_model_close(m);
}

static void test_host_and_device(void **state) {
    (void)state;
    on_every_device(host_and_device, NULL);
}

static bool take_drawn(void *ctx, pd_log_prob drawn, const pd_log_prob *top, uint32_t n_top) {
    (void)top;
    assert_int_equal(n_top, 2);
    assert_true(drawn.log_prob < 0);
    return take_id(ctx, drawn.id);
}

/* Each token with its log-probability, those that can only follow as well. */
static void with_log_probs(void *ctx, const char *device) {
    (void)ctx;
    pd_error err;
    pd_model *m = open_model(device);
    pd_session_desc desc = {.n_ctx = CONTEXT, .n_chunk = CHUNK, .precision = PD_PRECISION_EXACT};
    for (uint32_t i = 0; i < N_GRAMMARS; i++) {
        static answer out;
        pd_session *s;
        pd_grammar *g = make(m, i);
        ask a = ask_for(4 * i, g, 80);
        pd_sampler sampler = {.desc = a.sampler};
        pd_generate_desc d = {.n_max = 80, .drawn_fn = take_drawn, .fn_ctx = &out, .n_top = 2};
        uint32_t ids[MAX_IDS];
        fill_ids(&a, ids);
        out = (answer){.ask = a};
        must(pd_session_create(m, &desc, &s, &err), &err);
        must(pd_session_sync(s, ids, a.n, &err), &err);
        must(pd_session_generate(s, &sampler, &d, &err), &err);
        expect_fits(m, &out, i, i != FREE);
        pd_session_destroy(s);
        pd_grammar_destroy(g);
    }
    pd_model_close(m);
}

static void test_log_probs(void **state) {
    (void)state;
    on_every_device(with_log_probs, NULL);
}

/* ---- what alone can follow
 * ----------------------------------------------------------------------- */

/* A text of 55 characters that is known beforehand: a step for what is drawn, and one or two of
 * many rows, by sessions and by requests. */
static void few_steps(void *ctx, const char *device) {
    (void)ctx;
    enum { KNOWN = 5 };
    static answer by_request, by_one;
    pd_error err;
    pd_session *s;
    uint32_t ids[MAX_IDS];
    pd_model *m = open_model(device);
    pd_grammar *g = make(m, KNOWN);
    ask a = ask_for(3, g, 80);
    pd_session_desc desc = {.n_ctx = CONTEXT, .n_chunk = CHUNK, .precision = PD_PRECISION_EXACT};
    pd_sampler sampler = {.desc = a.sampler};
    pd_generate_desc d = {.n_max = 80, .fn = take_id, .fn_ctx = &by_one};
    fill_ids(&a, ids);
    by_one = (answer){.ask = a};
    must(pd_session_create(m, &desc, &s, &err), &err);
    must(pd_session_sync(s, ids, a.n, &err), &err);
    must(pd_session_generate(s, &sampler, &d, &err), &err);
    expect_fits(m, &by_one, KNOWN, true);
    assert_true(by_one.n[0] > 12 && pd_session_get_stats(s)->n_decode < 4);
    pd_session_destroy(s);

    pd_batch_stats before, after;
    pd_batch *b = open_batch(m, 2, false);
    pd_batch_get_stats(b, &before);
    submit_and_finish(b, &a, &by_request);
    pd_batch_get_stats(b, &after);
    check_same(device, 0, &by_request, &by_one);
    assert_true(after.n_steps - before.n_steps < 6);
    pd_batch_destroy(b);
    pd_grammar_destroy(g);
    pd_model_close(m);
}

static void test_few_steps(void **state) {
    (void)state;
    on_every_device(few_steps, NULL);
}

/* ---- going on -------------------------------------------------------------------------------- */

/* An answer in pieces is that of one go; behind its end there is nothing. */
static void in_pieces(void *ctx, const char *device) {
    (void)ctx;
    static answer whole, pieces;
    pd_error err;
    pd_session *s;
    uint32_t ids[MAX_IDS];
    pd_model *m = open_model(device);
    pd_grammar *g = make(m, 2);
    ask a = ask_for(3, g, 0);
    by_session(m, &a, &whole);
    pd_session_desc desc = {.n_ctx = CONTEXT, .n_chunk = CHUNK, .precision = PD_PRECISION_EXACT};
    pd_sampler sampler = {.desc = a.sampler};
    pd_generate_desc d = {.n_max = 0, .fn = take_id, .fn_ctx = &pieces};
    fill_ids(&a, ids);
    pieces = (answer){.ask = a};
    must(pd_session_create(m, &desc, &s, &err), &err);
    must(pd_session_sync(s, ids, a.n, &err), &err);
    must(pd_session_generate(s, &sampler, &d, &err), &err);
    check_same(device, 0, &pieces, &whole);
    if (sampler.place.has_ended) {
        assert_int_equal(pd_session_generate(s, &sampler, &d, &err), PD_ERR_ARGUMENT);
        assert_non_null(strstr(err.message, "grammar's end"));
    }
    pd_session_destroy(s);
    pd_grammar_destroy(g);
    pd_model_close(m);
}

static void test_pieces(void **state) {
    (void)state;
    on_every_device(in_pieces, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions_and_requests),
        cmocka_unit_test(test_little_room),
        cmocka_unit_test(test_host_and_device),
        cmocka_unit_test(test_log_probs),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_few_steps),
        cmocka_unit_test(check_validation_silent),
    };
    PRINT_LOG();
    return cmocka_run_group_tests_name("golden.constrained", tests, NULL, NULL);
}
