/* Every allocation of host memory fails once: the n-th of opening a model with its image encoder,
 * making a session, computing a prompt, generating, stop strings and encoding an image, for every
 * n, on every device; then that and all later ones.
 *
 * Each time the library must return ERR_MEMORY_HOST with a
 * sentence, or do without and compute the same; it must neither crash nor leak (which the leak
 * sanitizer sees), and the next run in the same process must compute the same bits.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "fault/support_allocations.h"
#include "fault/support_drivers.h"
#include "fault/support_fault.h"
#include "support_golden.h"
#include "support_sparse.h"

enum {
    N_CTX = 64,
    N_CHUNK = 8,
    N_PROMPT = 11,
    N_GENERATED = 4,
    N_VOCAB = 600,
    MAX_ROWS = 1 << 12,
    MAX_PIXELS = 3 << 16
};

static const uint32_t prompt[N_PROMPT] = {2, 301, 17, 88, 402, 5, 260, 33, 519, 44, 7};

/* ---- a run ----------------------------------------------------------------------------------- */

/* What a run computes. */
typedef struct results {
    uint32_t n_tokens, tokens[N_GENERATED];
    float logits[N_VOCAB], rows[MAX_ROWS]; /* of the next token, and of an image */
} results;

static bool keep_token(void *ctx, uint32_t id) {
    results *r = ctx;
    r->tokens[r->n_tokens++] = id;
    return true;
}

static pd_status compute(pd_session *s, results *r, pd_error *err) {
    pd_sampler sampler;
    const float *logits;
    const uint32_t other[2] = {2, 9}; /* so that the prompt is always computed in the same chunks */
    pd_generate_desc desc = {
        .n_max = N_GENERATED, .ignore_stop = true, .fn = keep_token, .fn_ctx = r};
    PD_TRY(pd_session_sync(s, other, 2, err));
    PD_TRY(pd_session_sync(s, prompt, N_PROMPT, err));
    PD_TRY(pd_sampler_init(&sampler, &(pd_sampler_desc){.temp = 1, .top_k = 40, .seed = 5}, err));
    PD_TRY(pd_session_generate(s, &sampler, &desc, err));
    PD_TRY(pd_session_logits(s, &logits, err));
    memcpy(r->logits, logits, sizeof r->logits);
    return PD_OK;
}

static pd_status stop_text(pd_error *err) {
    static const char *const strings[] = {"one", "two"};
    char out[3 + PD_STOP_MAX_BYTES];
    size_t n;
    pd_stop *stop;
    PD_TRY(pd_stop_create(strings, 2, &stop, err));
    assert_true(pd_stop_feed(stop, "two", 3, out, &n) && n == 0);
    pd_stop_destroy(stop);
    return PD_OK;
}

static pd_status encode(pd_model *m, results *r, pd_error *err) {
    static float chw[MAX_PIXELS];
    const pd_vision_info *v = pd_model_get_vision(m);
    uint32_t n = 3 * v->image_size * v->image_size;
    assert_true(n <= MAX_PIXELS && v->n_tokens * v->n_embd_out <= MAX_ROWS);
    for (uint32_t i = 0; i < n; i++) chw[i] = (float)(i % 97) / 48 - 1;
    return pd_model_embed_pixels(m, chw, r->rows, err);
}

static pd_status run_both(pd_model *m, pd_session *s, results *r, pd_error *err) {
    memset(r, 0, sizeof *r);
    PD_TRY(compute(s, r, err));
    PD_TRY(stop_text(err));
    return encode(m, r, err);
}

/* What failed is used once more: `again`. */
static pd_status run_model(pd_model *m, results *r, results *again, pd_error *err) {
    pd_session *s;
    pd_error second;
    pd_session_desc desc = {.n_ctx = N_CTX, .n_chunk = N_CHUNK};
    PD_TRY(pd_session_create(m, &desc, &s, err));
    pd_status status = run_both(m, s, r, err);
    if (status != PD_OK && !ever_after && run_both(m, s, again, &second) != PD_OK)
        complain("then \"%s\"", second.message);
    pd_session_destroy(s);
    return status;
}

static pd_status run(const char *device, results *r, results *again, pd_error *err) {
    pd_model *m;
    pd_model_desc desc = {.device = device,
                          .n_threads = 2,
                          .mmproj = GOLDEN("mm-mmproj.gguf"),
                          .session = {.n_ctx = N_CTX, .n_chunk = N_CHUNK}};
    PD_TRY(pd_model_open(GOLDEN("mm-q4_0.gguf"), &desc, &m, err));
    pd_status status = run_model(m, r, again, err);
    pd_model_close(m);
    return status;
}

/* ---- the walk -------------------------------------------------------------------------------- */

static void check_same(const results *found, const results *wanted) {
    if (memcmp(found, wanted, sizeof *found) != 0) complain("it computes something else");
}

/* A device that cannot be listed for want of memory is not there. The processor's device memory is
 * the host's. */
static bool fits(pd_status status, const char *device) {
    bool is_vulkan = strncmp(device, "vulkan", 6) == 0;
    return status == PD_ERR_MEMORY_HOST ||
           status == (is_vulkan ? PD_ERR_NO_DEVICE : PD_ERR_MEMORY_DEVICE);
}

/* false: a run makes fewer allocations. */
static bool fail_one(const char *device, uint32_t n, const results *wanted) {
    static results found, again;
    pd_error err = {0};
    snprintf(where, sizeof where, "%s: allocation %u%s fails", device, n,
             ever_after ? " and every later one" : "");
    alarm(HANG_S);
    again = *wanted;
    n_allocations = n_failed = 0;
    fail_at = n;
    pd_status status = run(device, &found, &again, &err);
    fail_at = 0;
    if (status == PD_OK) {
        check_same(&found, wanted);
    } else if (!fits(status, device)) {
        complain("%s, \"%s\"", pd_status_name(status), err.message);
    } else if (!is_sentence(err.message)) {
        complain("no sentence: \"%s\"", err.message);
    }
    check_same(&again, wanted);
    return n_failed > 0;
}

static void walk(const char *device, bool all_later) {
    static results wanted, after;
    pd_error err;
    bool is_vulkan = strncmp(device, "vulkan", 6) == 0;
    uint32_t stride = is_long() ? 1 : is_vulkan ? 41 : all_later ? 3 : 1, n = 1;
    if (tests_are_sparse()) stride *= 2;
    uint64_t t0 = pd_clock_ns();
    ever_after = all_later;
    snprintf(where, sizeof where, "%s", device);
    must(run(device, &wanted, NULL, &err), &err);
    while (fail_one(device, n, &wanted)) n += stride;
    must(run(device, &after, NULL, &err), &err);
    check_same(&after, &wanted);
    print_message("%-16s some %u allocations, each %u. failed%s, %.1f s\n", device, n, stride,
                  all_later ? " with every later one" : "", (double)(pd_clock_ns() - t0) / 1e9);
    assert_true(n > 30);
}

static void walk_device(void *ctx, const char *device) {
    (void)ctx;
    walk(device, false);
    walk(device, true);
}

static void every_allocation_fails(void **state) {
    (void)state;
    n_complaints = 0;
    watch();
    on_every_device(walk_device, NULL);
    assert_int_equal(n_complaints, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails)};
    keep_drivers_loaded();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
