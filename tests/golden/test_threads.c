/* A model shared by threads: each has a session of its own, they take turns inside of the library,
 * and each gets what it gets alone, to the bit. Calls out of callbacks, and sessions whose model
 * was closed, are refused.
 *
 * PERIDOT_TEST_DEVICES overrides the list of devices.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "engine/session.h"
#include "support_golden.h"
#include "support_validation.h"

enum { CONTEXT = 300, N_THREADS = 3, N_TURNS = 3, QUESTION = 40, ANSWER = 30 };

/* What one thread says and gets. */
typedef struct talk {
    pd_model *m;
    uint32_t number;
    pd_precision precision;
    uint32_t ids[CONTEXT], n;
    uint64_t hashes[2 * N_TURNS];
    pd_status status;
    pd_error err;
} talk;

static bool take(void *ctx, uint32_t id) {
    talk *t = ctx;
    t->ids[t->n++] = id;
    return true;
}

static pd_status hash_logits(pd_session *s, uint64_t *out, pd_error *err) {
    const float *logits;
    PD_TRY(pd_session_logits(s, &logits, err));
    *out = pd_session_get_stats(s)->logits_hash;
    return PD_OK;
}

static pd_status play_on(talk *t, pd_session *s) {
    /* the third one draws on the host */
    pd_sampler sampler = {.desc = {.temp = 1, .top_k = t->number == 2 ? 0 : 40, .seed = t->number}};
    pd_generate_desc desc = {.n_max = ANSWER, .ignore_stop = true, .fn = take, .fn_ctx = t};
    for (uint32_t turn = 0; turn < N_TURNS; turn++) {
        for (uint32_t i = 0; i < QUESTION; i++)
            t->ids[t->n++] = 3 + (t->number * 71 + turn * 131 + i * 37) % 500;
        PD_TRY(pd_session_sync(s, t->ids, t->n, &t->err));
        PD_TRY(hash_logits(s, &t->hashes[2 * turn], &t->err));
        PD_TRY(pd_session_generate(s, &sampler, &desc, &t->err));
        PD_TRY(hash_logits(s, &t->hashes[2 * turn + 1], &t->err));
    }
    return PD_OK;
}

static void play(void *ctx) {
    talk *t = ctx;
    pd_session *s = NULL;
    pd_session_desc desc = {.n_ctx = CONTEXT, .n_chunk = 24, .precision = t->precision};
    t->status = pd_session_create(t->m, &desc, &s, &t->err);
    if (t->status == PD_OK) t->status = play_on(t, s);
    pd_session_destroy(s);
}

static talk begin(pd_model *m, uint32_t number) {
    /* two share a context, the third has one of its own */
    return (talk){
        .m = m, .number = number, .precision = number == 1 ? PD_PRECISION_EXACT : PD_PRECISION_F16};
}

static pd_model *open_model(const char *device) {
    pd_error err;
    pd_model *m;
    pd_model_desc desc = {.device = device, .n_threads = 2};
    must(pd_model_open(GOLDEN("small-q4_0.gguf"), &desc, &m, &err), &err);
    return m;
}

static void together(void *ctx, const char *device) {
    (void)ctx;
    static talk alone[N_THREADS], shared[N_THREADS];
    pd_error err;
    pd_model *m = open_model(device);
    pd_thread *threads[N_THREADS];
    for (uint32_t i = 0; i < N_THREADS; i++) {
        alone[i] = begin(m, i);
        play(&alone[i]);
        must(alone[i].status, &alone[i].err);
        shared[i] = begin(m, i);
    }
    for (uint32_t i = 0; i < N_THREADS; i++)
        must(pd_thread_start(play, &shared[i], &threads[i], &err), &err);
    for (uint32_t i = 0; i < N_THREADS; i++) pd_thread_join(threads[i]);
    for (uint32_t i = 0; i < N_THREADS; i++) {
        must(shared[i].status, &shared[i].err);
        if (shared[i].n != alone[i].n || memcmp(shared[i].ids, alone[i].ids, 4 * alone[i].n) != 0)
            fail_msg("%s: thread %u has other tokens than alone", device, i);
        if (memcmp(shared[i].hashes, alone[i].hashes, sizeof alone[i].hashes) != 0)
            fail_msg("%s: thread %u has other logits than alone", device, i);
    }
    pd_model_close(m);
}

static void test_together(void **state) {
    (void)state;
    on_every_device(together, NULL);
}

/* ---- cancelling ----------------------------------------------------------------------------- */

