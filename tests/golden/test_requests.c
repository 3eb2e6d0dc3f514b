/* A batch of requests gives each what a session by itself would give it: with others in the same
 * steps, with pages shared and taken away, with neighbours that fail, are cancelled or are scored.
 *
 * PERIDOT_TEST_DEVICES overrides the list of devices.
 *
 * SPDX-License-Identifier: MIT
 */
#include "batch/batch.h"
#include "support_requests.h"

enum { N_REQUESTS = 14, ANSWER = 12 };

/* Opening builds pipelines: the tests share a model per device. */
static struct {
    char device[64];
    pd_model *model;
} shared[16];

static pd_model *share_model(const char *device) {
    size_t i = 0;
    while (shared[i].model && strcmp(shared[i].device, device) != 0) i++;
    if (!shared[i].model) {
        snprintf(shared[i].device, sizeof shared[i].device, "%s", device);
        shared[i].model = open_model(device);
    }
    return shared[i].model;
}

static int close_models(void **state) {
    (void)state;
    for (size_t i = 0; shared[i].model; i++) pd_model_close(shared[i].model);
    return 0;
}

/* ---- the same tokens as a session's --------------------------------------------------------- */

/* Requests of all sorts: some begin alike, one is longer than a chunk, some are drawn by the host.
 */
static ask make_ask(uint32_t number) {
    ask a = {.family = number % 3, .n_same = 70 + 20 * (number % 2), .number = number};
    a.n = a.n_same + 1 + number * 7 % 40;
    if (number == 4) a.n = 250;
    a.n_max = ANSWER;
    switch (number % 5) {
    case 1: a.sampler = (pd_sampler_desc){.temp = 1, .top_k = 40, .seed = number}; break;
    case 2: a.sampler = (pd_sampler_desc){.temp = 1, .top_p = 0.9f, .seed = number}; break;
    case 3: a.sampler = (pd_sampler_desc){.repeat_penalty = 1.5f}; break;
    default: break;
    }
    return a;
}

static void same_tokens(void *ctx, const char *device) {
    bool deterministic = *(const bool *)ctx;
    static answer got[N_REQUESTS], wanted[N_REQUESTS];
    pd_model *m = share_model(device);
    pd_batch *b = open_batch(m, 3, deterministic);
    for (uint32_t i = 0; i < N_REQUESTS; i++) {
        ask a = make_ask(i);
        by_session(m, &a, &wanted[i]);
        submit(b, &a, &got[i]);
    }
    for (uint32_t i = 0; i < N_REQUESTS; i++) {
        finish(&got[i]);
        check_same(device, i, &got[i], &wanted[i]);
    }
    pd_batch_stats s;
    pd_batch_get_stats(b, &s);
    assert_true(s.n_cached > 0);
    if (!deterministic) assert_true(s.n_step_rows > s.n_steps / 2); /* rows of several */
    pd_batch_destroy(b);
}

static void test_same_tokens(void **state) {
    (void)state;
    bool deterministic = false;
    on_every_device(same_tokens, &deterministic);
}

static void test_same_tokens_deterministic(void **state) {
    (void)state;
    bool deterministic = true;
    on_every_device(same_tokens, &deterministic);
}

/* ---- to the bit ----------------------------------------------------------------------------- */

enum { N_MIXED = 200 };

/* Short and long, drawn in all ways, with choices, scores and beginnings in common. */
static ask make_mixed(uint32_t number) {
    ask a = make_ask(number);
    a.n_max = 1 + number % 7;
    a.log_probs = true;
    a.ignore_stop = true;
    a.n_top = number % 3;
    if (number % 11 == 0) a.n_choices = 2;
    a.scores = !a.n_choices && number % 9 == 5;
    return a;
}

