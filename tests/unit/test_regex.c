/* Regular expressions: what they match, as whole texts, anywhere, and in JSON; what is refused.
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "unit/support_grammar.h"

#include "grammar/json_text.h"
#include "grammar/regex.h"

static pd_status make(const char *text, size_t n, pd_regex_options options, pd_automaton **out,
                      pd_error *err) {
    pd_rules r = {0};
    pd_node root = 0;
    pd_status status = pd_regex_parse(&r, text, n, &options, &root, err);
    if (status == PD_OK) status = pd_automaton_create(&r, root, out, err);
    pd_rules_free(&r);
    return status;
}

/* Texts with '+' are accepted, with '~' the beginning of something, with '-' neither. */
typedef struct regex_case {
    const char *pattern;
    const char *texts[12];
} regex_case;

static void check(const regex_case *c, pd_regex_options options) {
    pd_automaton *a;
    pd_error err;
    if (make(c->pattern, strlen(c->pattern), options, &a, &err) != PD_OK)
        fail_msg("%s: %s", c->pattern, err.message);
    for (const char *const *text = c->texts; *text; text++) {
        grammar_verdict want = **text == '+' ? ACCEPTED : **text == '~' ? BEGINNING : REFUSED;
        if (follow_text(a, *text + 1) != want) fail_msg("%s: %s", c->pattern, *text);
    }
    pd_automaton_destroy(a);
}

#define CHECK_ALL(list, ...)                                                                       \
    for (size_t i = 0; i < sizeof(list) / sizeof *(list); i++)                                     \
    check(&(list)[i], (pd_regex_options){__VA_ARGS__})

static const regex_case whole[] = {
    {"", {"+", "-a"}},
    {"abc", {"+abc", "~ab", "~", "-abcd", "-b"}},
    {"a|b|", {"+a", "+b", "+", "-ab"}},
    {"ab*", {"+a", "+abbb", "-b"}},
    {"ab+", {"~a", "+ab", "+abb"}},
    {"ab?c", {"+ac", "+abc", "-abbc"}},
    {"a{3}", {"~aa", "+aaa", "-aaaa"}},
    {"a{2,}", {"~a", "+aa", "+aaaaa"}},
    {"a{1,2}b", {"~a", "+ab", "+aab", "-aaab", "-b"}},
    {"a{0}b", {"+b", "-a"}},
    {"a*?b+?c??d{1,2}?", {"+bd", "+aabbcdd", "-acd"}},
    {"(ab)+", {"+ab", "+abab", "~aba", "-ba"}},
    {"(?:ab|cd){2}", {"+abcd", "+cdab", "~ab", "-ac"}},
    {"(?<name>x)(?<n2$>y)", {"+xy"}},
    {"((a|b)(c|d))*", {"+", "+ac", "+bdac", "-ab"}},
    {"(a*)*b", {"+b", "+aaab"}},
    {"(|a)b", {"+b", "+ab"}},
    {".", {"+a", "+\xc3\xa4", "+\xf0\x9f\x98\x80", "-\n", "-\r", "-\xe2\x80\xa8", "-ab"}},
    {"[a-c]", {"+a", "+b", "+c", "-d", "-ab"}},
    {"[^a-c]", {"+d", "-a", "+\n", "+\xc3\xa4"}},
    {"[^]", {"+a", "+\n"}},
    {"[a-]", {"+a", "+-", "-b"}},
    {"[-a]", {"+a", "+-", "-b"}},
    {"[\\]\\\\^]", {"+]", "+\\", "+^", "-a"}},
    {"[\\d_-]", {"+5", "+_", "+-", "-a"}},
    {"[.*+?(){}|$]", {"+.", "+*", "+(", "+{", "+$", "-a"}},
    {"[\\w.]+@", {"+a_Z.9@", "-\xc3\xa4@"}},
    {"[^\\d\\s]", {"+a", "-5", "- ", "-\t"}},
    {"[\\D]", {"+a", "-5"}},
    {"[\\b]", {"+\b", "-b"}},
    {"[\\u{61}-\\x63]", {"+a", "+c", "-d"}},
    {"\\d\\D", {"+1a", "-a1", "-11"}},
    {"\\w\\W", {"+_-", "+a\xc3\xa4", "-aa"}},
    {"\\s\\S", {"+ a", "+\xc2\xa0z", "+\xef\xbb\xbfz", "-aa", "-  "}},
    {"\\t\\n\\r\\f\\v", {"+\t\n\r\f\v", "-tnrfv"}},
    {"\\cJ\\cm", {"+\n\r"}},
    {"\\x41\\u00e4\\u{1F600}\\uD83D\\uDE00",
     {"+A\xc3\xa4\xf0\x9f\x98\x80\xf0\x9f\x98\x80", "~A\xc3\xa4"}},
    {"\\.\\*\\+\\?\\(\\)\\[\\]\\{\\}\\|\\^\\$\\/\\\\", {"+.*+?()[]{}|^$/\\"}},
    {"\\-\\@\\\"\\_", {"+-@\"_"}},
    {"\xc3\xa4+", {"+\xc3\xa4\xc3\xa4", "-a"}},
    {"^abc$", {"+abc", "-abcd"}},
    {"^a|b$", {"+a", "+b", "-ab"}},
    {"^^a$$", {"+a"}},
    {"^$", {"+", "-a"}},
    {"(^a$|^b$)", {"+a", "+b"}},
    {"(?:(^a)|(b$))|c", {"+a", "+b", "+c"}},
    {"a/b\"c", {"+a/b\"c"}},
    {"(a{1,3}){2}", {"~a", "+aa", "+aaaaaa", "-aaaaaaa"}},
    {"(0|[1-9][0-9]{0,5})0{3}", {"+0000", "+1000", "+1000000", "~100", "-1001000001"}},
};

