/* Generation with bias, penalties and log-probabilities: what a token at a time gives, the same
 * tokens on every device, and values that belong to the logits.
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
#include <math.h>

#include "support_golden.h"
#include "support_validation.h"

enum { N_PROMPT = 9, N_TOKENS = 40, N_VOCAB = 520, N_TOP = 5, MAX_IDS = N_PROMPT + N_TOKENS };

static const uint32_t prompt[N_PROMPT] = {2, 301, 17, 88, 402, 5, 260, 33, 519};
static const pd_logit_bias biases[] = {{17, 3}, {459, -INFINITY}};

static const pd_sampler_desc settings[] = {
    {0}, /* for comparison */
    {.repeat_penalty = 1.5f},
    {.presence_penalty = 1, .frequency_penalty = 0.5f, .repeat_last_n = UINT32_MAX},
    {.logit_bias = biases, .n_logit_bias = 2},
    {.temp = 1,
     .top_k = 64,
     .top_p = 0.95f,
     .seed = 7,
     .repeat_penalty = 1.3f,
     .repeat_last_n = 20},
};
enum { N_SETTINGS = sizeof settings / sizeof *settings };

typedef struct answer {
    pd_session *session;
    uint32_t ids[MAX_IDS]; /* the prompt first */
    uint32_t n;
} answer;

static pd_sampler make(const pd_sampler_desc *desc) {
    pd_error err;
    pd_sampler s;
    must(pd_sampler_init(&s, desc, &err), &err);
    return s;
}

static answer start(pd_session *s) {
    pd_error err;
    answer a = {.session = s, .n = N_PROMPT};
    memcpy(a.ids, prompt, sizeof prompt);
    must(pd_session_sync(s, prompt, N_PROMPT, &err), &err);
    return a;
}

static bool take(void *ctx, uint32_t id) {
    answer *a = ctx;
    a->ids[a->n++] = id;
    return true;
}

static answer generate(pd_session *s, const pd_sampler_desc *desc) {
    pd_error err;
    answer a = start(s);
    pd_sampler sampler = make(desc);
    pd_generate_desc how = {.n_max = N_TOKENS, .ignore_stop = true, .fn = take, .fn_ctx = &a};
    must(pd_session_generate(s, &sampler, &how, &err), &err);
    return a;
}

static answer one_at_a_time(pd_session *s, const pd_sampler_desc *desc) {
    pd_error err;
    answer a = start(s);
    pd_sampler sampler = make(desc);
    while (a.n < MAX_IDS) {
        must(pd_session_sync(s, a.ids, a.n, &err), &err);
        must(pd_session_sample(s, &sampler, &a.ids[a.n++], &err), &err);
    }
    return a;
}

static void expect_same(const answer *a, const answer *b, uint32_t setting) {
    assert_int_equal(a->n, MAX_IDS);
    for (uint32_t i = 0; i < a->n; i++)
        if (a->ids[i] != b->ids[i])
            fail_msg("setting %u, token %u: %u and %u", setting, i, a->ids[i], b->ids[i]);
}

/* ---- log-probabilities ---------------------------------------------------------------------- */

/* The session's last position is still the one that the token was drawn from. */
static bool take_drawn(void *ctx, pd_log_prob drawn, const pd_log_prob *top, uint32_t n_top) {
    answer *a = ctx;
    pd_error err;
    const float *logits;
    pd_log_prob again[N_TOP];
    uint32_t n, best;
    long double sum = 0;
    must(pd_session_logits(a->session, &logits, &err), &err);
    must(pd_session_argmax(a->session, &best, &err), &err);
    for (uint32_t i = 0; i < N_VOCAB; i++) sum += expl((long double)logits[i]);
    double want = (double)((long double)logits[drawn.id] - logl(sum));
    assert_true(fabs((double)drawn.log_prob - want) <= 1e-6 * fmax(fabs(want), 1));
    assert_int_equal(n_top, N_TOP);
    assert_int_equal(top[0].id, best);
    must(pd_session_top_log_probs(a->session, again, N_TOP, &n, &err), &err);
    assert_int_equal(n, N_TOP);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(top[i].id, again[i].id);
        assert_true(top[i].log_prob == again[i].log_prob);
        if (top[i].id == drawn.id) assert_true(top[i].log_prob == drawn.log_prob);
    }
    return take(ctx, drawn.id);
}

static answer generate_drawn(pd_session *s, const pd_sampler_desc *desc) {
    pd_error err;
    answer a = start(s);
    pd_sampler sampler = make(desc);
    pd_generate_desc how = {.n_max = N_TOKENS,
                            .ignore_stop = true,
                            .fn_ctx = &a,
                            .drawn_fn = take_drawn,
                            .n_top = N_TOP};
    must(pd_session_generate(s, &sampler, &how, &err), &err);
    return a;
}

/* ---- devices -------------------------------------------------------------------------------- */

static void expect_refused_bias(pd_session *s) {
    pd_error err;
    const pd_logit_bias beyond = {N_VOCAB, 1};
    pd_sampler sampler = make(&(pd_sampler_desc){.logit_bias = &beyond, .n_logit_bias = 1});
    assert_int_equal(pd_session_generate(s, &sampler, NULL, &err), PD_ERR_ARGUMENT);
    assert_string_equal(err.message, "a bias is for token 520, but the vocabulary has 520");
}

typedef struct answers {
    answer of[N_SETTINGS];
} answers;

static void run_device(void *ctx, const char *device) {
    pd_error err;
    pd_model *m;
    pd_session *s;
    answers *first = ctx;
    const char *path = GOLDEN("small-q8_0-scaled.gguf");
    must(pd_model_open(path, &(pd_model_desc){.device = device}, &m, &err), &err);
    assert_int_equal(pd_model_get_info(m)->n_vocab, N_VOCAB);
    pd_session_desc desc = {.n_ctx = 64, .precision = PD_PRECISION_EXACT};
    must(pd_session_create(m, &desc, &s, &err), &err);
    for (uint32_t i = 0; i < N_SETTINGS; i++) {
        answer a = generate(s, &settings[i]), b = one_at_a_time(s, &settings[i]);
        expect_same(&a, &b, i);
        b = generate_drawn(s, &settings[i]);
        expect_same(&a, &b, i);
        if (first->of[i].n == 0) first->of[i] = a;
        expect_same(&first->of[i], &a, i);
        if (i > 0 && memcmp(a.ids, first->of[0].ids, sizeof a.ids) == 0)
            fail_msg("setting %u changes nothing", i);
    }
    expect_refused_bias(s);
    pd_session_destroy(s);
    pd_model_close(m);
}

static void test_every_device(void **state) {
    (void)state;
    answers first = {0};
    on_every_device(run_device, &first);
    const answer *biased = &first.of[3];
    for (uint32_t i = N_PROMPT; i < biased->n; i++) assert_int_not_equal(biased->ids[i], 459);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_device),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
