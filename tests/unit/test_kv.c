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

static pd_kv *make_by(const pd_kv_desc *d, uint32_t n_seqs) {
    pd_kv *kv;
    uint32_t seq;
    assert_int_equal(pd_kv_create(d, &kv, NULL), PD_OK);
    for (uint32_t i = 0; i < n_seqs; i++) {
        assert_int_equal(pd_kv_join(kv, &seq, NULL), PD_OK);
        assert_int_equal(seq, i);
    }
    assert_int_equal(pd_kv_extend(kv, pd_kv_most_pages(kv, n_seqs), NULL), PD_OK);
    return kv;
}

/* With all pages that its sequences can come to need. */
static pd_kv *make(uint32_t n_seqs, uint32_t max_positions, uint32_t window, uint32_t max_chunk) {
    pd_kv_desc d = {.max_positions = max_positions, .window = window, .max_chunk = max_chunk};
    return make_by(&d, n_seqs);
}

static uint32_t reserve(pd_kv *kv, uint32_t seq, uint32_t n) {
    pd_kv_copies copies;
    assert_int_equal(pd_kv_reserve(kv, seq, n, &copies, NULL), PD_OK);
    return copies.n;
}

static pd_status refused(pd_kv *kv, uint32_t seq, uint32_t n) {
    pd_kv_copies copies;
    pd_error err;
    return pd_kv_reserve(kv, seq, n, &copies, &err);
}

static void grow(pd_kv *kv, uint32_t seq, uint32_t n) {
    reserve(kv, seq, n);
    pd_kv_commit(kv, seq, n);
}

static uint32_t free_global(const pd_kv *kv) {
    return pd_kv_free_pages(kv).n_global;
}

static void assert_all_free(const pd_kv *kv) {
    pd_kv_pages free_pages = pd_kv_free_pages(kv), all = pd_kv_page_counts(kv);
    assert_int_equal(free_pages.n_global, all.n_global);
    assert_int_equal(free_pages.n_local, all.n_local);
}

/* Every position that the next row can see has a page, and no page serves two places. */
static void check_visible(pd_kv *kv, uint32_t n_seqs, uint32_t window) {
    uint32_t n = pd_kv_page_counts(kv).n_global, n_local = pd_kv_page_counts(kv).n_local;
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
            assert_true(pd_kv_page_counts(kv).n_local <= most);
            pd_kv_truncate(kv, 0, 0);
            assert_all_free(kv);
            pd_kv_destroy(kv);
        }
}

static void test_context_is_a_limit(void **state) {
    (void)state;
    pd_kv *kv = make(1, 100, 16, 100);
    grow(kv, 0, 90);
    assert_int_equal(refused(kv, 0, 11), PD_ERR_CONTEXT);
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
    assert_all_free(kv);
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
    uint32_t all = free_global(kv);
    grow(kv, 0, 200);
    assert_int_equal(pd_kv_share(kv, 0, 150, 1), 150);
    assert_int_equal(pd_kv_length(kv, 1), 150);
    assert_int_equal(free_global(kv), all - 4);
    pd_page_table a = pd_kv_table(kv, 0), b = pd_kv_table(kv, 1);
    assert_int_equal(a.global_pages[2], b.global_pages[2]);
    assert_int_equal(reserve(kv, 1, 10), 2); /* position 150 lies in a page that both have */
    pd_kv_commit(kv, 1, 10);
    assert_int_not_equal(pd_kv_table(kv, 0).global_pages[2], pd_kv_table(kv, 1).global_pages[2]);
    assert_int_equal(reserve(kv, 0, 10), 0); /* and the old one is the other's alone now */
    assert_int_equal(pd_kv_truncate(kv, 0, 100), 100);
    assert_int_equal(pd_kv_length(kv, 1), 160);
    assert_int_equal(pd_kv_share(kv, 0, 64, 1), 0); /* not empty */
    pd_kv_truncate(kv, 0, 0);
    pd_kv_truncate(kv, 1, 0);
    assert_all_free(kv);
    pd_kv_destroy(kv);
}

