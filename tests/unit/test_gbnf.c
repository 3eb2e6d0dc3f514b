/* GBNF grammars, and the automaton that follows them.  SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "unit/support_grammar.h"

#include "grammar/gbnf.h"

static pd_status make(const char *text, pd_automaton **out, pd_error *err) {
    pd_rules r = {0};
    pd_node root = 0;
    pd_status status = pd_gbnf_read(&r, text, strlen(text), &root, err);
    if (status == PD_OK) status = pd_automaton_create(&r, root, out, err);
    pd_rules_free(&r);
    return status;
}

/* Texts with '+' are accepted, with '~' the beginning of something, with '-' neither. */
typedef struct gbnf_case {
    const char *grammar;
    const char *texts[12];
} gbnf_case;

static const gbnf_case cases[] = {
    {"root ::= \"yes\" | \"no\"", {"+yes", "+no", "~y", "~", "-yess", "-x", "-nop"}},
    {"root ::= [a-c]+ \"!\"?", {"+a", "+abccba!", "~", "-!", "-abd", "-a!!"}},
    {"root ::= [^a-c]", {"+d", "+\xc3\xa4", "+\xf0\x9f\x98\x80", "-a", "-dd"}},
    {"root ::= . .", {"~a", "+a\xe2\x82\xac", "-abc", "~"}},
    {"root ::= \"a\"{3}", {"+aaa", "~aa", "-aaaa"}},
    {"root ::= \"a\"{2,}", {"~a", "+aa", "+aaaaaaaa"}},
    {"root ::= \"a\"{0,2} \"b\"", {"+b", "+ab", "+aab", "-aaab"}},
    {"root ::= (\"a\" | \"b\"){2,3} \"c\"", {"+abc", "+babc", "~ab", "-ac", "-ababc"}},
    {"root ::= \"a\"{0} \"b\"", {"+b", "-a"}},
    {"root ::= (\"a\"?){2,4} \"b\"", {"+b", "+aaaab", "-aaaaab", "+ab"}},
    {"root ::= (\"a\"*)*", {"+", "+aaaa", "-b"}},
    {"root ::= (\"a\"*){3} \"b\"", {"+b", "+aaaaaab"}},
    {"root ::= (\"x\"{2}){3}", {"+xxxxxx", "~xxxxx", "-xxxxxxx"}},
    {"root ::= (\"x\"{2}){0,3}", {"+", "~x", "+xx", "~xxx", "+xxxxxx", "-xxxxxxx"}},
    {"root ::= (\"a\"{1,2} \"b\"){2,}", {"+abab", "+aabab", "~ab", "-aaab", "+abaabab"}},
    {"root ::= \"(\" root \")\" | \"x\"", {"+x", "+((x))", "~((x", "-(x))", "-()"}},
    {"root ::= item (\",\" item)*\nitem ::= [0-9]+", {"+1", "+1,22,3", "~1,", "-,", "-1,,2"}},
    {"root ::= \"a\" root | \"b\"", {"+b", "+aaaaab", "~aaaa", "-ba"}},
    {"root ::= a b\na ::= \"a\"?\nb ::= \"b\"?", {"+", "+a", "+b", "+ab", "-ba"}},
    {"root ::= \"\\x41\\u00e4\\U0001F600\\n\\\"\\\\\"", {"+A\xc3\xa4\xf0\x9f\x98\x80\n\"\\", "~A"}},
    {"root ::= [-+*/]", {"++", "+-", "+*", "+/", "-a"}},
    {"root ::= [a-]", {"+a", "+-", "-b"}},
    {"# words\nroot ::= # here\n  \"a\" | # there\n  \"b\" # end\n\n# done", {"+a", "+b"}},
    {"root ::= (\n \"a\"\n | \"b\"\n)\r\n", {"+a", "+b"}},
    {"root ::= \"\" | \"a\"", {"+", "+a"}},
    {"root ::= never | \"a\"\nnever ::= \"b\" never", {"+a", "-b"}},
    {"root ::= \"b\" never* \"a\"\nnever ::= \"b\" never", {"+ba", "-bb"}},
};

static void test_texts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_automaton *a;
        pd_error err;
        if (make(cases[i].grammar, &a, &err) != PD_OK)
            fail_msg("%s: %s", cases[i].grammar, err.message);
        for (const char *const *text = cases[i].texts; *text; text++) {
            grammar_verdict want = **text == '+' ? ACCEPTED : **text == '~' ? BEGINNING : REFUSED;
            if (follow_text(a, *text + 1) != want) fail_msg("%s: %s", cases[i].grammar, *text);
        }
        pd_automaton_destroy(a);
    }
}

