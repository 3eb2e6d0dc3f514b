/* Lists with commas; sizes, rates and times in words.  SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/words.h"

static void words_come_one_by_one(void **state) {
    (void)state;
    size_t n;
    const char *list = ",fp16,,coopmat,", *word = pd_next_word(&list, &n);
    assert_true(word && pd_word_is(word, n, "fp16"));
    assert_false(pd_word_is(word, n, "fp1") || pd_word_is(word, n, "fp16,"));
    word = pd_next_word(&list, &n);
    assert_true(word && pd_word_is(word, n, "coopmat"));
    assert_null(pd_next_word(&list, &n));
    assert_null(pd_next_word(&list, &n));
}

static void nothing_has_no_words(void **state) {
    (void)state;
    size_t n;
    const char *none = NULL, *empty = "", *commas = ",,";
    assert_null(pd_next_word(&none, &n));
    assert_null(pd_next_word(&empty, &n));
    assert_null(pd_next_word(&commas, &n));
}

static void figures_have_units(void **state) {
    (void)state;
    char out[32];
    assert_string_equal(pd_size_text(1023, out), "1023 bytes");
    assert_string_equal(pd_size_text(1536, out), "1.50 KiB");
    assert_string_equal(pd_rate_text(3 << 20, 2000000000, out), "1.50 MiB/s");
    assert_string_equal(pd_rate_text(0, 0, out), "0 bytes/s");
    assert_string_equal(pd_time_text(62, out), "1:02");
    assert_string_equal(pd_time_text(3 * 3600 + 245, out), "3:04:05");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_come_one_by_one),
        cmocka_unit_test(nothing_has_no_words),
        cmocka_unit_test(figures_have_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
