/* KV pages: reservation, recycling behind the window, cutting, sharing. The pools must never hand
 * out a page twice, and after everything is dropped all pages are free again.
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kv.h"

static pd_kv *make(uint32_t n_seqs, uint32_t max_positions, uint32_t window, uint32_t max_chunk) {
    pd_kv_desc d = {
        .n_seqs = n_seqs, .max_positions = max_positions, .window = window, .max_chunk = max_chunk};
    pd_kv *kv;
    assert_int_equal(pd_kv_create(&d, &kv, NULL), PD_OK);
    return kv;
}

static void grow(pd_kv *kv, uint32_t seq, uint32_t n) {
    assert_int_equal(pd_kv_reserve(kv, seq, n, NULL), PD_OK);
    pd_kv_commit(kv, seq, n);
}

/* Every position that the next row can see has a page, and no page serves two places. */
static void check_visible(pd_kv *kv, uint32_t n_seqs, uint32_t window) {
    uint32_t n = pd_kv_global_page_count(kv), n_local = pd_kv_local_page_count(kv);
    uint8_t *used = calloc(n + n_local + 1, 1);
    for (uint32_t s = 0; s < n_seqs; s++) {
        pd_page_table t = pd_kv_table(kv, s);
        uint32_t length = pd_kv_length(kv, s);
        for (uint32_t p = 0; p < t.n_pages; p++) {
            assert_true(t.global_pages[p] < n);
            assert_int_equal(used[t.global_pages[p]]++, 0);
            bool visible = window && (p + 1) * 64 + window > length + 1 && p * 64 < length;
            if (visible) assert_int_not_equal(t.local_pages[p], PD_NO_PAGE);
            if (t.local_pages[p] == PD_NO_PAGE) continue;
            assert_true(t.local_pages[p] < n_local);
            assert_int_equal(used[n + t.local_pages[p]]++, 0);
        }
    }
    free(used);
}

static void test_window_is_kept_and_recycled(void **state) {
    (void)state;
    static const uint32_t windows[] = {1, 8, 63, 64, 65, 512}, chunks[] = {1, 7, 64, 100, 512};
    for (size_t w = 0; w < 6; w++)
        for (size_t c = 0; c < 5; c++) {
            pd_kv *kv = make(1, 4096, windows[w], chunks[c]);
            while (pd_kv_length(kv, 0) + chunks[c] <= 4096) {
                grow(kv, 0, chunks[c]);
                check_visible(kv, 1, windows[w]);
            }
            uint32_t most = (windows[w] - 1 + chunks[c] + 63) / 64 + 1;
            assert_true(pd_kv_local_page_count(kv) <= most);
            pd_kv_truncate(kv, 0, 0);
            assert_int_equal(pd_kv_free_pages(kv, false), pd_kv_global_page_count(kv));
            assert_int_equal(pd_kv_free_pages(kv, true), pd_kv_local_page_count(kv));
            pd_kv_destroy(kv);
        }
}

static void test_context_is_a_limit(void **state) {
    (void)state;
    pd_kv *kv = make(1, 100, 16, 100);
    pd_error err;
    grow(kv, 0, 90);
    assert_int_equal(pd_kv_reserve(kv, 0, 11, &err), PD_ERR_CONTEXT);
    assert_int_equal(pd_kv_length(kv, 0), 90);
    grow(kv, 0, 10);
    pd_kv_destroy(kv);
}

static void test_truncate_tells_what_is_left(void **state) {
    (void)state;
    pd_kv *kv = make(1, 4096, 64, 64);
    for (int i = 0; i < 10; i++) grow(kv, 0, 64);
    /* the window of position 639 begins at 576: its page is still there */
    assert_int_equal(pd_kv_truncate(kv, 0, 639), 639);
    check_visible(kv, 1, 64);
    /* position 300's window is long gone */
    assert_int_equal(pd_kv_truncate(kv, 0, 300), 0);
    assert_int_equal(pd_kv_free_pages(kv, false), pd_kv_global_page_count(kv));
    grow(kv, 0, 64);
    check_visible(kv, 1, 64);
    pd_kv_destroy(kv);
}

static void test_first_repeatable(void **state) {
    (void)state;
    pd_kv *kv = make(1, 4096, 64, 64);
    grow(kv, 0, 64);
    assert_int_equal(pd_kv_first_repeatable(kv, 0), 0);
    /* row 576 of the last step sees 513 to 576: the pages from 512 on are there, so position 575's
     * window is whole, and one position further back is not */
    for (int i = 0; i < 9; i++) grow(kv, 0, 64);
    assert_int_equal(pd_kv_first_repeatable(kv, 0), 575);
    assert_int_equal(pd_kv_truncate(kv, 0, 575), 575);
    assert_int_equal(pd_kv_truncate(kv, 0, 574), 0);
    assert_int_equal(pd_kv_first_repeatable(kv, 0), 0);
    pd_kv_destroy(kv);
    kv = make(1, 4096, 0, 64); /* no local layers */
    for (int i = 0; i < 10; i++) grow(kv, 0, 64);
    assert_int_equal(pd_kv_first_repeatable(kv, 0), 0);
    pd_kv_destroy(kv);
}

