/* The memory of KV pages: what a page holds comes back as it was given, on every backend and after
 * growth; a store that has grown holds the bytes of one that was made so large at once; what is
 * refused changes nothing. Random bits, so that nothing passes for lack of differences.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/harness.h"

static const bool kinds[] = {true, false, true, true, true};

/* Heads with an unfinished chunk of 16 bytes; pages larger than a transfer; odd numbers of heads.
 * With PERIDOT_MAX_BINDING=200000 the last two need more slices as they grow. */
static const struct sample {
    pd_kv_shape shape;
    uint32_t n_pages[3][2]; /* global, local, and after each growth */
} samples[] = {
    {{3, 8, 2, 20, false, kinds}, {{1, 3}, {5, 3}, {5, 9}}},
    {{5, 16, 16, 256, true, kinds}, {{1, 1}, {2, 1}, {3, 2}}},
    {{2, 5, 5, 64, false, kinds}, {{1, 1}, {20, 1}, {23, 24}}},
};
enum { N_SAMPLES = sizeof samples / sizeof *samples };

static pd_kv_store *make(pd_backend *b, const struct sample *s, int stage) {
    pd_kv_store *kv;
    pd_error err;
    pd_kv_store_desc desc = {s->shape, s->n_pages[stage][0], s->n_pages[stage][1]};
    ops_check(b->v->kv_create(b, &desc, &kv, &err), &err);
    return kv;
}

static void grow(pd_backend *b, pd_kv_store *kv, const struct sample *s, int stage) {
    pd_error err;
    ops_check(b->v->kv_grow(b, kv, s->n_pages[stage][0], s->n_pages[stage][1], &err), &err);
}

static pd_backend_stats stats_of(pd_backend *b) {
    pd_backend_stats s;
    b->v->stats(b, &s);
    return s;
}

/* ---- pages ---------------------------------------------------------------------------------- */

/* The same page has the same bits whenever it is asked for. */
static uint8_t *page_bits(const pd_kv_shape *shape, bool global, uint32_t page) {
    uint64_t n = pd_kv_page_bytes(shape, global);
    uint8_t *bits = malloc(n);
    assert_non_null(bits);
    ops_seed = 1000 * page + global;
    for (uint64_t i = 0; i < n; i++) bits[i] = (uint8_t)ops_random();
    return bits;
}

static void write_pages(pd_backend *b, pd_kv_store *kv, const struct sample *s, bool global,
                        uint32_t first, uint32_t end) {
    pd_error err;
    for (uint32_t p = first; p < end; p++) {
        uint8_t *bits = page_bits(&s->shape, global, p);
        ops_check(b->v->kv_write(b, kv, global, p, bits, &err), &err);
        free(bits);
    }
}

static void check_pages(pd_backend *b, pd_kv_store *kv, const struct sample *s, int stage) {
    pd_error err;
    for (int global = 0; global < 2; global++)
        for (uint32_t p = 0; p < s->n_pages[stage][!global]; p++) {
            uint64_t n = pd_kv_page_bytes(&s->shape, global);
            uint8_t *bits = page_bits(&s->shape, global, p), *found = malloc(n);
            ops_check(b->v->kv_read(b, kv, global, p, found, &err), &err);
            assert_memory_equal(found, bits, n);
            free(found);
            free(bits);
        }
}

static void test_pages_stay(void **state) {
    (void)state;
    for (uint32_t d = 0; d < ops_n_devices; d++)
        for (uint32_t i = 0; i < N_SAMPLES; i++) {
            const struct sample *s = &samples[i];
            pd_backend *b = ops_devices[d].backend;
            pd_kv_store *kv = make(b, s, 0);
            for (int stage = 0; stage < 3; stage++) {
                if (stage) grow(b, kv, s, stage);
                for (int k = 0; k < 2; k++)
                    write_pages(b, kv, s, !k, stage ? s->n_pages[stage - 1][k] : 0,
                                s->n_pages[stage][k]);
                check_pages(b, kv, s, stage);
            }
            b->v->kv_destroy(b, kv);
        }
}

static void test_page_bytes(void **state) {
    (void)state;
    const pd_kv_shape *s = &samples[0].shape;
    assert_int_equal(pd_kv_page_bytes(s, true), 2 * 2 * 2 * 64 * 20 * 2);
    assert_int_equal(pd_kv_page_bytes(s, false), 1 * 2 * 2 * 64 * 20 * 2);
    pd_kv_shape huge = {5, UINT32_MAX, UINT32_MAX, UINT32_MAX, true, kinds};
    assert_true(pd_kv_page_bytes(&huge, true) == UINT64_MAX);
}

