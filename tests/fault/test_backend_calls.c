/* Every call that the engine makes of a backend fails once: the n-th of making a session, computing
 * a prompt with an image, generating, scoring, comparing the heads and profiling, for every n, on
 * every device.
 *
 * The failure must come back with its own sentence, or the call do without; and the same session,
 * used once more, must compute the bits that it computes without a failure.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "engine/model.h"
#include "fault/support_backend.h"
#include "fault/support_fault.h"
#include "peridot_measure.h"
#include "support_golden.h"
#include "support_validation.h"

enum { N_IDS = 12, N_GENERATED = 20, N_SCORED = 20, N_VOCAB = 600, FIRST = 7 };

static const uint32_t ids[N_IDS] = {2, 301, 17, 88, PD_TOKEN_IMAGE, 402, 5, 260, 33, 519, 44, 7};
static uint8_t rgb[2 * 3 * 3] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 250, 99};

typedef struct results {
    uint32_t n_tokens, tokens[N_GENERATED];
    float logits[N_VOCAB], log_probs[N_SCORED];
    uint32_t n_same; /* of the heads' best tokens; threads add up the divergence in any order */
} results;

static bool keep_token(void *ctx, uint32_t id) {
    results *r = ctx;
    r->tokens[r->n_tokens++] = id;
    return true;
}

static bool skip_op(void *ctx, const pd_profile_op *op) {
    (void)ctx, (void)op;
    return true;
}

static pd_status compute_prompt(pd_session *s, pd_error *err) {
    const uint32_t other[2] = {9, 5}; /* so that the prompt is always computed in the same chunks */
    pd_image image = {.width = 3, .height = 2, .rgb = rgb};
    pd_prompt prompt = {.ids = ids, .n_ids = N_IDS, .images = &image, .n_images = 1};
    PD_TRY(pd_session_sync(s, other, 2, err));
    return pd_session_sync_prompt(s, &prompt, err);
}

static pd_status score_tokens(pd_session *s, results *r, pd_error *err) {
    uint32_t text[N_SCORED + FIRST + 1];
    for (uint32_t i = 0; i < N_SCORED + FIRST + 1; i++) text[i] = 3 + 7 * i;
    return pd_session_log_probs(s, text, N_SCORED + FIRST + 1, FIRST, r->log_probs, NULL, err);
}

static pd_status compute(pd_session *s, bool all_logits, results *r, pd_error *err) {
    pd_sampler sampler = {.desc = {.temp = 1, .top_k = 40, .seed = 5}};
    pd_generate_desc desc = {
        .n_max = N_GENERATED, .ignore_stop = true, .fn = keep_token, .fn_ctx = r};
    const float *logits;
    pd_head_cost cost;
    memset(r, 0, sizeof *r);
    PD_TRY(compute_prompt(s, err));
    PD_TRY(pd_session_generate(s, &sampler, &desc, err));
    PD_TRY(pd_session_logits(s, &logits, err));
    memcpy(r->logits, logits, sizeof r->logits);
    PD_TRY(pd_session_head_cost(s, &cost, err));
    r->n_same = cost.n_same;
    PD_TRY(pd_session_profile(s, skip_op, NULL, err));
    return all_logits ? score_tokens(s, r, err) : PD_OK;
}

/* *again: what the session computes once more, when a call has failed. */
static pd_status run(pd_model *m, bool all_logits, results *r, results *again, pd_error *err) {
    pd_session *s;
    pd_error second;
    pd_session_desc desc = {.n_ctx = 128, .n_chunk = 8, .all_logits = all_logits};
    PD_TRY(pd_session_create(m, &desc, &s, err));
    pd_status status = compute(s, all_logits, r, err);
    failing_call = 0;
    if (status != PD_OK && compute(s, all_logits, again, &second) != PD_OK)
        complain("then \"%s\"", second.message);
    pd_session_destroy(s);
    return status;
}

/* false: a run makes fewer calls. */
static bool fail_one(pd_model *m, const char *device, bool all_logits, uint32_t n,
                     const results *wanted) {
    static results found, again;
    pd_error err = {0};
    snprintf(where, sizeof where, "%s%s: call %u fails", device, all_logits ? ", all logits" : "",
             n);
    again = *wanted;
    n_backend_calls = 0;
    failing_call = n;
    pd_status status = run(m, all_logits, &found, &again, &err);
    failing_call = 0;
    if (status == PD_OK && n_backend_calls < n) return false;
    if (status != PD_ERR_DEVICE || !is_sentence(err.message) ||
        !strstr(err.message, "that was to fail"))
        complain("%s, \"%s\"", pd_status_name(status), err.message);
    if (memcmp(&again, wanted, sizeof again) != 0) complain("then it computes something else");
    return true;
}

static void walk(pd_model *m, const char *device, bool all_logits) {
    static results wanted;
    pd_error err;
    uint32_t n = 1, stride = is_long() || strcmp(device, "cpu") == 0 ? 1 : 11;
    must(run(m, all_logits, &wanted, NULL, &err), &err);
    while (fail_one(m, device, all_logits, n, &wanted)) n += stride;
    print_message("%-16s %u calls, each %u. failed\n", device, n - stride, stride);
    assert_true(n > 30);
}

/* A sync fails when it has put the next chunk's picture where the one before lay: the last step,
 * whose outputs stay, cannot be repeated. */
static void fail_between_pictures(pd_model *m) {
    pd_error err;
    pd_session *s;
    const float *logits;
    static float before[N_VOCAB];
    static uint8_t other[3] = {200, 10, 77};
    const uint32_t text[3] = {2, PD_TOKEN_IMAGE, PD_TOKEN_IMAGE};
    pd_image images[2] = {{.width = 3, .height = 2, .rgb = rgb}, {1, 1, other}};
    pd_prompt p = {.ids = text, .n_ids = 2, .images = images, .n_images = 1};
    must(pd_session_create(m, &(pd_session_desc){.n_ctx = 128}, &s, &err), &err);
    must(pd_session_sync_prompt(s, &p, &err), &err);
    must(pd_session_logits(s, &logits, &err), &err);
    memcpy(before, logits, sizeof before);
    uint32_t n = pd_session_count(s);
    p.n_ids = 3;
    p.n_images = 2;
    n_backend_calls = 0;
    failing_call = 4; /* behind write, run and read of the encoder's */
    assert_int_equal(pd_session_sync_prompt(s, &p, &err), PD_ERR_DEVICE);
    failing_call = 0;
    assert_non_null(strstr(err.message, "write"));
    assert_int_equal(pd_session_count(s), n);
    assert_int_equal(pd_session_profile(s, skip_op, NULL, &err), PD_ERR_ARGUMENT);
    must(pd_session_logits(s, &logits, &err), &err);
    assert_memory_equal(before, logits, sizeof before);
    pd_session_destroy(s);
}

static void walk_device(void *ctx, const char *device) {
    (void)ctx;
    pd_error err;
    pd_model *m;
    pd_model_desc desc = {
        .device = device, .n_threads = 2, .mmproj = GOLDEN("mm-mmproj.gguf"), .head = PD_HEAD_Q4_0};
    must(pd_model_open(GOLDEN("mm-q4_0.gguf"), &desc, &m, &err), &err);
    wrap_backend(m->backend);
    fail_between_pictures(m);
    walk(m, device, false);
    walk(m, device, true);
    unwrap_backend(m->backend);
    pd_model_close(m);
}

static void every_call_fails(void **state) {
    (void)state;
    n_complaints = 0;
    watch();
    on_every_device(walk_device, NULL);
    assert_int_equal(n_complaints, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_call_fails),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
