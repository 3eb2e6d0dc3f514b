/* What fails is one request's alone: a NaN in one of several sequences, pages that run out, a
 * device that is lost. Others get what they would have got.
 *
 * PERIDOT_TEST_DEVICES overrides the list of devices.
 *
 * SPDX-License-Identifier: MIT
 */
#include "batch/batch.h"
#include "support_requests.h"

static const pd_backend_vtable *real;
static pd_backend_vtable faulty;
static uint32_t bad_token;               /* a step with it fails */
static pd_status bad_status;             /* ... like that */
static uint32_t most_global, most_local; /* pages that the device has room for */
static uint32_t n_refused;

static pd_status run(pd_program *p, const pd_step *step, pd_error *err) {
    for (uint32_t i = 0; bad_token && i < step->n_rows; i++)
        if (step->rows[i].token == bad_token)
            return PD_RAISE(err, bad_status, "a step that was to fail");
    return real->run(p, step, err);
}

static pd_status kv_grow(pd_backend *b, pd_kv_store *kv, uint32_t n_global, uint32_t n_local,
                         pd_error *err) {
    if (n_global <= most_global && n_local <= most_local)
        return real->kv_grow(b, kv, n_global, n_local, err);
    n_refused++;
    return PD_RAISE(err, PD_ERR_MEMORY_DEVICE, "no room for %u and %u pages", n_global, n_local);
}

static pd_model *open_faulty(const char *device) {
    pd_model *m = open_model(device);
    real = m->backend->v;
    faulty = *real;
    faulty.run = run;
    faulty.kv_grow = kv_grow;
    m->backend->v = &faulty;
    bad_token = n_refused = 0;
    most_global = most_local = UINT32_MAX;
    return m;
}

static void close_faulty(pd_model *m) {
    m->backend->v = real;
    pd_model_close(m);
}

/* ---- a step that fails ---------------------------------------------------------------------- */

static void one_fails(void *ctx, const char *device) {
    (void)ctx;
    static answer got[4], wanted[4];
    uint32_t ids[MAX_IDS];
    pd_model *m = open_faulty(device);
    pd_batch *b = open_batch(m, 4, false);
    ask asks[4];
    for (uint32_t i = 0; i < 4; i++) {
        asks[i] = (ask){.family = i, .n_same = 20, .n = 20 + i, .n_max = 20};
        by_session(m, &asks[i], &wanted[i]);
    }
    fill_ids(&asks[2], ids);
    bad_token = ids[10];
    bad_status = PD_ERR_NUMERIC;
    for (uint32_t i = 0; i < 4; i++) submit(b, &asks[i], &got[i]);
    for (uint32_t i = 0; i < 4; i++) finish(&got[i]);
    assert_int_equal(got[2].status, PD_ERR_NUMERIC);
    for (uint32_t i = 0; i < 4; i++)
        if (i != 2) check_same(device, i, &got[i], &wanted[i]);
    pd_batch_destroy(b);
    close_faulty(m);
}

static void test_one_fails(void **state) {
    (void)state;
    one_fails(NULL, "cpu"); /* the failure is the test's own, whatever the device */
}

static void lost(void *ctx, const char *device) {
    (void)ctx;
    static answer got[3];
    pd_error err;
    uint32_t ids[MAX_IDS];
    pd_model *m = open_faulty(device);
    pd_batch *b = open_batch(m, 2, false);
    ask asks[3];
    for (uint32_t i = 0; i < 3; i++)
        asks[i] = (ask){.family = i, .n_same = 20, .n = 20, .n_max = 200, .ignore_stop = true};
    fill_ids(&asks[1], ids);
    bad_token = ids[10];
    bad_status = PD_ERR_DEVICE_LOST;
    pd_status status[3];
    for (uint32_t i = 0; i < 3; i++) status[i] = try_submit(b, &asks[i], &got[i], &err);
    for (uint32_t i = 0; i < 3; i++) {
        if (status[i] == PD_OK) finish(&got[i]);
        assert_int_equal(status[i] == PD_OK ? got[i].status : status[i], PD_ERR_DEVICE_LOST);
    }
    assert_int_equal(try_submit(b, &asks[0], &got[0], &err), PD_ERR_DEVICE_LOST);
    pd_batch_destroy(b);
    close_faulty(m);
}

static void test_lost(void **state) {
    (void)state;
    lost(NULL, "cpu"); /* the failure is the test's own, whatever the device */
}

/* ---- pages run out -------------------------------------------------------------------------- */

static void few_pages(void *ctx, const char *device) {
    bool deterministic = *(const bool *)ctx;
    static answer got[6], wanted[6];
    pd_model *m = open_faulty(device);
    ask asks[6];
    for (uint32_t i = 0; i < 6; i++) {
        asks[i] = (ask){.family = i, .n_same = 60, .n = 60 + i, .n_max = 100, .ignore_stop = true};
        if (i % 2) asks[i].sampler = (pd_sampler_desc){.temp = 1, .top_k = 20, .seed = i};
        asks[i].scores = i == 2 || i == 3; /* whose answers are computed again as well */
        by_session(m, &asks[i], &wanted[i]);
    }
    pd_batch *b = open_batch(m, 4, deterministic);
    most_global = most_local = 7; /* each comes to need three */
    for (uint32_t i = 0; i < 6; i++) submit(b, &asks[i], &got[i]);
    for (uint32_t i = 0; i < 6; i++) {
        finish(&got[i]);
        check_same(device, i, &got[i], &wanted[i]);
        assert_int_equal(got[i].n_scores, asks[i].scores ? asks[i].n - 1 : 0);
    }
    pd_batch_stats s;
    pd_batch_get_stats(b, &s);
    assert_true(n_refused > 0);
    if (!deterministic) assert_true(s.n_preempted > 0);
    assert_true(s.n_global_pages <= 7);
    pd_batch_destroy(b);
    close_faulty(m);
}

static void test_few_pages(void **state) {
    (void)state;
    bool deterministic = false;
    on_every_device(few_pages, &deterministic);
    deterministic = true;
    few_pages(&deterministic, "cpu");
}

/* One that is alone and finds no room at all fails, and the next one is computed. */
static void too_few_pages(void *ctx, const char *device) {
    (void)ctx;
    static answer large, small;
    pd_model *m = open_faulty(device);
    pd_batch *b = open_batch(m, 4, false);
    most_global = most_local = 2;
    ask a = {.family = 1, .n_same = 200, .n = 200, .n_max = 2};
    submit_and_finish(b, &a, &large);
    assert_int_equal(large.status, PD_ERR_MEMORY_DEVICE);
    a.n = 50;
    submit_and_finish(b, &a, &small);
    assert_int_equal(small.status, PD_OK);
    pd_batch_destroy(b);
    close_faulty(m);
}

static void test_too_few_pages(void **state) {
    (void)state;
    too_few_pages(NULL, "cpu"); /* the failure is the test's own, whatever the device */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_fails), cmocka_unit_test(test_lost),
        cmocka_unit_test(test_few_pages), cmocka_unit_test(test_too_few_pages),
        cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("fault.requests", tests, NULL, NULL);
}