static void check_equal_bits(const char *device, uint32_t number, const answer *got,
                             const answer *wanted) {
    bool same =
        got->n[0] == wanted->n[0] && got->n[1] == wanted->n[1] && got->n_scores == wanted->n_scores;
    for (uint32_t c = 0; same && c < 2; c++)
        same = memcmp(got->ids[c], wanted->ids[c], 4 * got->n[c]) == 0 &&
               memcmp(got->log_probs[c], wanted->log_probs[c], 4 * got->n[c]) == 0;
    for (uint32_t i = 0; same && i < got->n_scores; i++)
        same = memcmp(&got->scores[i], &wanted->scores[i], sizeof got->scores[i]) == 0;
    if (got->status != PD_OK) fail_msg("%s: request %u: %s", device, number, got->error.message);
    if (!same) fail_msg("%s: request %u is not what it is alone", device, number);
}

/* Each alone, knowing nothing; then all at once, in another order, with all that is known. Batches
 * of another n_parallel have other kernels. */
static void equal_bits(void *ctx, const char *device) {
    (void)ctx;
    uint32_t n = strcmp(device, "cpu") == 0 ? N_MIXED : 20;
    answer *alone = calloc(n, sizeof *alone), *together = calloc(n, sizeof *together);
    pd_model *m = share_model(device);
    pd_batch *b = open_batch(m, 7, true);
    for (uint32_t i = 0; i < n; i++) {
        ask a = make_mixed(i);
        submit_and_finish(b, &a, &alone[i]);
        pd_batch_clear(b);
    }
    pd_batch_destroy(b);
    b = open_batch(m, 7, true);
    for (uint32_t i = 0; i < n; i++) {
        ask a = make_mixed(i * 77 % n);
        submit(b, &a, &together[i * 77 % n]);
    }
    for (uint32_t i = 0; i < n; i++) {
        finish(&together[i]);
        check_equal_bits(device, i, &together[i], &alone[i]);
    }
    pd_batch_stats s;
    pd_batch_get_stats(b, &s);
    assert_true(s.n_cached > 0);
    pd_batch_destroy(b);
    free(alone);
    free(together);
}

static void test_equal_bits(void **state) {
    (void)state;
    on_every_device(equal_bits, NULL);
}

/* ---- beginnings that are known -------------------------------------------------------------- */

static void shares(void *ctx, const char *device) {
    (void)ctx;
    static answer first, again, second, third, many;
    pd_model *m = share_model(device);
    pd_batch *b = open_batch(m, 4, false);
    ask a = {.family = 1, .n_same = 90, .n = 100, .n_max = 20};
    ask fork = {.family = 2, .n_same = 90, .n = 250, .n_max = 1}, choices = a;
    submit_and_finish(b, &a, &first);
    assert_int_equal(first.stats.n_cached, 0);
    submit_and_finish(b, &a, &again);
    assert_int_equal(again.stats.n_cached, 99); /* all but what is drawn from */
    check_same(device, 0, &again, &first);
    /* the pages behind which the texts part are gone: the second one comes as far as the first
     * one's last mark, and marks the place for the third */
    submit_and_finish(b, &fork, &first);
    fork.number = 1;
    submit_and_finish(b, &fork, &second);
    assert_int_equal(second.stats.n_cached, 64);
    fork.number = 2;
    submit_and_finish(b, &fork, &third);
    assert_int_equal(third.stats.n_cached, 90);
    submit_and_finish(b, &a, &first);
    pd_batch_clear(b);
    choices.n_choices = 3;
    submit_and_finish(b, &choices, &many);
    assert_int_equal(many.n_choices_ended, 3);
    for (uint32_t i = 1; i < 3; i++) {
        assert_int_equal(many.n[i], first.n[0]);
        assert_memory_equal(many.ids[i], first.ids[0], 4 * first.n[0]);
    }
    pd_batch_stats s;
    pd_batch_get_stats(b, &s);
    assert_true(s.n_cached >= 2 * 99);
    pd_batch_destroy(b);
}

