/* Allocation, the arena, sizes that overflow, the status table and errors.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"

static bool is_zero(const void *p, size_t n) {
    const unsigned char *bytes = p;
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != 0) return false;
    return true;
}

static void test_alloc(void **state) {
    (void)state;
    unsigned char *p = pd_alloc(10, 3);
    assert_non_null(p);
    assert_true(is_zero(p, 30));
    pd_free(p);
    p = pd_alloc(0, 8); /* nothing is still a block of its own */
    assert_non_null(p);
    pd_free(p);
    assert_null(pd_alloc(SIZE_MAX / 2, 3));
    pd_free(NULL);
}

static void test_alloc_aligned(void **state) {
    (void)state;
    for (size_t n = 0; n < 200; n += 7) {
        unsigned char *p = pd_alloc_aligned(n, 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_true(is_zero(p, n));
        memset(p, 0xff, n);
        pd_free_aligned(p);
    }
    assert_null(pd_alloc_aligned(SIZE_MAX / 2, 3));
    assert_null(pd_alloc_aligned(SIZE_MAX - 3, 1));
}

static void test_arena(void **state) {
    (void)state;
    enum { N = 3000 };
    pd_arena a = {0};
    static unsigned char *blocks[N];
    for (size_t i = 0; i < N; i++) {
        size_t n = i % 50 == 49 ? 40000 : i % 97;
        blocks[i] = pd_arena_alloc(&a, n, 1);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        assert_true(is_zero(blocks[i], n));
        memset(blocks[i], (int)(i % 251), n);
    }
    for (size_t i = 0; i < N; i++) { /* nobody wrote into a neighbour */
        size_t n = i % 50 == 49 ? 40000 : i % 97;
        for (size_t k = 0; k < n; k++) assert_int_equal(blocks[i][k], i % 251);
    }
    assert_null(pd_arena_alloc(&a, SIZE_MAX / 2, 3));
    assert_null(pd_arena_alloc(&a, SIZE_MAX - 40, 1));
    assert_string_equal(pd_arena_strdup(&a, "copy"), "copy");
    assert_string_equal(pd_arena_printf(&a, "%s-%d", "blk", 7), "blk-7");
    pd_arena_destroy(&a);
    assert_null(a.blocks);
    pd_arena_destroy(&a);
}

static void test_sizes(void **state) {
    (void)state;
    uint64_t out;
    assert_true(pd_mul_u64(1ull << 32, (1ull << 32) - 1, &out));
    assert_false(pd_mul_u64(1ull << 32, 1ull << 32, &out));
    assert_true(pd_add_u64(UINT64_MAX - 1, 1, &out) && out == UINT64_MAX);
    assert_false(pd_add_u64(UINT64_MAX, 1, &out));
    assert_int_equal(pd_round_up(0, 32), 0);
    assert_int_equal(pd_round_up(1, 32), 32);
    assert_int_equal(pd_round_up(32, 32), 32);
    assert_int_equal(pd_div_up(UINT32_MAX, 2), 1u << 31);
}

static void test_status_table(void **state) {
    (void)state;
    assert_string_equal(pd_status_name(PD_OK), "OK");
    assert_string_equal(pd_status_name(PD_ERR_CANCELLED), "ERR_CANCELLED");
    assert_int_equal(pd_status_exit_code(PD_OK), 0);
    assert_int_equal(pd_status_exit_code(PD_ERR_CANCELLED), 130);
    assert_int_equal(pd_status_exit_code(PD_ERR_FORMAT), 4);
    assert_int_equal(pd_status_http(PD_ERR_ARGUMENT), 400);
    for (int a = 0; a < PD_STATUS_COUNT; a++) {
        assert_true(strlen(pd_status_text((pd_status)a)) > 0);
        for (int b = 0; b < a; b++)
            assert_int_not_equal(pd_status_exit_code((pd_status)a),
                                 pd_status_exit_code((pd_status)b));
    }
    assert_string_equal(pd_status_name((pd_status)1000), "ERR_UNKNOWN");
    assert_int_equal(pd_status_exit_code((pd_status)-1), 70);
}

static void test_errors(void **state) {
    (void)state;
    pd_error err;
    pd_status status = PD_RAISE(&err, PD_ERR_MODEL, "%s is %d, expected %d", "x", 1, 2);
    assert_int_equal(status, PD_ERR_MODEL);
    assert_int_equal(err.status, PD_ERR_MODEL);
    assert_string_equal(err.message, "x is 1, expected 2");
    assert_string_equal(err.hint, "");
    assert_true(err.line > 0);
    assert_int_equal(pd_error_hint(&err, status, "try %d", 2), PD_ERR_MODEL);
    assert_string_equal(err.hint, "try 2");
    assert_int_equal(PD_RAISE(NULL, PD_ERR_IO, "nobody listens"), PD_ERR_IO);
    PD_RAISE(&err, PD_ERR_IO, "%600s", "x"); /* cut, and terminated */
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    PD_RAISE(&err, PD_ERR_IO, "no \"%s\"", "a\nb\x1b[2J\x7f\xc3\xa9"); /* not for terminals */
    assert_string_equal(err.message, "no \"a?b?[2J?\xc3\xa9\"");
}

static void test_long_error_is_cut_between_characters(void **state) {
    (void)state;
    pd_error err;
    char text[700];
    for (size_t lead = 0; lead < 3; lead++) { /* a three-byte character at each place of the cut */
        memset(text, 'a', sizeof text);
        for (size_t i = lead; i + 3 < sizeof text; i += 3) memcpy(text + i, "\xe2\x82\xac", 3);
        text[sizeof text - 1] = '\0';
        PD_RAISE(&err, PD_ERR_IO, "%s", text);
        size_t n = strlen(err.message);
        assert_int_equal((n - lead) % 3, 0);
        assert_true(n >= sizeof err.message - 4);
    }
}

typedef struct log_catch {
    int n;
    char last[64];
} log_catch;

static void catch_line(void *ctx, pd_log_level level, const char *subsystem, const char *line) {
    log_catch *c = ctx;
    c->n++;
    snprintf(c->last, sizeof c->last, "%d %s %s", (int)level, subsystem, line);
}

static void test_log(void **state) {
    (void)state;
    log_catch c = {0};
    assert_false(pd_log_wants(PD_LOG_ERROR));
    pd_log(PD_LOG_ERROR, "gguf", "nobody listens");
    pd_log_set(catch_line, &c, PD_LOG_WARN);
    assert_true(pd_log_wants(PD_LOG_WARN));
    assert_false(pd_log_wants(PD_LOG_INFO));
    pd_log(PD_LOG_WARN, "gguf", "%d left", 3);
    pd_log(PD_LOG_DEBUG, "gguf", "too fine");
    assert_int_equal(c.n, 1);
    assert_string_equal(c.last, "1 gguf 3 left");
    pd_log_set(NULL, NULL, PD_LOG_DEBUG);
    pd_log(PD_LOG_ERROR, "gguf", "nobody listens");
    assert_int_equal(c.n, 1);
}

static void test_hash(void **state) {
    (void)state;
    assert_true(pd_hash("", 0) == 0x2d06800538d394c2u); /* XXH3-64 of nothing, as published */
    assert_true(pd_hash("abc", 3) == pd_hash_seeded("abc", 3, 0));
    assert_true(pd_hash("abc", 3) != pd_hash_seeded("abc", 3, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_alloc_aligned),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_status_table),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_long_error_is_cut_between_characters),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
