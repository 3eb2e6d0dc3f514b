/* The version is written down four times in the header: text and numbers say the same, and so do
 * the library and the build.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "peridot.h"

static void text_and_numbers(void **state) {
    (void)state;
    uint32_t n[3] = {99, 99, 99};
    char text[40];
    assert_string_equal(pd_version(n), PD_VERSION_STRING);
    assert_int_equal(n[0], PD_VERSION_MAJOR);
    assert_int_equal(n[1], PD_VERSION_MINOR);
    assert_int_equal(n[2], PD_VERSION_PATCH);
    snprintf(text, sizeof text, "%u.%u.%u", n[0], n[1], n[2]);
    assert_string_equal(text, PD_VERSION_STRING);
    assert_string_equal(text, PERIDOT_PROJECT_VERSION); /* of CMakeLists.txt */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(text_and_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