/* ---- the account ---------------------------------------------------------------------------- */

static pd_backend *open_device(const char *device, uint64_t limit, bool counts_only) {
    pd_backend *b;
    pd_error err;
    pd_backend_desc desc = {
        .device = device, .memory_limit_bytes = limit, .counts_only = counts_only};
    ops_check(pd_backend_open(&desc, &b, &err), &err);
    return b;
}

/* What a store holds that was made in so many stages, up to the last. */
static uint64_t held_bytes(pd_backend *b, const struct sample *s, int first) {
    uint64_t before = stats_of(b).kv_bytes;
    pd_kv_store *kv = make(b, s, first);
    for (int stage = first + 1; stage < 3; stage++) grow(b, kv, s, stage);
    uint64_t held = stats_of(b).kv_bytes - before;
    b->v->kv_destroy(b, kv);
    assert_int_equal(stats_of(b).kv_bytes, before);
    return held;
}

static void test_account(void **state) {
    (void)state;
    for (uint32_t d = 0; d < ops_n_devices; d++) {
        pd_backend *real = ops_devices[d].backend;
        pd_backend *counted = open_device(ops_devices[d].device, 0, true);
        for (uint32_t i = 0; i < N_SAMPLES; i++) {
            uint64_t at_once = held_bytes(real, &samples[i], 2);
            assert_int_equal(held_bytes(real, &samples[i], 0), at_once);
            assert_int_equal(held_bytes(counted, &samples[i], 2), at_once);
            assert_int_equal(held_bytes(counted, &samples[i], 0), at_once);
        }
        counted->v->close(counted);
    }
}

/* Of the sample whose heads no backend pads. Drivers may round buffers up. */
static const struct sample *const large = &samples[1];

/* One layer of the second stage: K and V of 2 pages of 16 heads. */
static const uint64_t layer_bytes = 2ull * 2 * 16 * 64 * 256 * 4, rounding = 64 << 10;

/* While a store grows, one layer is there twice, and no more. */
static void test_peak(void **state) {
    (void)state;
    for (uint32_t d = 0; d < ops_n_devices; d++) {
        pd_backend *b = open_device(ops_devices[d].device, 0, false);
        pd_kv_store *kv = make(b, large, 1);
        grow(b, kv, large, 2);
        pd_backend_stats s = stats_of(b);
        uint64_t held = s.weight_bytes + s.kv_bytes + s.scratch_bytes;
        assert_true(s.peak_bytes >= held && s.peak_bytes <= held + layer_bytes + rounding);
        b->v->kv_destroy(b, kv);
        b->v->close(b);
    }
}

/* ---- what is refused ------------------------------------------------------------------------ */

/* Where the larger store would fit, but not the way there. */
static void test_limit(void **state) {
    (void)state;
    for (uint32_t d = 0; d < ops_n_devices; d++) {
        const char *device = ops_devices[d].device;
        uint64_t room = held_bytes(ops_devices[d].backend, large, 2) + layer_bytes / 2;
        pd_backend *b = open_device(device, 1, true); /* what a backend holds by itself */
        pd_backend_stats own = stats_of(b), before, after;
        b->v->close(b);
        room += own.weight_bytes + own.scratch_bytes;
        b = open_device(device, room, false);
        pd_kv_store *kv = make(b, large, 0);
        pd_error err;
        grow(b, kv, large, 1);
        before = stats_of(b);
        assert_int_equal(b->v->kv_grow(b, kv, 3, 2, &err), PD_ERR_MEMORY_DEVICE);
        assert_non_null(strstr(err.message, "missing"));
        assert_null(strchr(err.message, '\n'));
        after = stats_of(b);
        assert_int_equal(after.kv_bytes, before.kv_bytes);
        assert_int_equal(after.peak_bytes, before.peak_bytes);
        assert_int_equal(b->v->kv_grow(b, kv, UINT32_MAX, 1, &err), PD_ERR_MEMORY_DEVICE);
        assert_int_equal(stats_of(b).kv_bytes, before.kv_bytes);
        write_pages(b, kv, large, true, 0, large->n_pages[1][0]);
        write_pages(b, kv, large, false, 0, large->n_pages[1][1]);
        check_pages(b, kv, large, 1);
        b->v->kv_destroy(b, kv);
        b->v->close(b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_bytes), cmocka_unit_test(test_pages_stay),
        cmocka_unit_test(test_account),    cmocka_unit_test(test_peak),
        cmocka_unit_test(test_limit),      cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("ops.kv_store", tests, ops_setup, ops_teardown);
}