static const regex_case anywhere[] = {
    {"", {"+", "+a", "+\n"}},
    {"b", {"+b", "+abc", "+\nb\n", "~a", "~"}},
    {"^b", {"+b", "+bc", "-ab", "~"}},
    {"b$", {"+b", "+ab", "~ba", "+bab"}},
    {"^b$", {"+b", "-ba", "-ab"}},
    {"^a|c$", {"+a", "+ab", "+bc", "~b"}},
    {"(^a|b$)", {"+ax", "+xb", "~x"}},
    {"^(a|b)$", {"+a", "+b", "-ab"}},
    {"^(?:a|b)c", {"+acx", "-xac"}},
    {"(a)(b)", {"+xaby", "~xa"}},
    {"a|b", {"+xay", "+b", "~x"}},
    {"^", {"+", "+x"}},
    {"$", {"+", "+x"}},
};

static const regex_case in_json[] = {
    {"a\"b", {"+a\\\"b", "-a\"b", "~a\\"}},
    {"\\\\", {"+\\\\", "~\\"}},
    {"\\n|\\t|\\r|\\f|[\\b]", {"+\\n", "+\\t", "+\\r", "+\\f", "+\\b", "-\n", "-\\u000a"}},
    {"\\x01|\\x1f", {"+\\u0001", "+\\u001f", "-\\u001F", "-\\u0002", "-\x01"}},
    {"[^a]", {"+b", "+\\\"", "+\\u0000", "+\xc3\xa4", "-a", "-\"", "-\\/", "-\\u0061"}},
    {"[\\s\\S]{2}", {"+ab", "+\\n\\\\", "~\\n", "-abc"}},
    {"/\x7f", {"+/\x7f"}},
};

static void test_whole(void **state) {
    (void)state;
    CHECK_ALL(whole, .anywhere = false);
}

static void test_anywhere(void **state) {
    (void)state;
    CHECK_ALL(anywhere, .anywhere = true);
}

static void test_json(void **state) {
    (void)state;
    CHECK_ALL(in_json, .in_json = true);
}

static const struct {
    const char *pattern, *words;
} refused[] = {
    {"(?=a)", "looking ahead"},
    {"a(?!b)", "looking ahead"},
    {"(?<=a)b", "looking behind"},
    {"(?<!a)b", "looking behind"},
    {"(?i:a)", "neither : nor <name>"},
    {"(?<>a)", "name has no >"},
    {"(?<n", "name has no >"},
    {"(a)\\1", "backreferences"},
    {"(?<n>a)\\k<n>", "backreferences"},
    {"\\bword", "borders of words"},
    {"a\\B", "borders of words"},
    {"\\p{L}", "properties of Unicode"},
    {"[\\P{L}]", "properties of Unicode"},
    {"\\q", "\\q is no escape"},
    {"\\", "nothing follows the backslash"},
    {"a\\\xc3\xa4", "\\? is no escape"},
    {"\\01", "octal"},
    {"\\x4", "2 hexadecimal digits"},
    {"\\u12", "4 hexadecimal digits"},
    {"\\u{}", "needs hexadecimal digits"},
    {"\\u{41", "needs hexadecimal digits"},
    {"\\u{110000}", "no character has a number so large"},
    {"\\uD800", "half of a surrogate pair"},
    {"\\uD800\\u0041", "half of a surrogate pair"},
    {"\\uDC00", "half of a surrogate pair"},
    {"\\c1", "\\c needs a letter"},
    {"[]", "[] can match no character"},
    {"[a", "class of characters has no ]"},
    {"[a\\]", "class of characters has no ]"},
    {"[z-a]", "ends before it begins"},
    {"[a-\\d]", "begins or ends with a set"},
    {"[\\w-z]", "begins or ends with a set"},
    {"(a", "a group has no )"},
    {"a)", "a ) closes no group"},
    {"a]", "] closes nothing"},
    {"a}", "} closes nothing"},
    {"*a", "nothing before * to repeat"},
    {"a|+", "nothing before + to repeat"},
    {"(?)", "neither : nor <name>"},
    {"a**", "nothing before * to repeat"},
    {"a{2}{3}", "nothing before { to repeat"},
    {"a+++", "nothing before + to repeat"},
    {"a{", "a { needs a number"},
    {"a{,3}", "a { needs a number"},
    {"a{1", "a repetition has no }"},
    {"a{1,2", "a repetition has no }"},
    {"a{3,1}", "the wrong way round"},
    {"a{65537}", "is too large"},
    {"a{99999999999999999999}", "is too large"},
    {"a^b", "^ is supported at the beginning"},
    {"a$b", "$ is supported at the end"},
    {"(^a)b", "^ is supported at the beginning"},
    {"a(b$)", "$ is supported at the end"},
    {"(^a)*", "^ is supported at the beginning"},
    {"^*", "nothing before * to repeat"},
    {"a\xff", "not UTF-8"},
};

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        pd_automaton *a = NULL;
        pd_error err = {0};
        pd_status status = make(refused[i].pattern, strlen(refused[i].pattern),
                                (pd_regex_options){.anywhere = true}, &a, &err);
        pd_automaton_destroy(a);
        if (status != PD_ERR_ARGUMENT || !strstr(err.message, refused[i].words))
            fail_msg("%s: %s", refused[i].pattern, err.message);
    }
}