static void test_share_counts_references(void **state) {
    (void)state;
    pd_kv *kv = make(3, 1024, 1024, 256);
    uint32_t all = pd_kv_free_pages(kv, false);
    grow(kv, 0, 200);
    assert_int_equal(pd_kv_share(kv, 0, 150, 1), 128);
    assert_int_equal(pd_kv_length(kv, 1), 128);
    assert_int_equal(pd_kv_free_pages(kv, false), all - 4);
    pd_page_table a = pd_kv_table(kv, 0), b = pd_kv_table(kv, 1);
    assert_int_equal(a.global_pages[1], b.global_pages[1]);
    grow(kv, 1, 10);
    assert_int_not_equal(pd_kv_table(kv, 0).global_pages[2], pd_kv_table(kv, 1).global_pages[2]);
    /* a shared page must not be written by one of its owners: cutting inside it gives it up */
    assert_int_equal(pd_kv_truncate(kv, 0, 100), 64);
    assert_int_equal(pd_kv_length(kv, 1), 138);
    assert_int_equal(pd_kv_share(kv, 0, 64, 1), 0); /* not empty */
    pd_kv_truncate(kv, 0, 0);
    pd_kv_truncate(kv, 1, 0);
    assert_int_equal(pd_kv_free_pages(kv, false), all);
    assert_int_equal(pd_kv_free_pages(kv, true), pd_kv_local_page_count(kv));
    pd_kv_destroy(kv);
}

/* Nothing that writes reaches a page of somebody else's. */
static void test_shared_pages_are_not_written(void **state) {
    (void)state;
    pd_kv *kv = make(2, 1024, 64, 256);
    grow(kv, 0, 130);
    assert_int_equal(pd_kv_share(kv, 0, 130, 1), 128);
    assert_false(pd_kv_can_repeat(kv, 0, 127));
    assert_false(pd_kv_can_repeat(kv, 1, 127));
    assert_true(pd_kv_can_repeat(kv, 0, 128));
    assert_false(pd_kv_can_repeat(kv, 0, 130)); /* not there yet */
    for (uint32_t cut = 100; cut > 64; cut -= 5) assert_int_equal(pd_kv_truncate(kv, 1, cut), 64);
    assert_int_equal(pd_kv_length(kv, 0), 130);
    grow(kv, 1, 64);
    pd_page_table a = pd_kv_table(kv, 0), b = pd_kv_table(kv, 1);
    assert_int_equal(a.global_pages[0], b.global_pages[0]);
    assert_int_not_equal(a.global_pages[1], b.global_pages[1]);
    assert_int_equal(a.local_pages[0], b.local_pages[0]);
    assert_int_not_equal(a.local_pages[1], b.local_pages[1]);
    assert_true(pd_kv_can_repeat(kv, 0, 127)); /* its own again */
    pd_kv_destroy(kv);
}

static void test_reserved_pages_are_given_back(void **state) {
    (void)state;
    pd_kv *kv = make(1, 1024, 64, 256);
    grow(kv, 0, 60);
    assert_int_equal(pd_kv_reserve(kv, 0, 200, NULL), PD_OK);
    pd_kv_commit(kv, 0, 5);
    pd_kv_drop_reserved(kv, 0);
    assert_int_equal(pd_kv_length(kv, 0), 65);
    assert_int_equal(pd_kv_table(kv, 0).n_pages, 2);
    assert_int_equal(pd_kv_free_pages(kv, false), pd_kv_global_page_count(kv) - 2);
    assert_int_equal(pd_kv_free_pages(kv, true), pd_kv_local_page_count(kv) - 2);
    pd_kv_destroy(kv);
}

/* Also when the step behind it has been reserved, and given up. */
static void test_last_position_can_be_repeated(void **state) {
    (void)state;
    static const uint32_t windows[] = {1, 8, 63, 64, 65};
    for (size_t w = 0; w < 5; w++)
        for (uint32_t step = 1; step < 100; step += 7) {
            pd_kv *kv = make(1, 1024, windows[w], step);
            while (pd_kv_length(kv, 0) + 2 * step <= 1024) {
                grow(kv, 0, step);
                assert_true(pd_kv_can_repeat(kv, 0, pd_kv_length(kv, 0) - 1));
                assert_int_equal(pd_kv_reserve(kv, 0, step, NULL), PD_OK);
                pd_kv_drop_reserved(kv, 0);
                assert_true(pd_kv_can_repeat(kv, 0, pd_kv_length(kv, 0) - 1));
            }
            pd_kv_destroy(kv);
        }
}

static void test_pool_exhaustion_changes_nothing(void **state) {
    (void)state;
    pd_kv_desc d = {.n_seqs = 2,
                    .max_positions = 640,
                    .window = 64,
                    .max_chunk = 640,
                    .n_global_pages = 12,
                    .n_local_pages = 22};
    pd_kv *kv;
    pd_error err;
    assert_int_equal(pd_kv_create(&d, &kv, NULL), PD_OK);
    grow(kv, 0, 640);
    assert_int_equal(pd_kv_reserve(kv, 1, 640, &err), PD_ERR_MEMORY_DEVICE);
    assert_int_equal(pd_kv_free_pages(kv, false), 2);
    grow(kv, 1, 128);
    pd_kv_destroy(kv);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_is_kept_and_recycled),
        cmocka_unit_test(test_context_is_a_limit),
        cmocka_unit_test(test_truncate_tells_what_is_left),
        cmocka_unit_test(test_first_repeatable),
        cmocka_unit_test(test_share_counts_references),
        cmocka_unit_test(test_shared_pages_are_not_written),
        cmocka_unit_test(test_reserved_pages_are_given_back),
        cmocka_unit_test(test_last_position_can_be_repeated),
        cmocka_unit_test(test_pool_exhaustion_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