static void test_refused(void **state) {
    (void)state;
    static const char *const refused[][2] = {
        {"", "no rule root"},
        {"item ::= \"a\"", "no rule root"},
        {"root ::= item", "uses the rule item"},
        {"root ::= \"a", "no \" at its end"},
        {"root ::= [a", "no ] at its end"},
        {"root ::= (\"a\"", "no ) at its end"},
        {"root ::= \"a\"{2", "no } at its end"},
        {"root ::= \"a\"{3,2}", "wrong way round"},
        {"root ::= \"a\"{x}", "a number is missing"},
        {"root ::= \"a\"{99999999}", "too large"},
        {"root ::= *", "nothing before *"},
        {"root ::= \"a\" | +", "nothing before +"},
        {"root ::= [z-a]", "ends before it begins"},
        {"root ::= \"\\q\"", "no escape"},
        {"root ::= [\\-]", "no escape"},
        {"root ::= \"\\xg0\"", "2 hexadecimal digits"},
        {"root ::= \"\\ud800\"", "no character"},
        {"root ::= \"a\" )", "line 1 of the grammar: \")\" is not understood"},
        {"root = \"a\"", "::= is missing behind root"},
        {"\n\n::= \"a\"", "line 3 of the grammar: a rule begins with its name"},
        {"root ::= \"a\"\nroot ::= \"b\"", "given twice"},
        {"root ::= root \"a\" | \"b\"", "begins with itself"},
        {"root ::= e root\ne ::= \"x\"?", "begins with itself"},
        {"root ::= a\na ::= b\nb ::= a | \"x\"", "begins with itself"},
        {"root ::= \"a\" root", "cannot be met"},
        {"root ::= []", "cannot be met"},
        {"root ::= \"\xff\"", "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        pd_automaton *a;
        pd_error err;
        if (make(refused[i][0], &a, &err) != PD_ERR_ARGUMENT)
            fail_msg("not refused: %s", refused[i][0]);
        if (!strstr(err.message, refused[i][1])) fail_msg("%s: %s", refused[i][0], err.message);
    }
}

static void test_deep(void **state) {
    (void)state;
    char text[2000];
    pd_automaton *a;
    pd_error err;
    size_t n = (size_t)snprintf(text, sizeof text, "root ::= ");
    memset(text + n, '(', 500);
    memset(text + n + 500, ')', 500);
    text[n + 1000] = '\0';
    assert_int_equal(make(text, &a, &err), PD_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "nested more than"));
}

/* Ways to read that grow without end are given up, not followed for ever. */
static void test_ambiguous(void **state) {
    (void)state;
    pd_automaton *a;
    pd_error err;
    uint32_t at = PD_STATE_START;
    assert_int_equal(make("root ::= \"a\" root \"b\"? root \"c\"? | \"a\"", &a, &err), PD_OK);
    pd_status status = PD_OK;
    for (int i = 0; i < 200 && status == PD_OK; i++)
        status = pd_automaton_step(a, at, 'a', &at, &err);
    assert_int_equal(status, PD_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "too ambiguous"));
    pd_automaton_destroy(a);
}

static void test_shortest_end(void **state) {
    (void)state;
    static const struct {
        const char *grammar, *text;
        uint32_t bytes;
    } ends[] = {
        {"root ::= \"abc\" | \"x\"", "", 1},
        {"root ::= \"abc\" | \"x\"", "a", 2},
        {"root ::= \"a\"{5} \"b\"", "aa", 4},
        {"root ::= (\"a\"{2} \"-\"){3} \"b\"", "aa-a", 6},
        {"root ::= \"(\" root \")\" | \"x\"", "(((", 4},
        {"root ::= [^a] \"b\"", "", 2},
        {"root ::= [\xe2\x82\xac]", "", 3},
        {"root ::= x y\nx ::= \"12\"\ny ::= \"34\"", "1", 3},
        {"root ::= \"a\"{2,4}", "aa", 0},
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        pd_automaton *a;
        pd_error err;
        uint32_t at = PD_STATE_START;
        assert_int_equal(make(ends[i].grammar, &a, &err), PD_OK);
        for (const char *c = ends[i].text; *c; c++)
            assert_int_equal(pd_automaton_step(a, at, (uint32_t)*c, &at, &err), PD_OK);
        if (pd_automaton_min_bytes(a, at) != ends[i].bytes)
            fail_msg("%s behind %s: %u", ends[i].grammar, ends[i].text,
                     pd_automaton_min_bytes(a, at));
        pd_automaton_destroy(a);
    }
}

/* A long counted repetition, and nesting that is closed again, come back to states that were there.
 */
static void test_memory(void **state) {
    (void)state;
    pd_automaton *a;
    pd_error err;
    uint32_t at = PD_STATE_START;
    assert_int_equal(make("root ::= item{0,1000}\nitem ::= [a-z] | \"[\" item \"]\"", &a, &err),
                     PD_OK);
    for (int round = 0; round < 500; round++)
        for (const char *c = "[[a]]"; *c; c++)
            assert_int_equal(pd_automaton_step(a, at, (uint32_t)*c, &at, &err), PD_OK);
    assert_true(pd_automaton_may_end(a, at));
    assert_true(pd_automaton_bytes(a) < 4 << 20);
    pd_automaton_destroy(a);
}

static void test_only_char(void **state) {
    (void)state;
    pd_automaton *a;
    pd_error err;
    uint32_t at = PD_STATE_START, c;
    assert_int_equal(make("root ::= \"a\" [bc] \"d\"?", &a, &err), PD_OK);
    assert_int_equal(pd_automaton_only_char(a, at, &c, &err), PD_OK);
    assert_int_equal(c, 'a');
    pd_automaton_step(a, at, 'a', &at, &err);
    pd_automaton_only_char(a, at, &c, &err);
    assert_int_equal(c, PD_NO_CHAR);
    pd_automaton_step(a, at, 'b', &at, &err);
    pd_automaton_only_char(a, at, &c, &err); /* d, or the end */
    assert_int_equal(c, PD_NO_CHAR);
    pd_automaton_destroy(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_deep),         cmocka_unit_test(test_ambiguous),
        cmocka_unit_test(test_shortest_end), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_only_char),
    };
    return cmocka_run_group_tests_name("unit.gbnf", tests, NULL, NULL);
}