static void test_place_is_named(void **state) {
    (void)state;
    pd_automaton *a = NULL;
    pd_error err = {0};
    assert_int_equal(make("\xc3\xa4\xc3\xa4\\b", 6, (pd_regex_options){0}, &a, &err),
                     PD_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "up to its character 4:"));
    assert_int_equal(make("(?=a)", 5, (pd_regex_options){0}, &a, NULL), PD_ERR_ARGUMENT);
}

/* Every beginning of a pattern, with all of the syntax, is read or refused; so is deep nesting. */
static void test_beginnings(void **state) {
    (void)state;
    static const char text[] =
        "^(?:a[^b-d\\]\\w]{2,3}?|(?<n>\\u{41}\\uD83D\\uDE00.)+)$|\\cA[\\b-z]*";
    for (size_t n = 0; n < sizeof text; n++) {
        pd_automaton *a = NULL;
        pd_error err;
        make(text, n, (pd_regex_options){.anywhere = true, .in_json = true}, &a, &err);
        pd_automaton_destroy(a);
    }
}

static void test_depth(void **state) {
    (void)state;
    char deep[2 * 300 + 2];
    for (size_t n = 100; n <= 300; n += 200) {
        pd_automaton *a = NULL;
        pd_error err = {0};
        memset(deep, '(', n);
        deep[n] = 'a';
        memset(deep + n + 1, ')', n);
        pd_status status = make(deep, 2 * n + 1, (pd_regex_options){.anywhere = true}, &a, &err);
        assert_int_equal(status, n == 100 ? PD_OK : PD_ERR_ARGUMENT);
        if (n > 100) assert_non_null(strstr(err.message, "nested more than"));
        pd_automaton_destroy(a);
    }
}

/* What went wrong before is said, whatever the pattern. */
static void test_status_is_kept(void **state) {
    (void)state;
    static const pd_status kept[] = {PD_ERR_MEMORY_HOST, PD_ERR_ARGUMENT};
    for (size_t i = 0; i < 2; i++) {
        pd_rules r = {.status = kept[i]};
        const pd_regex_options options = {.anywhere = true, .in_json = true};
        pd_node node;
        pd_error err;
        assert_int_equal(pd_regex_parse(&r, "a[b\"]*", 6, &options, &node, &err), kept[i]);
        pd_rules_free(&r);
    }
}

static void test_space(void **state) {
    (void)state;
    pd_rules r = {0};
    pd_automaton *a;
    pd_error err;
    pd_node root = pd_json_space(&r);
    assert_int_equal(pd_automaton_create(&r, root, &a, &err), PD_OK);
    assert_int_equal(follow_text(a, ""), ACCEPTED);
    assert_int_equal(follow_text(a, " "), ACCEPTED);
    assert_int_equal(follow_text(a, "\n"), ACCEPTED);
    assert_int_equal(follow_text(a, "\n                    "), ACCEPTED);
    assert_int_equal(follow_text(a, "\n                     "), REFUSED);
    assert_int_equal(follow_text(a, "  "), REFUSED);
    assert_int_equal(follow_text(a, "\n\n"), REFUSED);
    assert_int_equal(follow_text(a, "\t"), REFUSED);
    pd_automaton_destroy(a);
    pd_rules_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),          cmocka_unit_test(test_anywhere),
        cmocka_unit_test(test_json),           cmocka_unit_test(test_refused),
        cmocka_unit_test(test_place_is_named), cmocka_unit_test(test_beginnings),
        cmocka_unit_test(test_depth),          cmocka_unit_test(test_status_is_kept),
        cmocka_unit_test(test_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
