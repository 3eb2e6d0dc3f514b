/* Sessions that a function which their own call is calling destroys: the call is stopped and ends
 * in order, and the sanitizers find nothing that was left or touched behind it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "peridot_measure.h"
#include "support_golden.h"

enum { AT_CALL = 3 }; /* that destroys; of a generation one that hands over what runs ahead */

static const uint32_t ids[] = {2, 300, 301, 302, 303, 304, 305, 306};
enum { N_IDS = sizeof ids / sizeof *ids };

static pd_model *model;
static pd_session *doomed;
static uint32_t n_calls;

static void call(void) {
    if (++n_calls == AT_CALL) pd_session_destroy(doomed);
}

static bool destroy_in_prompt(void *ctx, uint32_t n_done, uint32_t n_total) {
    (void)ctx, (void)n_done, (void)n_total;
    call();
    return true;
}

static bool destroy_in_answer(void *ctx, uint32_t id) {
    (void)ctx, (void)id;
    call();
    return true;
}

static bool destroy_in_drawn(void *ctx, pd_log_prob drawn, const pd_log_prob *top, uint32_t n) {
    (void)ctx, (void)drawn, (void)top, (void)n;
    call();
    return true;
}

static pd_status destroy_in_score(void *ctx, uint32_t first, uint32_t n, const float *logits,
                                  pd_error *err) {
    (void)ctx, (void)first, (void)n, (void)logits, (void)err;
    call();
    return PD_OK;
}

static void begin(const pd_session_desc *desc) {
    pd_error err;
    n_calls = 0;
    must(pd_session_create(model, desc, &doomed, &err), &err);
}

static void expect_stopped(pd_status status) {
    assert_int_equal(status, PD_ERR_CANCELLED);
    assert_int_equal(n_calls, AT_CALL);
}

static void test_prompt(void **state) {
    (void)state;
    pd_error err;
    begin(&(pd_session_desc){.n_ctx = 64, .n_chunk = 1, .progress = destroy_in_prompt});
    expect_stopped(pd_session_sync(doomed, ids, N_IDS, &err));
}

static void test_score(void **state) {
    (void)state;
    pd_error err;
    pd_prompt prompt = {.ids = ids, .n_ids = N_IDS};
    begin(&(pd_session_desc){.n_ctx = 64, .n_chunk = 1, .all_logits = true});
    expect_stopped(pd_session_score(doomed, &prompt, 0, destroy_in_score, NULL, &err));
}

/* Drawn ahead by the backend, by the host, and with their probabilities. */
static void test_answer(void **state) {
    (void)state;
    pd_error err;
    for (int way = 0; way < 3; way++) {
        pd_sampler sampler = {.desc = {.temp = way == 1 ? 1 : 0}};
        pd_generate_desc desc = {.n_max = 16, .ignore_stop = true};
        if (way < 2)
            desc.fn = destroy_in_answer;
        else
            desc.drawn_fn = destroy_in_drawn;
        begin(&(pd_session_desc){.n_ctx = 64});
        must(pd_session_sync(doomed, ids, N_IDS, &err), &err);
        expect_stopped(pd_session_generate(doomed, &sampler, &desc, &err));
    }
}

static int open_model(void **state) {
    pd_error err;
    (void)state;
    pd_model_desc desc = {.device = "cpu", .n_threads = 1};
    must(pd_model_open(GOLDEN("small-q4_0.gguf"), &desc, &model, &err), &err);
    return 0;
}

static int close_model(void **state) {
    (void)state;
    pd_model_close(model);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_prompt), cmocka_unit_test(test_score),
                                       cmocka_unit_test(test_answer)};
    return cmocka_run_group_tests(tests, open_model, close_model);
}
