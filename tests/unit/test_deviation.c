/* How far values are from what they should be: which row, which value, and what is not finite.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "measure/deviation.h"

enum { ROWS = 3, WIDTH = 4 };
static const float expected[ROWS * WIDTH] = {1, -1, 1, -1, 2, 2, -2, 2, 10, 10, 10, 10};

static void test_equal_values(void **state) {
    (void)state;
    pd_deviation d = pd_deviation_of(expected, expected, ROWS, WIDTH);
    assert_true(d.nmse == 0 && d.row_nmse == 0 && d.worst == 0);
    assert_true(pd_deviation_of(expected, expected, 0, WIDTH).nmse == 0);
}

/* The row's error counts beside the row's own values, the whole error beside all of them. */
static void test_one_value(void **state) {
    (void)state;
    float got[ROWS * WIDTH];
    for (int i = 0; i < ROWS * WIDTH; i++) got[i] = expected[i];
    got[2] = 1.5f;  /* e^2 = 0.25 of 4 */
    got[9] = 10.5f; /* 0.25 of 400 */
    pd_deviation d = pd_deviation_of(got, expected, ROWS, WIDTH);
    assert_float_equal(d.nmse, 0.5 / 420, 1e-12);
    assert_float_equal(d.row_nmse, 0.25 / 4, 1e-12);
    assert_float_equal(d.worst, 0.5, 1e-12);
    assert_int_equal(d.worst_row, 0);
    assert_int_equal(d.worst_column, 2);
    assert_true(d.worst_got == 1.5f && d.worst_expected == 1.0f);
}

static void test_what_is_not_finite(void **state) {
    (void)state;
    const float wrong[] = {NAN, INFINITY, -INFINITY};
    for (int k = 0; k < 3; k++) {
        float got[ROWS * WIDTH];
        for (int i = 0; i < ROWS * WIDTH; i++) got[i] = expected[i];
        got[7] = wrong[k];
        pd_deviation d = pd_deviation_of(got, expected, ROWS, WIDTH);
        assert_true(isinf(d.nmse) && isinf(d.row_nmse) && isinf(d.worst));
        assert_int_equal(d.worst_row, 1);
        assert_int_equal(d.worst_column, 3);
    }
}

static void test_zeros(void **state) {
    (void)state;
    const float zeros[WIDTH] = {0}, tiny[WIDTH] = {0, 1e-30f};
    assert_true(pd_deviation_of(zeros, zeros, 1, WIDTH).row_nmse == 0);
    assert_true(isinf(pd_deviation_of(tiny, zeros, 1, WIDTH).row_nmse));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_values), cmocka_unit_test(test_one_value),
        cmocka_unit_test(test_what_is_not_finite), cmocka_unit_test(test_zeros)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