static bool wait_for_cancel(void *ctx, uint32_t id) {
    (void)id;
    atomic_fetch_add((atomic_int *)ctx, 1);
    return true;
}

typedef struct endless {
    pd_session *s;
    atomic_int n;
    pd_status status;
} endless;

static void generate_on(void *ctx) {
    endless *e = ctx;
    pd_error err;
    pd_sampler sampler = {0};
    pd_generate_desc desc = {.ignore_stop = true, .fn = wait_for_cancel, .fn_ctx = &e->n};
    e->status = pd_session_generate(e->s, &sampler, &desc, &err);
}

static void test_cancel_from_another_thread(void **state) {
    (void)state;
    pd_error err;
    pd_model *m = open_model("cpu");
    pd_thread *thread;
    endless e = {0};
    uint32_t ids[] = {2, 5, 7};
    must(pd_session_create(m, &(pd_session_desc){.n_ctx = 2048}, &e.s, &err), &err);
    must(pd_session_sync(e.s, ids, 3, &err), &err);
    must(pd_thread_start(generate_on, &e, &thread, &err), &err);
    while (atomic_load(&e.n) < 3) continue;
    pd_session_cancel(e.s);
    pd_thread_join(thread);
    assert_int_equal(e.status, PD_ERR_CANCELLED);
    pd_session_destroy(e.s);
    pd_model_close(m);
}

/* ---- wrong use ------------------------------------------------------------------------------ */

typedef struct nested {
    pd_session *s;
    pd_status statuses[3];
    uint32_t n;
} nested;

static bool call_back(void *ctx, uint32_t id) {
    nested *c = ctx;
    pd_error err;
    pd_session *other = NULL;
    const float *logits;
    if (c->n++ > 0) { /* the first token is handed over outside of a turn */
        c->statuses[0] = pd_session_sync(c->s, &id, 1, &err);
        c->statuses[1] = pd_session_fork(c->s, &other, &err);
        c->statuses[2] = pd_session_logits(c->s, &logits, &err);
    }
    return c->n < 3;
}

static void nest(void *ctx, const char *device) {
    (void)ctx, (void)device;
    pd_error err;
    pd_model *m = open_model(device);
    nested c = {0};
    pd_sampler sampler = {0};
    uint32_t ids[] = {2, 5, 7};
    pd_generate_desc desc = {.n_max = 8, .ignore_stop = true, .fn = call_back, .fn_ctx = &c};
    must(pd_session_create(m, NULL, &c.s, &err), &err);
    must(pd_session_sync(c.s, ids, 3, &err), &err);
    must(pd_session_generate(c.s, &sampler, &desc, &err), &err);
    for (int i = 0; i < 3; i++) assert_int_equal(c.statuses[i], PD_ERR_ARGUMENT);
    assert_non_null(pd_session_get_stats(c.s));
    pd_session_destroy(c.s);
    pd_model_close(m);
}

static void test_calls_out_of_callbacks(void **state) {
    (void)state;
    on_every_device(nest, NULL);
}

static void test_session_after_its_model(void **state) {
    (void)state;
    pd_error err;
    pd_model *m = open_model("cpu");
    pd_session *s, *fork;
    const float *logits;
    uint32_t id = 2, kept;
    pd_sampler sampler = {0};
    must(pd_session_create(m, NULL, &s, &err), &err);
    must(pd_session_sync(s, &id, 1, &err), &err);
    pd_model_close(m);
    assert_int_equal(pd_session_sync(s, &id, 1, &err), PD_ERR_ARGUMENT);
    assert_string_equal(err.message, "the model was closed");
    assert_int_equal(pd_session_logits(s, &logits, &err), PD_ERR_ARGUMENT);
    assert_int_equal(pd_session_argmax(s, &id, &err), PD_ERR_ARGUMENT);
    assert_int_equal(pd_session_generate(s, &sampler, NULL, &err), PD_ERR_ARGUMENT);
    assert_int_equal(pd_session_fork(s, &fork, &err), PD_ERR_ARGUMENT);
    assert_int_equal(pd_session_rewind(s, 0, &kept, &err), PD_ERR_ARGUMENT);
    assert_int_equal(pd_session_count(s), 1);
    pd_session_destroy(s);
}

int main(void) {
    PRINT_LOG();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_cancel_from_another_thread),
        cmocka_unit_test(test_calls_out_of_callbacks),
        cmocka_unit_test(test_session_after_its_model),
        cmocka_unit_test(check_validation_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
