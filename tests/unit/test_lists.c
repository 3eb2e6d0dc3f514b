/* What people write: lists of numbers, token ids, biases, places of pictures in a text.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "sample/biases.h"
#include "text/ids.h"
#include "text/image_markers.h"

static void expect_numbers(const char *text, uint32_t n, const uint32_t *expected) {
    uint32_t *found, n_found;
    pd_error err;
    if (pd_numbers_parse("the list", text, 0, 100, &found, &n_found, &err) != PD_OK)
        fail_msg("%s: %s", text, err.message);
    assert_int_equal(n_found, n);
    assert_memory_equal(found, expected, n * sizeof *found);
    pd_free(found);
}

static void test_numbers(void **state) {
    (void)state;
    expect_numbers("7", 1, (uint32_t[]){7});
    expect_numbers("7,0,100", 3, (uint32_t[]){7, 0, 100});
    expect_numbers("3-5", 3, (uint32_t[]){3, 4, 5});
    expect_numbers("10-40+15,5-40*2", 7, (uint32_t[]){10, 25, 40, 5, 10, 20, 40});
    static const char *const wrong[] = {"",      "x",     "1,",  "5-3",        "1-2+0",
                                        "1-9*1", "0-9*2", "101", "4294967296", "1-2-3"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint32_t *found, n;
        pd_error err;
        pd_status status = pd_numbers_parse("the list", wrong[i], 0, 100, &found, &n, &err);
        if (status != PD_ERR_ARGUMENT) fail_msg("\"%s\" was taken", wrong[i]);
        assert_non_null(strstr(err.message, "the list"));
    }
}

static void test_ids(void **state) {
    (void)state;
    uint32_t *ids;
    size_t n;
    pd_error err;
    assert_int_equal(pd_ids_parse("--ids", " 2,9259\n<image>  4294967295,", &ids, &n, &err), PD_OK);
    assert_int_equal(n, 4);
    assert_memory_equal(ids, ((uint32_t[]){2, 9259, PD_TOKEN_IMAGE, UINT32_MAX}), n * sizeof *ids);
    pd_free(ids);
    static const char *const wrong[] = {"", " ,", "x", "-1", "4294967296", "<image>1", "1 2a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (pd_ids_parse("--ids", wrong[i], &ids, &n, &err) != PD_ERR_ARGUMENT)
            fail_msg("\"%s\" was taken", wrong[i]);
        assert_non_null(strstr(err.message, "--ids"));
    }
}

static void test_biases(void **state) {
    (void)state;
    pd_logit_bias *b;
    size_t n;
    pd_error err;
    assert_int_equal(pd_biases_parse("--bias", "7+1.5,0-inf,4294967295-2", &b, &n, &err), PD_OK);
    assert_int_equal(n, 3);
    assert_true(b[0].id == 7 && b[0].bias == 1.5f && b[2].id == UINT32_MAX && b[2].bias == -2);
    assert_true(b[1].id == 0 && b[1].bias < -1e38f);
    assert_int_equal(pd_biases_check("--bias", b, 2, 8, &err), PD_OK);
    assert_int_equal(pd_biases_check("--bias", b, 2, 7, &err), PD_ERR_ARGUMENT);
    pd_free(b);
    static const char *const wrong[] = {"", "7", "7+", "+1", "7+1,", "7+1 8+1", "4294967296+1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (pd_biases_parse("--bias", wrong[i], &b, &n, &err) != PD_ERR_ARGUMENT)
            fail_msg("\"%s\" was taken", wrong[i]);
        assert_non_null(strstr(err.message, "--bias"));
    }
}

static void expect_places(const char *text, const char *left, size_t n_found, size_t first,
                          size_t second) {
    char copy[64];
    size_t n = strlen(text);
    pd_image_place places[2] = {{0}};
    memcpy(copy, text, n);
    assert_int_equal(pd_image_markers_take(copy, &n, places, 2), n_found);
    assert_int_equal(n, strlen(left));
    assert_memory_equal(copy, left, n);
    assert_int_equal(places[0].at, first);
    assert_int_equal(places[1].at, second);
}

static void test_image_markers(void **state) {
    (void)state;
    expect_places("a<image>b<start_of_image>", "ab", 2, 1, 2);
    expect_places("<image><image>x", "x", 2, 0, 0);
    expect_places(" \n what?", " \n what?", 0, 3, 3);
    expect_places("one <image>", "one ", 1, 4, 0);
    expect_places("<image>1<image>2<image>3", "123", 3, 0, 1);
    expect_places("<imag", "<imag", 0, 0, 0);
    char text[] = "<image>";
    size_t n = sizeof text - 1;
    assert_int_equal(pd_image_markers_take(text, &n, NULL, 0), 0);
    assert_int_equal(n, sizeof text - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_ids),
                                       cmocka_unit_test(test_biases),
                                       cmocka_unit_test(test_image_markers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
