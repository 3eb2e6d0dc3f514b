/* The bounded reader at its bounds, the growable byte string, and UTF-8 against a decoder written
 * the other way round (decode first, then judge the code point).
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/bytes.h"

static const uint8_t sample[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
                                 0x07, 0x88, 0x00, 0x00, 0x80, 0xbf};

static void test_reader_values(void **state) {
    (void)state;
    pd_reader r = {sample, sizeof sample, 0};
    uint64_t v64;
    uint8_t v8;
    uint16_t v16;
    uint32_t v32;
    float f;
    assert_true(pd_read_u64(&r, &v64));
    assert_true(v64 == 0x8807060504030201u);
    assert_true(pd_read_f32(&r, &f));
    assert_true(f == -1.0f);
    r.pos = 0;
    assert_true(pd_read_u8(&r, &v8) && v8 == 1);
    assert_true(pd_read_u16(&r, &v16) && v16 == 0x0302);
    assert_true(pd_read_u32(&r, &v32) && v32 == 0x07060504);
    assert_int_equal(r.pos, 7);
}

static void test_reader_never_passes_the_end(void **state) {
    (void)state;
    for (uint64_t size = 0; size <= sizeof sample; size++) {
        for (uint64_t pos = 0; pos <= size; pos++) {
            uint8_t v8;
            uint16_t v16;
            uint32_t v32;
            uint64_t v64;
            const uint8_t *bytes;
            pd_reader r = {sample, size, pos};
#define CHECK(call, n)                                                                             \
    do {                                                                                           \
        r.pos = pos;                                                                               \
        uint64_t need = (n);                                                                       \
        bool fits = size - pos >= need;                                                            \
        assert_int_equal(call, fits);                                                              \
        assert_int_equal(r.pos, fits ? pos + need : pos);                                          \
    } while (0)
            CHECK(pd_read_u8(&r, &v8), 1);
            CHECK(pd_read_u16(&r, &v16), 2);
            CHECK(pd_read_u32(&r, &v32), 4);
            CHECK(pd_read_u64(&r, &v64), 8);
            CHECK(pd_read_bytes(&r, 5, &bytes), 5);
            CHECK(pd_read_bytes(&r, 0, &bytes), 0);
#undef CHECK
            r.pos = pos;
            assert_false(pd_read_bytes(&r, UINT64_MAX, &bytes));
            assert_false(pd_read_bytes(&r, UINT64_MAX - pos, &bytes));
            assert_int_equal(r.pos, pos);
        }
    }
}

static void test_growing(void **state) {
    (void)state;
    pd_bytes b = {0};
    for (int i = 0; i < 1000; i++) {
        pd_bytes_printf(&b, "%d,", i);
        assert_int_equal(strlen(b.data), b.n);
    }
    assert_false(b.failed);
    assert_int_equal(b.n, 10 * 2 + 90 * 3 + 900 * 4);
    assert_memory_equal(b.data + b.n - 8, "998,999,", 9);
    pd_bytes_write(&b, "\0x", 2);
    assert_int_equal(b.data[b.n - 1], 'x');
    assert_int_equal(b.data[b.n], '\0');
    pd_bytes_free(&b);
    assert_null(b.data);
    pd_bytes_write(&b, "", 0);
    assert_string_equal(b.data, "");
    pd_bytes_free(&b);
}

static void test_growing_refuses_what_cannot_be(void **state) {
    (void)state;
    pd_bytes b = {0};
    pd_bytes_write(&b, "kept", 4);
    pd_bytes_write(&b, sample, SIZE_MAX);
    assert_true(b.failed);
    assert_string_equal(b.data, "kept");
    pd_bytes_write(&b, "x", 1); /* sticky */
    assert_int_equal(b.n, 4);
    pd_bytes_free(&b);
}

/* Length by decoding: 0 unless the bytes are the shortest form of a scalar value. */
static size_t expected_length(const uint8_t *s, size_t n) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned ones = 0;
    while (ones < 8 && (s[0] >> (7 - ones) & 1)) ones++;
    if (ones == 0) return 1;
    if (ones == 1 || ones > 4 || ones > n) return 0;
    uint32_t code = s[0] & (0x7fu >> ones);
    for (unsigned i = 1; i < ones; i++) {
        if (s[i] >> 6 != 2) return 0;
        code = code << 6 | (s[i] & 63);
    }
    if (code < smallest[ones] || code > 0x10ffff) return 0;
    return code >= 0xd800 && code <= 0xdfff ? 0 : ones;
}

static void test_utf8(void **state) {
    (void)state;
    static const uint8_t third[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    enum { N = sizeof third };
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            for (unsigned k = 0; k < N * N; k++) {
                uint8_t s[4] = {(uint8_t)a, (uint8_t)b, third[k % N], third[k / N]};
                for (size_t n = 1; n <= 4; n++)
                    assert_int_equal(pd_utf8_length(s, n), expected_length(s, n));
            }
        }
    }
    assert_int_equal(pd_utf8_length((const uint8_t *)"", 0), 0);
    assert_int_equal(pd_utf8_valid_bytes("", 0), 0);
    assert_int_equal(pd_utf8_valid_bytes("a\xc3\xa4z", 4), 4);
    assert_int_equal(pd_utf8_valid_bytes("a\xc3\xa4\xffz", 5), 3);
    assert_int_equal(pd_utf8_valid_bytes("ab\xc3", 3), 2);
}

static void test_utf8_need(void **state) {
    (void)state;
    for (unsigned lead = 0; lead < 256; lead++) {
        size_t need = 0; /* the longest sequence that any continuation makes valid */
        for (unsigned second = 0x80; second < 0xc0; second++) {
            uint8_t s[4] = {(uint8_t)lead, (uint8_t)second, 0x80, 0x80};
            size_t n = expected_length(s, 4);
            if (n > need) need = n;
        }
        assert_int_equal(pd_utf8_need((uint8_t)lead), need);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reader_values), cmocka_unit_test(test_reader_never_passes_the_end),
        cmocka_unit_test(test_growing),       cmocka_unit_test(test_growing_refuses_what_cannot_be),
        cmocka_unit_test(test_utf8),          cmocka_unit_test(test_utf8_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