static void test_shared_pages_are_not_repeated(void **state) {
    (void)state;
    pd_kv *kv = make(2, 1024, 64, 256);
    grow(kv, 0, 130);
    assert_int_equal(pd_kv_share(kv, 0, 128, 1), 128);
    assert_false(pd_kv_can_repeat(kv, 0, 127));
    assert_false(pd_kv_can_repeat(kv, 1, 127));
    assert_true(pd_kv_can_repeat(kv, 0, 128));
    assert_false(pd_kv_can_repeat(kv, 0, 130)); /* not there yet */
    pd_kv_truncate(kv, 1, 100);
    assert_int_equal(reserve(kv, 1, 64), 2);
    pd_kv_commit(kv, 1, 64);
    assert_true(pd_kv_can_repeat(kv, 0, 127)); /* its own again */
    pd_kv_destroy(kv);
}

static void test_reserved_pages_are_given_back(void **state) {
    (void)state;
    pd_kv *kv = make(1, 1024, 64, 256);
    grow(kv, 0, 60);
    reserve(kv, 0, 200);
    pd_kv_commit(kv, 0, 5);
    pd_kv_drop_reserved(kv, 0);
    assert_int_equal(pd_kv_length(kv, 0), 65);
    assert_int_equal(pd_kv_table(kv, 0).n_pages, 2);
    assert_int_equal(free_global(kv), pd_kv_page_counts(kv).n_global - 2);
    assert_int_equal(pd_kv_free_pages(kv).n_local, pd_kv_page_counts(kv).n_local - 2);
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
                reserve(kv, 0, step);
                pd_kv_drop_reserved(kv, 0);
                assert_true(pd_kv_can_repeat(kv, 0, pd_kv_length(kv, 0) - 1));
            }
            pd_kv_destroy(kv);
        }
}

static void test_pool_exhaustion_changes_nothing(void **state) {
    (void)state;
    pd_kv_desc d = {.max_positions = 640,
                    .window = 64,
                    .max_chunk = 640,
                    .n_global_pages = 12,
                    .n_local_pages = 22};
    pd_kv *kv = make_by(&d, 2);
    grow(kv, 0, 640);
    assert_int_equal(refused(kv, 1, 640), PD_ERR_MEMORY_DEVICE);
    assert_int_equal(free_global(kv), 2);
    grow(kv, 1, 128);
    pd_kv_destroy(kv);
}

/* ---- growing pools -------------------------------------------------------------------------- */

static void test_pools_grow_with_the_sequence(void **state) {
    (void)state;
    pd_kv_desc d = {.max_positions = 8192, .window = 512, .max_chunk = 512, .mark_positions = 1024};
    pd_kv *kv;
    uint32_t seq, n_grown = 0;
    assert_int_equal(pd_kv_create(&d, &kv, NULL), PD_OK);
    assert_int_equal(pd_kv_join(kv, &seq, NULL), PD_OK);
    pd_kv_pages most = pd_kv_most_pages(kv, 1);
    assert_int_equal(most.n_global, 128);
    assert_int_equal(most.n_local, (512 + 512 - 1 + 63) / 64 + 1 + 16);
    while (pd_kv_length(kv, seq) < 8192) {
        pd_kv_pages there = pd_kv_page_counts(kv), want = pd_kv_wanted_pages(kv, seq, 128, false);
        pd_kv_pages modest = pd_kv_wanted_pages(kv, seq, 128, true);
        assert_true(modest.n_global <= want.n_global && modest.n_local <= want.n_local);
        if (want.n_global > there.n_global) {
            assert_true(want.n_global <= 128 && modest.n_global <= there.n_global + 2);
            n_grown++;
        }
        assert_int_equal(pd_kv_extend(kv, want, NULL), PD_OK);
        grow(kv, seq, 128);
        assert_true(pd_kv_page_counts(kv).n_global <= 3 + pd_kv_length(kv, seq) / 64 * 3 / 2);
    }
    assert_true(n_grown < 15);
    assert_int_equal(pd_kv_page_counts(kv).n_global, most.n_global);
    pd_kv_leave(kv, seq);
    assert_all_free(kv);
    pd_kv_destroy(kv);
}

/* ---- marks ---------------------------------------------------------------------------------- */