static void test_shares(void **state) {
    (void)state;
    on_every_device(shares, NULL);
}

/* All at once: one of them computes what they have in common, the others wait for it. */
static void shares_at_once(void *ctx, const char *device) {
    (void)ctx;
    static answer got[6];
    pd_model *m = share_model(device);
    pd_batch *b = open_batch(m, 6, false);
    for (uint32_t i = 0; i < 6; i++) {
        ask a = {.family = 2, .n_same = 128, .n = 132, .number = i, .n_max = 4};
        submit(b, &a, &got[i]);
    }
    for (uint32_t i = 0; i < 6; i++) finish(&got[i]);
    pd_batch_stats s;
    pd_batch_get_stats(b, &s);
    if (s.n_prompt > 132 + 5 * 70)
        fail_msg("%s: %llu rows of prompts were computed", device, (unsigned long long)s.n_prompt);
    pd_batch_destroy(b);
}

static void test_shares_at_once(void **state) {
    (void)state;
    shares_at_once(NULL, "cpu"); /* no device makes a difference */
}

/* ---- log-probabilities ---------------------------------------------------------------------- */

static void check_scores(const char *device, const answer *got, const float *wanted, uint32_t n) {
    assert_int_equal(got->n_scores, n - 1);
    for (uint32_t i = 0; i + 1 < n; i++) {
        const scored *s = &got->scores[i];
        if (fabs((double)(s->log_prob - wanted[i])) > 1e-5)
            fail_msg("%s: token %u has %g, not %g", device, i + 1, (double)s->log_prob,
                     (double)wanted[i]);
        assert_true(s->log_prob <= s->best.log_prob);
        if (s->best.id == s->id) assert_true(s->log_prob == s->best.log_prob);
    }
}

static void scores(void *ctx, const char *device) {
    (void)ctx;
    static answer got, again, other, wide, beside;
    float wanted[MAX_IDS];
    pd_error err;
    pd_session *s;
    pd_model *m = share_model(device);
    pd_batch *b = open_batch(m, 3, false);
    ask a = {.family = 1, .n_same = 100, .n = 110, .n_max = 1, .n_top = 1, .scores = true};
    pd_session_desc desc = {.n_ctx = CONTEXT, .precision = PD_PRECISION_EXACT, .all_logits = true};
    must(pd_session_create(m, &desc, &s, &err), &err);
    uint32_t ids[MAX_IDS];
    fill_ids(&a, ids);
    must(pd_session_log_probs(s, ids, a.n, 0, wanted, NULL, &err), &err);

    ask talk = {.family = 0, .n_same = 40, .n = 40, .n_max = 60};
    submit(b, &talk, &beside);
    submit_and_finish(b, &a, &got);
    check_scores(device, &got, wanted, a.n);
    assert_int_equal(got.n[0], 1);
    assert_true(got.log_probs[0][0] < 0);

    submit_and_finish(b, &a, &again);
    assert_true(again.stats.n_cached >= 64);
    assert_int_equal(again.n_scores, got.n_scores);
    assert_memory_equal(again.scores, got.scores, got.n_scores * sizeof *got.scores);

    ask b2 = a; /* the token at the fork has its own log-probability */
    b2.number = 1;
    fill_ids(&b2, ids);
    must(pd_session_log_probs(s, ids, b2.n, 0, wanted, NULL, &err), &err);
    submit_and_finish(b, &b2, &other);
    assert_true(other.stats.n_cached >= 64);
    check_scores(device, &other, wanted, b2.n);

    b2.n_top = 5;
    submit_and_finish(b, &b2, &wide);
    check_scores(device, &wide, wanted, b2.n);
    for (uint32_t i = 0; i < wide.n_scores; i++) {
        assert_int_equal(wide.scores[i].n_top, 5);
        assert_true(fabs((double)(wide.scores[i].best.log_prob - other.scores[i].best.log_prob)) <
                    1e-5);
    }
    finish(&beside);
    pd_session_destroy(s);
    pd_batch_destroy(b);
}

