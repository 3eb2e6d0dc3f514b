/* Generation with steps in flight against one token at a time: the same tokens, and the same
 * session afterwards.
 *
 * The model's window is 16 positions, its pages hold 64 and a chain reserves 32 steps, so that 90
 * tokens slide, cross pages and batches. PERIDOT_TEST_DEVICES overrides the list of devices.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/session.h"
#include "file/gguf.h"
#include "support_golden.h"
#include "support_sparse.h"
#include "support_validation.h"
#include "engine/model.h"
#ifdef PERIDOT_HAS_VULKAN
#include "backend/vulkan/program/backend.h"
#endif

enum { N_PROMPT = 9, N_LONG = 90, CONTEXT = 140, N_VOCAB = 600 };

static const uint32_t prompt[N_PROMPT] = {2, 301, 17, 88, 402, 5, 260, 33, 519};

static const pd_sampler_desc samplers[] = {
    {0},
    {.temp = 1, .top_k = 64, .top_p = 0.95f, .seed = 7},
    {.temp = 2, .top_k = 256, .min_p = 0.01f, .seed = UINT64_MAX},
    {.temp = 5, .top_k = 3, .seed = 11},
    {.temp = 1.5f, .top_p = 0.9f, .seed = 3}, /* all candidates: the host draws */
};
enum { N_SAMPLERS = sizeof samplers / sizeof samplers[0] };

static int stride(void) {
    return tests_are_sparse() ? 2 : 1;
}

/* What came of a generation. */
typedef struct tokens {
    uint32_t ids[N_PROMPT + CONTEXT]; /* the prompt first */
    uint32_t n;
    uint32_t stop_after; /* tokens after which fn returns false; 0: never */
    pd_session *cancel;  /* ... or cancels */
} tokens;

static tokens start(void) {
    tokens t = {.n = N_PROMPT};
    memcpy(t.ids, prompt, sizeof prompt);
    return t;
}

static pd_session *open_session(pd_model *m) {
    pd_error err;
    pd_session *s;
    pd_session_desc desc = {.n_ctx = CONTEXT, .n_chunk = 16};
    must(pd_session_create(m, &desc, &s, &err), &err);
    return s;
}

static bool collect(void *ctx, uint32_t id) {
    tokens *t = ctx;
    t->ids[t->n++] = id;
    if (t->n - N_PROMPT != t->stop_after) return true;
    if (t->cancel) pd_session_cancel(t->cancel);
    return t->cancel != NULL;
}

/* One at a time; the session ends with all but the last token in its sequence. */
static void step_by_step(pd_session *s, pd_sampler *sampler, uint32_t n, bool ignore_stop,
                         tokens *t) {
    pd_error err;
    for (uint32_t i = 0; i < n; i++) {
        must(pd_session_sync(s, t->ids, t->n, &err), &err);
        must(pd_session_sample(s, sampler, &t->ids[t->n++], &err), &err);
        if (!ignore_stop && pd_token_is_stop(t->ids[t->n - 1])) return;
    }
}

/* Behind what was generated before. */
static pd_status go_on(pd_session *s, pd_sampler *sampler, uint32_t n, bool ignore_stop, tokens *t,
                       pd_error *err) {
    pd_generate_desc desc = {.n_max = n, .ignore_stop = ignore_stop, .fn = collect, .fn_ctx = t};
    return pd_session_generate(s, sampler, &desc, err);
}

static pd_status generate(pd_session *s, pd_sampler *sampler, uint32_t n, bool ignore_stop,
                          tokens *t, pd_error *err) {
    must(pd_session_sync(s, t->ids, t->n, err), err);
    return go_on(s, sampler, n, ignore_stop, t, err);
}

static void expect_same(const tokens *a, const tokens *b) {
    for (uint32_t i = 0; i < a->n && i < b->n; i++)
        if (a->ids[i] != b->ids[i]) fail_msg("token %u: %u and %u", i, a->ids[i], b->ids[i]);
    assert_int_equal(a->n, b->n);
}

