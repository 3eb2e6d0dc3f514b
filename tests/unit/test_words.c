/* Lists with commas.  SPDX-License-Identifier: MIT */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_come_one_by_one),
        cmocka_unit_test(nothing_has_no_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
