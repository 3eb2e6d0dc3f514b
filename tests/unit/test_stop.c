/* Stop strings: where texts end, whatever pieces they come in.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "peridot.h"

enum { MAX_STRINGS = 4, MAX_TEXT = 24, ROOM = MAX_TEXT + PD_STOP_MAX_BYTES };

typedef struct sample {
    const char *strings[MAX_STRINGS];
    const char *text, *shown; /* shown: all of it, and the text did not end early, if equal */
} sample;

static const sample samples[] = {
    {{NULL}, "all of it", "all of it"},
    {{"x"}, "all of it", "all of it"},
    {{"of"}, "all of it", "all "},
    {{"all"}, "all of it", ""},
    {{"it"}, "all of it", "all of "},
    {{"it!"}, "all of it", "all of it"}, /* held to the end */
    {{"aab"}, "aaaab", "aa"},
    {{"aaab"}, "aaaacaaab", "aaaac"},
    {{"abcabd"}, "abcabcabd!", "abc"},
    {{"ababc"}, "abababcx", "ab"},
    {{"b", "abc"}, "xabcd", "xa"},      /* complete first */
    {{"abc", "b"}, "xabcd", "xa"},      /* in any order */
    {{"bc", "abc", "c"}, "xabcd", "x"}, /* complete together: the longest */
    {{"abcd", "bcx"}, "abcx!", "a"},    /* one begins within the other */
    {{"\n\nUser:", "\n\n\n"}, "a\n\nUse\n\n\nb", "a\n\nUse"},
    {{"a", "a"}, "bab", "b"},
    {{"\xc3\xa8"}, "\xc3\xa9\xc3\xa8\xc3\xa9", "\xc3\xa9"}, /* e with an accent: a byte in common */
    {{"\xe2\x82\xac!"}, "5\xe2\x82\xac 6\xe2\x82\xac!", "5\xe2\x82\xac 6"},
    {{"\xf0\x9f\x98\x80\xf0\x9f\x98\x81"},
     "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x81",
     "\xf0\x9f\x98\x80"},
};
enum { N_SAMPLES = sizeof samples / sizeof *samples };

static pd_stop *make(const char *const *strings) {
    pd_error err;
    pd_stop *stop;
    size_t n = 0;
    while (n < MAX_STRINGS && strings[n]) n++;
    if (pd_stop_create(strings, n, &stop, &err) != PD_OK) fail_msg("%s", err.message);
    return stop;
}

static void expect_whole_characters(const char *s, size_t n) {
    for (size_t at = 0, step; at < n; at += step) {
        step = pd_utf8_length((const uint8_t *)s + at, n - at);
        if (step == 0) fail_msg("\"%.*s\" is part of a character", (int)n, s);
    }
}

/* Bit i of `cuts`: a piece ends behind byte i. */
static void run_pieces(pd_stop *stop, const sample *s, uint32_t cuts, bool whole) {
    char shown[2 * ROOM], out[ROOM];
    size_t n = strlen(s->text), n_shown = 0, n_out = 99, begin = 0;
    bool ended = false, ends = strcmp(s->text, s->shown) != 0;
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && !(cuts >> i & 1)) continue;
        bool now = pd_stop_feed(stop, s->text + begin, i + 1 - begin, out, &n_out);
        if (ended) assert_true(now && n_out == 0);
        if (whole) expect_whole_characters(out, n_out);
        ended = now;
        memcpy(shown + n_shown, out, n_out);
        n_shown += n_out;
        begin = i + 1;
    }
    size_t n_rest = pd_stop_flush(stop, out);
    if (ended) assert_int_equal(n_rest, 0);
    memcpy(shown + n_shown, out, n_rest);
    n_shown += n_rest;
    if (ended != ends || n_shown != strlen(s->shown) || memcmp(shown, s->shown, n_shown) != 0)
        fail_msg("\"%s\" cut at %x: \"%.*s\" instead of \"%s\"", s->text, cuts, (int)n_shown, shown,
                 s->shown);
}

/* Cuts that lie behind whole characters. */
static uint32_t character_cuts(const char *text) {
    uint32_t cuts = 0;
    for (size_t i = 0; text[i]; i++)
        if ((text[i + 1] & 0xC0) != 0x80) cuts |= 1u << i;
    return cuts;
}

static void every_split_gives_the_same(void **state) {
    (void)state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        pd_stop *stop = make(samples[i].strings); /* one text behind the other */
        size_t n = strlen(samples[i].text);
        assert_true(n <= MAX_TEXT);
        uint32_t characters = character_cuts(samples[i].text);
        for (uint32_t cuts = 0; cuts < 1u << (n - 1); cuts++)
            run_pieces(stop, &samples[i], cuts, (cuts & ~characters) == 0);
        pd_stop_destroy(stop);
    }
}

