/* No memory of the host's is allocated from the first token of an answer on: not by drawing tokens,
 * on the device or here, not by log-probabilities, penalties and stop strings, not by windows that
 * slide and pages that are filled. Where KV pages are taken as they are needed, a few times.
 * PERIDOT_TEST_DEVICES overrides the list of devices.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "fault/support_allocations.h"
#include "fault/support_drivers.h"
#include "support_golden.h"

/* small-q4_0.gguf has a window of 16 positions and 600 tokens; a KV page holds 64 positions. */
enum { N_PROMPT = 11, N_TOKENS = 300, N_CTX = 512, N_VOCAB = 600 };

static const uint32_t prompt[N_PROMPT] = {2, 301, 17, 88, 402, 5, 260, 33, 519, 44, 7};

typedef struct answer {
    pd_model *model;
    pd_stop *stop;
    pd_detokenizer text;
    uint32_t n_tokens;
    uint32_t first, last; /* n_allocations at the first token, and at the one before */
    uint32_t n_times;     /* tokens that any were made before, the first one aside */
} answer;

static bool take(void *ctx, uint32_t id) {
    answer *a = ctx;
    char piece[PD_DETOKENIZE_MAX_BYTES], out[sizeof piece + PD_STOP_MAX_BYTES];
    size_t n_out;
    uint32_t now = n_allocations;
    if (a->n_tokens++ == 0) a->first = a->last = now;
    a->n_times += now != a->last;
    a->last = now;
    size_t n = pd_detokenize(a->model, &a->text, id, piece);
    return !pd_stop_feed(a->stop, piece, n, out, &n_out);
}

static bool take_drawn(void *ctx, pd_log_prob drawn, const pd_log_prob *top, uint32_t n_top) {
    (void)top;
    assert_int_equal(n_top, 5);
    return take(ctx, drawn.id);
}

/* Allocations of an answer behind its first token. */
static uint32_t count(pd_session *s, answer *a, const pd_sampler_desc *sampling, bool with_top) {
    pd_error err;
    pd_sampler sampler;
    pd_generate_desc desc = {
        .n_max = N_TOKENS, .ignore_stop = true, .fn = with_top ? NULL : take, .fn_ctx = a};
    if (with_top) {
        desc.drawn_fn = take_drawn;
        desc.n_top = 5;
    }
    a->n_tokens = a->n_times = 0;
    must(pd_sampler_init(&sampler, sampling, &err), &err);
    must(pd_session_sync(s, prompt, N_PROMPT, &err), &err);
    must(pd_session_generate(s, &sampler, &desc, &err), &err);
    assert_int_equal(a->n_tokens, N_TOKENS);
    return n_allocations - a->first;
}

static uint32_t in_new_session(answer *a, const pd_sampler_desc *sampling, bool with_top,
                               bool all_pages) {
    pd_error err;
    pd_session *s;
    pd_session_desc desc = {.n_ctx = N_CTX, .n_chunk = 64, .all_pages = all_pages};
    must(pd_session_create(a->model, &desc, &s, &err), &err);
    uint32_t n = count(s, a, sampling, with_top);
    pd_session_destroy(s);
    return n;
}

static void on_device(void *ctx, const char *device) {
    (void)ctx;
    static const pd_logit_bias bias = {.id = 7, .bias = 2};
    static const char *const strings[] = {"never said"};
    static const struct {
        const char *name;
        pd_sampler_desc sampling;
        bool with_top;
    } ways[] = {
        {"the best", {.temp = 0}, false},
        {"drawn", {.temp = 1, .top_k = 40, .top_p = 0.9f, .seed = 3}, false},
        {"drawn from all", {.temp = 1, .seed = 3}, false},
        {"penalised",
         {.temp = 1, .repeat_penalty = 1.1f, .logit_bias = &bias, .n_logit_bias = 1},
         false},
        {"log-probabilities", {.temp = 1, .top_k = 40, .seed = 3}, true},
    };
    answer a = {0};
    pd_error err;
    pd_model_desc desc = {.device = device, .n_threads = 2};
    must(pd_model_open(GOLDEN("small-q4_0.gguf"), &desc, &a.model, &err), &err);
    must(pd_stop_create(strings, 1, &a.stop, &err), &err);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        uint32_t n = in_new_session(&a, &ways[i].sampling, ways[i].with_top, true);
        if (n) fail_msg("%s, %s: %u allocations behind the first token", device, ways[i].name, n);
    }
    uint32_t n = in_new_session(&a, &ways[0].sampling, false, false);
    print_message("%-16s none; where pages are taken as they are needed %u, before %u tokens\n",
                  device, n, a.n_times);
    assert_true(n > 0 && a.n_times <= 4); /* from 2 pages to 8 */
    pd_stop_destroy(a.stop);
    pd_model_close(a.model);
}

static void test_token_path(void **state) {
    (void)state;
    on_every_device(on_device, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_token_path)};
    keep_drivers_loaded();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