static void test_marks_are_gone_back_to(void **state) {
    (void)state;
    pd_kv_desc d = {.max_positions = 4096, .window = 64, .max_chunk = 64, .mark_positions = 256};
    pd_kv *kv = make_by(&d, 1);
    grow(kv, 0, 64);
    grow(kv, 0, 40);
    pd_kv_mark(kv, 0, 104);
    pd_kv_mark(kv, 0, 90);   /* within the last step */
    pd_kv_mark(kv, 0, 1000); /* beyond the end: none */
    assert_int_equal(pd_kv_mark_before(kv, 0, UINT32_MAX), 104);
    for (int i = 0; i < 5; i++) grow(kv, 0, 64);
    pd_kv_mark(kv, 0, 104 + 320);
    pd_kv_mark(kv, 0, 30); /* its window is gone: none */
    assert_int_equal(pd_kv_mark_before(kv, 0, UINT32_MAX), 424);
    assert_int_equal(pd_kv_mark_before(kv, 0, 423), 104);
    assert_int_equal(pd_kv_mark_before(kv, 0, 103), 90);
    assert_int_equal(pd_kv_mark_before(kv, 0, 89), 0);
    for (int i = 0; i < 3; i++) grow(kv, 0, 64);
    assert_int_equal(pd_kv_reachable(kv, 0, 500), 424);
    assert_int_equal(pd_kv_truncate(kv, 0, 500), 424);
    check_visible(kv, 1, 64);
    grow(kv, 0, 10);
    assert_int_equal(pd_kv_truncate(kv, 0, 103), 90);
    assert_int_equal(pd_kv_mark_before(kv, 0, UINT32_MAX), 90); /* those beyond are gone */
    assert_int_equal(pd_kv_truncate(kv, 0, 89), 89);            /* whose window is there again */
    pd_kv_truncate(kv, 0, 0);
    assert_all_free(kv);
    pd_kv_destroy(kv);
}

/* Marks give way to sequences; those used longest ago first. */
static void test_marks_give_way(void **state) {
    (void)state;
    pd_kv_desc d = {.max_positions = 4096, .window = 64, .max_chunk = 64, .mark_positions = 256};
    pd_kv *kv = make_by(&d, 1);
    for (uint32_t n = 64; n <= 256; n += 64) {
        grow(kv, 0, 64);
        pd_kv_mark(kv, 0, n);
    }
    pd_kv_mark(kv, 0, 256);
    assert_int_equal(pd_kv_reachable(kv, 0, 70), 64);
    for (int i = 0; i < 40; i++) grow(kv, 0, 64);
    assert_int_equal(pd_kv_reachable(kv, 0, 70), 64); /* four pages are theirs for good */
    for (uint32_t n = pd_kv_length(kv, 0), i = 0; i < 6; i++, n += 64) {
        pd_kv_mark(kv, 0, n);
        grow(kv, 0, 64);
    }
    assert_int_equal(pd_kv_reachable(kv, 0, 130), 0);
    assert_true(pd_kv_mark_before(kv, 0, UINT32_MAX) > 256);
    pd_kv_leave(kv, 0);
    assert_all_free(kv);
    pd_kv_destroy(kv);
}

/* ---- what pages hold ------------------------------------------------------------------------ */

enum { N_SEQS = 4, MAX_POSITIONS = 2000, MAX_PAGES = 400 };

/* A store as a backend has it, whose K and V are numbers that no two rows share. */
typedef struct world {
    pd_kv *kv;
    uint32_t window;
    uint64_t global[MAX_PAGES][64], local[MAX_PAGES][64];
    uint64_t rows[N_SEQS][MAX_POSITIONS]; /* what each sequence has to find */
    uint64_t n_rows;
} world;

static void write_rows(world *w, uint32_t seq, uint32_t n) {
    pd_kv_copies copies;
    if (pd_kv_reserve(w->kv, seq, n, &copies, NULL) != PD_OK) return;
    for (uint32_t i = 0; i < copies.n; i++) {
        uint64_t(*pages)[64] = copies.list[i].global ? w->global : w->local;
        memcpy(pages[copies.list[i].to], pages[copies.list[i].from], sizeof pages[0]);
    }
    pd_page_table t = pd_kv_table(w->kv, seq);
    uint32_t first = pd_kv_length(w->kv, seq);
    for (uint32_t p = first; p < first + n; p++) {
        w->rows[seq][p] = ++w->n_rows;
        w->global[t.global_pages[p / 64]][p % 64] = w->n_rows;
        if (w->window) w->local[t.local_pages[p / 64]][p % 64] = w->n_rows;
    }
    pd_kv_commit(w->kv, seq, n);
}