/* The same position, arg-max and logits, bit by bit. */
static void expect_same_state(pd_session *a, pd_session *b) {
    pd_error err;
    uint32_t best[2];
    const float *logits[2];
    assert_int_equal(pd_session_count(a), pd_session_count(b));
    must(pd_session_argmax(a, &best[0], &err), &err);
    must(pd_session_argmax(b, &best[1], &err), &err);
    assert_int_equal(best[0], best[1]);
    must(pd_session_logits(a, &logits[0], &err), &err);
    must(pd_session_logits(b, &logits[1], &err), &err);
    assert_memory_equal(logits[0], logits[1], 4ul * N_VOCAB);
}

static pd_sampler make(const pd_sampler_desc *desc) {
    pd_error err;
    pd_sampler s;
    must(pd_sampler_init(&s, desc, &err), &err);
    return s;
}

/* ---- cases ---------------------------------------------------------------------------------- */

/* A long answer, then more of it after a sync. */
static void long_answers(pd_model *m) {
    pd_error err;
    for (int i = 0; i < N_SAMPLERS; i += stride()) {
        pd_session *one = open_session(m), *many = open_session(m);
        pd_sampler a = make(&samplers[i]), b = a;
        tokens want = start(), got = start();
        step_by_step(one, &a, N_LONG, true, &want);
        must(generate(many, &b, N_LONG, true, &got, &err), &err);
        expect_same(&want, &got);
        assert_int_equal(a.n_drawn, b.n_drawn);
        assert_int_equal(pd_session_get_stats(many)->n_dropped, 0);
        expect_same_state(one, many);
        step_by_step(one, &a, 40, true, &want);
        must(generate(many, &b, 40, true, &got, &err), &err);
        expect_same(&want, &got);
        expect_same_state(one, many);
        pd_session_destroy(one);
        pd_session_destroy(many);
    }
}

/* fn says stop after any number of tokens, with steps in flight behind it. */
static void stopped_by_fn(pd_model *m) {
    pd_error err;
    for (uint32_t n = 1; n < 45; n += n < 6 ? 1 : 29) {
        pd_session *one = open_session(m), *many = open_session(m);
        pd_sampler a = make(&samplers[1]), b = a;
        tokens want = start(), got = start();
        got.stop_after = n;
        step_by_step(one, &a, n, true, &want);
        must(generate(many, &b, N_LONG, true, &got, &err), &err);
        expect_same(&want, &got);
        assert_int_equal(a.n_drawn, b.n_drawn);
        expect_same_state(one, many);
        pd_session_destroy(one);
        pd_session_destroy(many);
    }
}

/* A seed whose answer has a stop token some way in. */
static pd_sampler_desc find_stopping(pd_model *m, uint32_t *n) {
    for (uint64_t seed = 0; seed < 200; seed++) {
        pd_sampler_desc desc = {.temp = 3, .top_k = 256, .seed = seed};
        pd_session *s = open_session(m);
        pd_sampler sampler = make(&desc);
        tokens t = start();
        step_by_step(s, &sampler, 40, false, &t);
        pd_session_destroy(s);
        *n = t.n - N_PROMPT;
        if (*n > 5 && *n < 40) return desc;
    }
    fail_msg("no seed stops");
    return samplers[0];
}

/* On Vulkan where the driver can; a CPU queues nothing. */
static bool skips_queued_steps(const pd_model *m, const char *device) {
#ifdef PERIDOT_HAS_VULKAN
    if (strncmp(device, "vulkan", 6) == 0)
        return ((const pd_vk_backend *)m->backend)->device->caps.conditional;
#endif
    (void)m, (void)device;
    return true;
}

/* Four steps are in flight, within batches of 32; the first token needs none. */
static uint32_t n_queued_behind(uint32_t n_tokens) {
    uint32_t left = (PD_RUN_AHEAD_STEPS - (n_tokens - 1) % PD_RUN_AHEAD_STEPS) % PD_RUN_AHEAD_STEPS;
    return left < 3 ? left : 3;
}