static void test_scores(void **state) {
    (void)state;
    on_every_device(scores, NULL);
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void cancels(void *ctx, const char *device) {
    (void)ctx;
    static answer early, late, stopped, left;
    pd_model *m = share_model(device);
    pd_batch *b = open_batch(m, 2, false);
    ask a = {.family = 1, .n_same = 40, .n = 40, .n_max = 100};
    ask cut = a;
    cut.stop_after = 5;
    submit(b, &a, &early);
    pd_request_cancel(early.request);
    finish(&early);
    assert_int_equal(early.status, PD_ERR_CANCELLED);
    a.cancel_after = 7;
    submit(b, &cut, &stopped);
    submit_and_finish(b, &a, &late);
    assert_int_equal(late.status, PD_ERR_CANCELLED);
    assert_true(late.n[0] >= 7 && late.n[0] < 100);
    finish(&stopped);
    assert_int_equal(stopped.status, PD_OK);
    assert_int_equal(stopped.n[0], 5);
    assert_int_equal(stopped.ends[0], PD_END_STOP);
    a.cancel_after = 0;
    submit(b, &a, &left);
    pd_batch_destroy(b);
    assert_true(left.is_done);
    assert_int_equal(left.status, PD_ERR_CANCELLED);
    pd_request_free(left.request);
}

static void test_cancels(void **state) {
    (void)state;
    cancels(NULL, "cpu"); /* no device makes a difference */
}

static void refuses(void *ctx, const char *device) {
    (void)ctx;
    static answer got;
    pd_error err;
    pd_request *r;
    pd_model *m = share_model(device);
    pd_batch *b;
    pd_batch_desc desc = {.session = {.n_ctx = 128}, .n_parallel = 1, .max_waiting = 2};
    must(pd_batch_create(m, &desc, &b, &err), &err);
    uint32_t ids[200] = {2, 5, 6};
    pd_request_desc d = {.prompt = {.ids = ids, .n_ids = 200}, .fn = on_event, .ctx = &got};
    assert_int_equal(pd_batch_submit(b, &d, &r, &err), PD_ERR_CONTEXT);
    d.prompt.n_ids = 3;
    d.n_choices = PD_MAX_CHOICES + 1;
    assert_int_equal(pd_batch_submit(b, &d, &r, &err), PD_ERR_ARGUMENT);
    d.n_choices = 0;
    d.sampler.temp = -1;
    assert_int_equal(pd_batch_submit(b, &d, &r, &err), PD_ERR_ARGUMENT);
    d.sampler.temp = 0;
    d.prompt.n_ids = 0;
    assert_int_equal(pd_batch_submit(b, &d, &r, &err), PD_ERR_ARGUMENT);
    desc.n_parallel = PD_MAX_PARALLEL + 1;
    pd_batch *none;
    assert_int_equal(pd_batch_create(m, &desc, &none, &err), PD_ERR_ARGUMENT);
    /* the context is full: 125 tokens behind a prompt of 3, and one that no row follows */
    ask all = {.family = 1, .n_same = 3, .n = 3, .ignore_stop = true};
    submit_and_finish(b, &all, &got);
    assert_int_equal(got.status, PD_OK);
    assert_int_equal(got.ends[0], PD_END_LENGTH);
    assert_int_equal(got.n[0], 126);
    pd_batch_destroy(b);
}

static void test_refuses(void **state) {
    (void)state;
    refuses(NULL, "cpu"); /* no device makes a difference */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_tokens),       cmocka_unit_test(test_same_tokens_deterministic),
        cmocka_unit_test(test_equal_bits),        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_shares_at_once),    cmocka_unit_test(test_scores),
        cmocka_unit_test(test_cancels),           cmocka_unit_test(test_refuses),
        cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("golden.requests", tests, NULL, close_models);
}
