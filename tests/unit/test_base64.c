/* Base64: the examples of RFC 4648, every length, and what is none.  SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/base64.h"

static void examples_of_the_rfc(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"Zg==", "f"},         {"Zm8=", "fo"},
                                           {"Zm9v", "foo"},       {"Zm9vYg==", "foob"},
                                           {"Zm9vYmE=", "fooba"}, {"Zm9vYmFy", "foobar"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        uint8_t out[8];
        size_t n = 0;
        assert_true(pd_base64_decode(pairs[i][0], strlen(pairs[i][0]), out, &n));
        assert_int_equal(n, strlen(pairs[i][1]));
        assert_memory_equal(out, pairs[i][1], n);
    }
}

/* Every byte, and no write behind the last one. */
static void all_bytes(void **state) {
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned value = 0; value < 256; value++) {
        char text[4] = {digits[value >> 2], digits[(value & 3) << 4], '=', '='};
        uint8_t out[3] = {0, 0xee, 0xee};
        size_t n;
        assert_true(pd_base64_decode(text, 4, out, &n));
        assert_int_equal(n, 1);
        assert_int_equal(out[0], value);
        assert_int_equal(out[1], 0xee);
    }
}

static void what_is_none(void **state) {
    (void)state;
    static const char *const wrong[] = {"",     "Z",        "Zg",   "Zg=",    "Zg==Z",
                                        "Z===", "====",     "Zm9*", "Zm 9",   "Zg==Zg==",
                                        "=Zg=", "Zm9v\nZg", "Zm-_", "Zm9\xff"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint8_t out[16];
        size_t n = 7;
        assert_false(pd_base64_decode(wrong[i], strlen(wrong[i]), out, &n));
        assert_int_equal(n, 0);
    }
    uint8_t out[4];
    size_t n;
    assert_false(pd_base64_decode("Zm\0v", 4, out, &n)); /* a zero is no digit */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_rfc),
        cmocka_unit_test(all_bytes),
        cmocka_unit_test(what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