static void stopped_by_token(pd_model *m, const char *device) {
    pd_error err;
    uint32_t n;
    pd_sampler_desc desc = find_stopping(m, &n);
    pd_session *one = open_session(m), *many = open_session(m);
    pd_sampler a = make(&desc), b = a;
    tokens want = start(), got = start();
    step_by_step(one, &a, n, false, &want);
    must(generate(many, &b, N_LONG, false, &got, &err), &err);
    expect_same(&want, &got);
    assert_true(pd_token_is_stop(got.ids[got.n - 1]));
    uint32_t n_dropped = pd_session_get_stats(many)->n_dropped;
    if (skips_queued_steps(m, device))
        assert_int_equal(n_dropped, 0);
    else
        assert_int_equal(n_dropped, n_queued_behind(n));
    expect_same_state(one, many);
    must(generate(many, &b, 20, true, &got, &err), &err); /* on behind the stop token */
    step_by_step(one, &a, 20, true, &want);
    expect_same(&want, &got);
    expect_same_state(one, many);
    pd_session_destroy(one);
    pd_session_destroy(many);
}

static void stopped_by_context(pd_model *m) {
    pd_error err;
    pd_session *s = open_session(m);
    for (int i = 0; i < N_SAMPLERS; i += stride()) {
        pd_sampler sampler = make(&samplers[i]);
        tokens t = start();
        must(generate(s, &sampler, 0, true, &t, &err), &err);
        assert_int_equal(t.n, CONTEXT + 1);
        assert_int_equal(pd_session_count(s), CONTEXT);
    }
    pd_session_destroy(s);
}

/* A cancelled generation goes on as if nothing had been. */
static void cancelled(pd_model *m) {
    pd_error err;
    for (int i = 0; i < N_SAMPLERS; i += stride()) {
        pd_session *one = open_session(m), *many = open_session(m);
        pd_sampler a = make(&samplers[i]), b = a;
        tokens want = start(), got = start();
        got.stop_after = 37;
        got.cancel = many;
        assert_int_equal(generate(many, &b, N_LONG, true, &got, &err), PD_ERR_CANCELLED);
        assert_int_equal(got.n, N_PROMPT + 37);
        pd_session_resume(many);
        must(generate(many, &b, N_LONG - 37, true, &got, &err), &err);
        step_by_step(one, &a, N_LONG, true, &want);
        expect_same(&want, &got);
        expect_same_state(one, many);
        pd_session_destroy(one);
        pd_session_destroy(many);
    }
}

/* Several generations, one behind the other without a sync, end after n tokens each, or are told
 * to by fn, or are cancelled: together they are one. */
static void in_pieces(pd_model *m) {
    pd_error err;
    for (int i = 0; i < N_SAMPLERS; i += stride()) {
        pd_session *one = open_session(m), *many = open_session(m);
        pd_sampler a = make(&samplers[i]), b = a;
        tokens want = start(), got = start();
        step_by_step(one, &a, N_LONG, true, &want);
        must(generate(many, &b, 1, true, &got, &err), &err);
        must(go_on(many, &b, 1, true, &got, &err), &err);
        must(go_on(many, &b, 35, true, &got, &err), &err);
        got.stop_after = 40;
        must(go_on(many, &b, N_LONG, true, &got, &err), &err);
        got.stop_after = 51;
        got.cancel = many;
        assert_int_equal(go_on(many, &b, N_LONG, true, &got, &err), PD_ERR_CANCELLED);
        assert_int_equal(go_on(many, &b, N_LONG, true, &got, &err), PD_ERR_CANCELLED);
        pd_session_resume(many);
        must(go_on(many, &b, N_LONG - 51, true, &got, &err), &err);
        expect_same(&want, &got);
        assert_int_equal(a.n_drawn, b.n_drawn);
        expect_same_state(one, many);
        must(go_on(many, &b, 0, true, &got, &err), &err); /* to the end of the context */
        assert_int_equal(got.n, CONTEXT + 1);
        must(go_on(many, &b, 0, true, &got, &err), &err);
        assert_int_equal(got.n, CONTEXT + 1);
        got = start(); /* a sync begins anew */
        got.stop_after = 0;
        b = make(&samplers[i]);
        must(generate(many, &b, N_LONG, true, &got, &err), &err);
        expect_same(&want, &got);
        pd_session_destroy(one);
        pd_session_destroy(many);
    }
}