static void check_rows(const world *w, uint32_t seq) {
    uint32_t n = pd_kv_length(w->kv, seq), first = pd_window_first(n, w->window);
    pd_page_table t = pd_kv_table(w->kv, seq);
    for (uint32_t p = 0; p < n; p++) {
        assert_int_equal(w->global[t.global_pages[p / 64]][p % 64], w->rows[seq][p]);
        if (w->window && p >= first)
            assert_int_equal(w->local[t.local_pages[p / 64]][p % 64], w->rows[seq][p]);
    }
}

static void go_back(world *w, uint32_t seq, uint32_t n) {
    uint32_t reachable = pd_kv_reachable(w->kv, seq, n);
    assert_int_equal(pd_kv_truncate(w->kv, seq, n), reachable);
    assert_int_equal(pd_kv_length(w->kv, seq), reachable);
}

static void branch(world *w, uint32_t from, uint32_t to, uint32_t n) {
    pd_kv_leave(w->kv, to);
    uint32_t seq;
    assert_int_equal(pd_kv_join(w->kv, &seq, NULL), PD_OK);
    assert_int_equal(seq, to);
    pd_kv_share(w->kv, from, n, to);
    memcpy(w->rows[to], w->rows[from], sizeof w->rows[to]);
}

static void random_step(world *w) {
    uint32_t seq = (uint32_t)rand() % N_SEQS, length = pd_kv_length(w->kv, seq);
    uint32_t n = (uint32_t)rand() % (length + 1);
    switch (rand() % 8) {
    case 0: go_back(w, seq, n); break;
    case 1: go_back(w, seq, length - n / 16); break;
    case 2: branch(w, seq, (seq + 1) % N_SEQS, rand() % 2 ? n : length); break;
    case 3: pd_kv_mark(w->kv, seq, length - n / 8); break;
    case 4: pd_kv_mark(w->kv, seq, length); break;
    default: write_rows(w, seq, 1 + (uint32_t)rand() % (rand() % 2 ? 4 : 130)); break;
    }
}

static void test_everybody_finds_his_rows(void **state) {
    (void)state;
    static const uint32_t windows[] = {0, 1, 5, 64, 100, 512};
    static world w;
    for (uint32_t seed = 0; seed < 24; seed++) {
        pd_kv_desc d = {.max_positions = MAX_POSITIONS,
                        .window = windows[seed % 6],
                        .max_chunk = 130,
                        .mark_positions = seed < 12 ? 512 : 0,
                        .n_global_pages = 100,
                        .n_local_pages = seed % 2 ? 60 : 120};
        w = (world){.kv = make_by(&d, N_SEQS), .window = d.window};
        srand(seed);
        for (int i = 0; i < 3000; i++) {
            random_step(&w);
            for (uint32_t s = 0; s < N_SEQS && i % 16 == 0; s++) check_rows(&w, s);
        }
        for (uint32_t s = 0; s < N_SEQS; s++) pd_kv_leave(w.kv, s);
        assert_all_free(w.kv);
        pd_kv_destroy(w.kv);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_is_kept_and_recycled),
        cmocka_unit_test(test_context_is_a_limit),
        cmocka_unit_test(test_truncate_tells_what_is_left),
        cmocka_unit_test(test_first_repeatable),
        cmocka_unit_test(test_share_counts_references),
        cmocka_unit_test(test_shared_pages_are_not_repeated),
        cmocka_unit_test(test_reserved_pages_are_given_back),
        cmocka_unit_test(test_last_position_can_be_repeated),
        cmocka_unit_test(test_pool_exhaustion_changes_nothing),
        cmocka_unit_test(test_pools_grow_with_the_sequence),
        cmocka_unit_test(test_marks_are_gone_back_to),
        cmocka_unit_test(test_marks_give_way),
        cmocka_unit_test(test_everybody_finds_his_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