/* Nothing is held that cannot begin a string. */
static void shows_as_soon_as_possible(void **state) {
    (void)state;
    static const struct {
        const char *piece, *out;
    } steps[] = {{"one", "one"}, {" S", " "},   {"T", ""}, {"A", "STA"}, {"ST", ""}, {"S", "ST"},
                 {"TO", ""},     {"x", "STOx"}, {"", ""},  {"yST", "y"}, {"OP", ""}};
    pd_stop *stop = make((const char *const[MAX_STRINGS]){"STOP"});
    char out[ROOM];
    size_t n;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        bool last = i + 1 == sizeof steps / sizeof *steps;
        const char *piece = steps[i].piece;
        assert_int_equal(pd_stop_feed(stop, piece, strlen(piece), out, &n), last);
        assert_int_equal(n, strlen(steps[i].out));
        assert_memory_equal(out, steps[i].out, n);
    }
    pd_stop_destroy(stop);
}

static void expect_found(const char *const *strings, const char *text, const char *found) {
    pd_stop *stop = make(strings);
    char out[ROOM];
    size_t n;
    assert_null(pd_stop_found(stop));
    for (int round = 0; round < 2; round++) { /* one text behind the other */
        for (size_t i = 0; text[i]; i++)
            if (!pd_stop_feed(stop, text + i, 1, out, &n)) assert_null(pd_stop_found(stop));
        if (found)
            assert_string_equal(pd_stop_found(stop), found);
        else
            assert_null(pd_stop_found(stop));
        pd_stop_flush(stop, out);
        assert_null(pd_stop_found(stop));
    }
    pd_stop_destroy(stop);
}

static void tells_which_string_it_was(void **state) {
    (void)state;
    expect_found((const char *const[MAX_STRINGS]){"x", "of"}, "all of it", "of");
    expect_found((const char *const[MAX_STRINGS]){"x", "it!"}, "all of it", NULL);
    expect_found((const char *const[MAX_STRINGS]){"b", "abc"}, "xabcd", "b"); /* complete first */
    expect_found((const char *const[MAX_STRINGS]){"bc", "abc", "c"}, "xabcd", "abc"); /* longest */
    expect_found((const char *const[MAX_STRINGS]){"of", "it"}, "of it", "of");
}

/* Random texts of two letters against a search from the front. */
static void agrees_with_a_plain_search(void **state) {
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        char text[MAX_TEXT + 1] = {0}, strings[3][8] = {{0}};
        const char *list[MAX_STRINGS] = {strings[0], strings[1], strings[2]};
        for (int i = 0; i < MAX_TEXT; i++)
            text[i] = "ab"[(seed = seed * 1664525u + 1013904223u) >> 31];
        for (int k = 0; k < 3; k++)
            for (uint32_t i = 0, n = 3 + (seed >> 20) % 5; i < n; i++)
                strings[k][i] = "ab"[(seed = seed * 1664525u + 1013904223u) >> 31];
        size_t shown = MAX_TEXT;
        for (size_t end = 1; end <= MAX_TEXT && shown == MAX_TEXT; end++)
            for (int k = 0; k < 3; k++) {
                size_t n = strlen(strings[k]);
                bool here = n <= end && memcmp(text + end - n, strings[k], n) == 0;
                if (here && end - n < shown) shown = end - n;
            }
        char want[MAX_TEXT + 1];
        memcpy(want, text, shown);
        want[shown] = 0;
        pd_stop *stop = make(list);
        run_pieces(stop, &(sample){.text = text, .shown = want}, seed, true);
        pd_stop_destroy(stop);
    }
}

static void expect_refused(const char *string, const char *says) {
    pd_error err;
    pd_stop *stop = (pd_stop *)&err;
    const char *strings[] = {"fine", string};
    assert_int_equal(pd_stop_create(strings, 2, &stop, &err), PD_ERR_ARGUMENT);
    assert_null(stop);
    assert_string_equal(err.message, says);
}

static void bad_strings_are_refused(void **state) {
    (void)state;
    static char longest[PD_STOP_MAX_BYTES + 2];
    expect_refused("", "stop string 2 is empty");
    expect_refused(NULL, "stop string 2 is NULL");
    expect_refused("ab\x80", "stop string 2 is not UTF-8 at byte 2");
    expect_refused("\xc3", "stop string 2 is not UTF-8 at byte 0");
    memset(longest, 'a', PD_STOP_MAX_BYTES + 1);
    expect_refused(longest, "stop string 2 has 1025 bytes, but at most 1024 can be");
    longest[PD_STOP_MAX_BYTES] = 0;
    pd_stop *stop = make((const char *const[MAX_STRINGS]){longest});
    char out[PD_STOP_MAX_BYTES + 1];
    size_t n;
    assert_false(pd_stop_feed(stop, longest, PD_STOP_MAX_BYTES - 1, out, &n));
    assert_int_equal(n, 0);
    assert_false(pd_stop_feed(stop, "b", 1, out, &n));
    assert_int_equal(n, PD_STOP_MAX_BYTES);
    pd_stop_destroy(stop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_split_gives_the_same), cmocka_unit_test(shows_as_soon_as_possible),
        cmocka_unit_test(tells_which_string_it_was),  cmocka_unit_test(agrees_with_a_plain_search),
        cmocka_unit_test(bad_strings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