/* A thread that cancels when it is told to. */
typedef struct canceller {
    pd_session *session;
    pthread_t thread;
    sem_t go;
    tokens got;
    uint32_t go_at, done_by; /* tokens */
} canceller;

static void *cancel_when_told(void *ctx) {
    canceller *c = ctx;
    while (sem_wait(&c->go) != 0) {
    }
    pd_session_cancel(c->session);
    return NULL;
}

static bool collect_and_tell(void *ctx, uint32_t id) {
    canceller *c = ctx;
    tokens *t = &c->got;
    t->ids[t->n++] = id;
    if (t->n - N_PROMPT == c->go_at) assert_int_equal(sem_post(&c->go), 0);
    if (t->n - N_PROMPT == c->done_by) assert_int_equal(pthread_join(c->thread, NULL), 0);
    return true;
}

/* What was computed has its outputs, however it ended. */
static void expect_outputs(pd_session *s, const tokens *t) {
    pd_error err;
    const float *logits;
    uint32_t n = pd_session_count(s), best;
    must(pd_session_argmax(s, &best, &err), &err);
    must(pd_session_logits(s, &logits, &err), &err);
    for (uint32_t i = 0; i < N_VOCAB; i++) assert_true(logits[i] <= logits[best]);
    assert_int_equal(pd_session_count(s), n);
    assert_true(n + 1 == t->n || n == t->n);
}

/* Steps are in flight when another thread cancels, at any moment from token 5 on. */
static void cancelled_by_another_thread(pd_model *m, bool syncs) {
    pd_error err;
    for (int i = 0; i < N_SAMPLERS; i += stride()) {
        pd_session *one = open_session(m), *many = open_session(m);
        pd_sampler a = make(&samplers[i]), b = a;
        canceller c = {.session = many, .got = start(), .go_at = 5, .done_by = 60};
        tokens want = start();
        must(pd_session_sync(many, c.got.ids, c.got.n, &err), &err);
        assert_int_equal(sem_init(&c.go, 0, 0), 0);
        assert_int_equal(pthread_create(&c.thread, NULL, cancel_when_told, &c), 0);
        pd_generate_desc desc = {
            .n_max = N_LONG, .ignore_stop = true, .fn = collect_and_tell, .fn_ctx = &c};
        assert_int_equal(pd_session_generate(many, &b, &desc, &err), PD_ERR_CANCELLED);
        uint32_t n = c.got.n - N_PROMPT;
        assert_true(n >= c.go_at && n <= c.done_by);
        if (n < c.done_by) assert_int_equal(pthread_join(c.thread, NULL), 0);
        sem_destroy(&c.go);
        pd_session_resume(many);
        if (!syncs) expect_outputs(many, &c.got);
        must((syncs ? generate : go_on)(many, &b, N_LONG - n, true, &c.got, &err), &err);
        step_by_step(one, &a, N_LONG, true, &want);
        expect_same(&want, &c.got);
        expect_same_state(one, many);
        pd_session_destroy(one);
        pd_session_destroy(many);
    }
}

static void run_cases(void *ctx, const char *device) {
    (void)ctx;
    pd_error err;
    pd_model *m;
    must(pd_model_open(GOLDEN("small-q4_0.gguf"), &(pd_model_desc){.device = device}, &m, &err),
         &err);
    long_answers(m);
    stopped_by_fn(m);
    stopped_by_token(m, device);
    stopped_by_context(m);
    cancelled(m);
    in_pieces(m);
    cancelled_by_another_thread(m, true);
    cancelled_by_another_thread(m, false);
    pd_model_close(m);
}

static void test_every_device(void **state) {
    (void)state;
    on_every_device(run_cases, NULL);
}

/* All devices that compute equal logits draw equal tokens. */
static void keep_tokens(void *ctx, const char *device) {
    pd_error err;
    pd_model *m;
    tokens *first = ctx, t = start();
    must(pd_model_open(GOLDEN("small-q8_0-scaled.gguf"), &(pd_model_desc){.device = device}, &m,
                       &err),
         &err);
    pd_session *s;
    pd_session_desc desc = {.n_ctx = CONTEXT, .precision = PD_PRECISION_EXACT};
    must(pd_session_create(m, &desc, &s, &err), &err);
    pd_sampler sampler = make(&samplers[1]);
    must(generate(s, &sampler, 60, true, &t, &err), &err);
    if (first->n == 0) *first = t;
    expect_same(first, &t);
    pd_session_destroy(s);
    pd_model_close(m);
}

static void test_devices_agree(void **state) {
    (void)state;
    tokens first = {0};
    on_every_device(keep_tokens, &first);
}

/* ---- numbers that overflow ------------------------------------------------------------------ */

enum { POISONED = 77 };

/* The file with the first value of token POISONED's embedding replaced, the rest of its row zero.
 */
static void write_poisoned(char *path, float value) {
    pd_error err;
    pd_gguf *g;
    size_t n;
    uint32_t bits;
    must(pd_gguf_open(GOLDEN("small-bf16.gguf"), &g, &err), &err);
    const pd_tensor *t = pd_gguf_find_tensor(g, "token_embd.weight");
    assert_non_null(t);
    assert_int_equal(t->type, PD_TYPE_BF16);
    char *data = read_file(GOLDEN("small-bf16.gguf"), &n), *row = data + t->offset;
    row += POISONED * t->ne[0] * 2;
    memset(row, 0, t->ne[0] * 2);
    memcpy(&bits, &value, sizeof bits);
    row[0] = (char)(bits >> 16);
    row[1] = (char)(bits >> 24);
    pd_gguf_close(g);
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, data, (unsigned)n) == (ssize_t)n);
    close(fd);
    free(data);
}

/* The token's logit is value * x[0], its embedding times the root of the width overflows: as soon
 * as x[0] has the value's sign the token is the best one, and computing it fails. One of the two
 * signs is not the first one. */
static void generate_poisoned(void *ctx, const char *device) {
    pd_error err;
    pd_model *m;
    pd_session *s;
    tokens t = start();
    uint32_t *n_late = ctx;
    for (float value = -4.4e37f; value < 5e37f; value += 8.8e37f) {
        char path[] = "/tmp/peridot-poisoned-XXXXXX";
        write_poisoned(path, value);
        t = start();
        must(pd_model_open(path, &(pd_model_desc){.device = device}, &m, &err), &err);
        unlink(path);
        must(pd_session_create(m, &(pd_session_desc){.n_ctx = CONTEXT}, &s, &err), &err);
        pd_sampler greedy = make(&samplers[0]);
        pd_status status = generate(s, &greedy, N_LONG, true, &t, &err);
        if (t.ids[t.n - 1] == POISONED) {
            assert_int_equal(status, PD_ERR_NUMERIC);
            assert_non_null(strstr(err.message, "operation embed made"));
            assert_int_equal(pd_session_count(s), t.n - 1);
            must(pd_session_argmax(s, t.ids, &err), &err); /* of what was computed before it */
            assert_int_equal(t.ids[0], POISONED);
            uint32_t n = t.n;
            assert_int_equal(go_on(s, &greedy, 1, true, &t, &err), PD_ERR_NUMERIC);
            assert_int_equal(t.n, n);
        }
        *n_late += t.n > N_PROMPT + 1 && t.ids[t.n - 1] == POISONED;
        pd_session_destroy(s);
        pd_model_close(m);
    }
    if (*n_late == 0) fail_msg("the token never came late on %s", device);
    *n_late = 0;
}

static void test_nan_while_running_ahead(void **state) {
    (void)state;
    uint32_t n_late = 0;
    on_every_device(generate_poisoned, &n_late);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_device), cmocka_unit_test(test_devices_agree),
        cmocka_unit_test(test_nan_while_running_ahead), cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
