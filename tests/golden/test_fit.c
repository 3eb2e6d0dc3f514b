/* What a limit makes of opening a model: the default context becomes the largest that fits, one
 * that was asked for is refused with numbers before anything is loaded, and what was promised holds
 * to the byte. What fits is what an estimate_only model says. PERIDOT_TEST_DEVICES overrides the
 * list of devices.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/env.h"
#include "engine/session.h"
#include "peridot_files.h"
#include "peridot_measure.h"
#include "support_folder.h"
#include "support_golden.h"

enum { USUAL = 8192, LEAST = 64 };

/* A text model whose context of 8192 positions outweighs the staging buffers of its loading. */
static char path[512];

static int make_model(void **state) {
    pd_error err;
    pd_synth_desc desc = {.preset = "270m", .n_layers = 14, .n_vocab = 1000, .n_ctx = 2 * USUAL};
    pd_env_set("PERIDOT_TUNE", "off"); /* its buffers may be more than so small a model's */
    if (make_folder(state) != 0) return -1;
    snprintf(path, sizeof path, "%s", in_folder("model.gguf"));
    return pd_files_synth(path, &desc, NULL, &err) == PD_OK ? 0 : -1;
}

static uint32_t n_loads;

static bool count_load(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx, (void)done, (void)total;
    n_loads++;
    return true;
}

static pd_model_desc desc_of(const char *device, uint64_t limit, uint32_t n_ctx) {
    return (pd_model_desc){.device = device,
                           .n_threads = 2,
                           .memory_limit_bytes = limit,
                           .session.n_ctx = n_ctx,
                           .progress = count_load};
}

static pd_model *open_model(const char *file, const pd_model_desc *desc) {
    pd_model *m;
    pd_error err;
    must(pd_model_open(file, desc, &m, &err), &err);
    return m;
}

/* What a context of n_ctx positions holds, and the largest under a limit (0: not asked). */
static pd_estimate estimate(const char *file, pd_model_desc desc, uint32_t n_ctx, uint32_t *most) {
    pd_error err;
    pd_estimate e, unused;
    desc.estimate_only = true;
    pd_model *m = open_model(file, &desc);
    const pd_session_desc session = {.n_ctx = n_ctx};
    must(pd_model_estimate(m, &session, 1, &e, &err), &err);
    if (most) must(pd_model_estimate_most(m, &session, 1, most, &unused, &err), &err);
    pd_model_close(m);
    return e;
}

/* Between what the smallest and the usual context need. */
static uint64_t middle_limit(const char *device, uint32_t *most) {
    pd_model_desc desc = desc_of(device, 0, 0);
    pd_estimate least = estimate(path, desc, LEAST, NULL),
                usual = estimate(path, desc, USUAL, NULL);
    assert_true(least.peak_bytes + (4 << 20) < usual.peak_bytes);
    desc.memory_limit_bytes = (least.peak_bytes + usual.peak_bytes) / 2;
    estimate(path, desc, LEAST, most);
    assert_true(*most >= LEAST && *most < USUAL);
    return desc.memory_limit_bytes;
}

/* ---- the default ---------------------------------------------------------------------------- */

static void compute(pd_session *s) {
    pd_error err;
    uint32_t ids[3] = {PD_TOKEN_BOS, 7, 8};
    const float *logits;
    must(pd_session_sync(s, ids, 3, &err), &err);
    must(pd_session_logits(s, &logits, &err), &err);
}

/* Two sessions by default, which share a context. */
static void expect_default(pd_model *m, uint32_t n_ctx) {
    pd_error err;
    pd_session *s, *other;
    must(pd_session_create(m, NULL, &s, &err), &err);
    must(pd_session_create(m, NULL, &other, &err), &err);
    assert_int_equal(pd_session_n_ctx(s), n_ctx);
    assert_int_equal(pd_session_n_ctx(other), n_ctx);
    compute(s);
    pd_session_destroy(other);
    pd_session_destroy(s);
}

static void shrinks_on(void *ctx, const char *device) {
    (void)ctx;
    pd_error err;
    pd_fit fit;
    uint32_t most;
    uint64_t limit = middle_limit(device, &most);
    pd_model_desc desc = desc_of(device, limit, 0);
    pd_model *m = open_model(path, &desc);
    must(pd_model_fit(m, NULL, &fit, &err), &err);
    assert_int_equal(fit.n_ctx, most);
    assert_int_equal(fit.n_ctx_wanted, USUAL);
    assert_int_equal(fit.limit_bytes, limit);
    assert_true(fit.bytes <= limit && fit.bytes + limit / 8 > limit);
    expect_default(m, most);
    must(pd_model_fit(m, &(pd_session_desc){.n_ctx = LEAST}, &fit, &err), &err);
    assert_int_equal(fit.n_ctx, LEAST);
    pd_model_close(m);
}

static void test_default_shrinks(void **state) {
    (void)state;
    on_every_device(shrinks_on, NULL);
}

/* Opened for a small session: the default is found with the first session that asks for it. */
static void later_on(void *ctx, const char *device) {
    (void)ctx;
    uint32_t most;
    pd_model_desc desc = desc_of(device, middle_limit(device, &most), LEAST);
    pd_model *m = open_model(path, &desc);
    expect_default(m, most);
    pd_model_close(m);
}

static void test_default_later(void **state) {
    (void)state;
    on_every_device(later_on, NULL);
}

/* ---- what is refused ------------------------------------------------------------------------ */

static pd_error expect_refusal(const char *file, const pd_model_desc *desc, const char *words) {
    pd_model *m;
    pd_error err = {0};
    n_loads = 0;
    pd_status status = pd_model_open(file, desc, &m, &err);
    if (status != PD_ERR_MEMORY_DEVICE || !strstr(err.message, words))
        fail_msg("%s: %s, \"%s\"", desc->device, pd_status_name(status), err.message);
    assert_null(m);
    assert_int_equal(n_loads, 0);
    return err;
}

static void refuses_on(void *ctx, const char *device) {
    (void)ctx;
    uint32_t most, hinted;
    pd_model_desc desc = desc_of(device, middle_limit(device, &most), USUAL);
    pd_error err = expect_refusal(path, &desc, "with a context of 8192 positions needs");
    assert_int_equal(sscanf(err.hint, "a context of %u positions would fit (-c)", &hinted), 1);
    assert_int_equal(hinted, most);
    desc.session.n_ctx = UINT32_MAX; /* the model's own */
    expect_refusal(path, &desc, "with a context of 16384 positions needs");
    desc.session.n_ctx = most + LEAST;
    expect_refusal(path, &desc, "positions needs");
    desc.session.n_ctx = most;
    pd_model_close(open_model(path, &desc));
    assert_true(n_loads > 0);
}

static void test_refuses(void **state) {
    (void)state;
    on_every_device(refuses_on, NULL);
}

static void nothing_on(void *ctx, const char *device) {
    (void)ctx;
    pd_model_desc desc = desc_of(device, 0, 0);
    desc.memory_limit_bytes = estimate(path, desc, LEAST, NULL).peak_bytes;
    pd_model_close(open_model(path, &desc));
    desc.memory_limit_bytes -= 1 << 20; /* by a byte a GPU's blocks would pack better */
    pd_error err = expect_refusal(path, &desc, "with the smallest context (64 positions) it needs");
    assert_non_null(strstr(err.hint, "smaller"));
    desc.session.n_ctx = USUAL;
    expect_refusal(path, &desc, "with the smallest context (64 positions) it needs");
}

static void test_nothing_fits(void **state) {
    (void)state;
    on_every_device(nothing_on, NULL);
}

/* ---- with an image encoder ------------------------------------------------------------------ */

static void encode(pd_model *m) {
    pd_error err;
    const pd_vision_info *v = pd_model_get_vision(m);
    float *chw = calloc(3ul * v->image_size * v->image_size, sizeof *chw);
    float *rows = calloc((size_t)v->n_tokens * v->n_embd_out, sizeof *rows);
    must(pd_model_embed_pixels(m, chw, rows, &err), &err);
    free(chw);
    free(rows);
}

/* With the memory that is counted, and not a byte more, session and image are made. */
static void image_on(void *ctx, const char *device) {
    (void)ctx;
    const char *text = GOLDEN("mm-q4_0.gguf");
    pd_model_desc desc = desc_of(device, 0, 0);
    desc.memory_limit_bytes = estimate(text, desc, LEAST, NULL).peak_bytes;
    pd_model_close(open_model(text, &desc));
    desc.mmproj = GOLDEN("mm-mmproj.gguf");
    expect_refusal(text, &desc, "does not fit");
    desc.memory_limit_bytes = 0;
    pd_estimate e = estimate(text, desc, 0, NULL);
    assert_true(e.image_weight_bytes > 0 && e.image_bytes > 0);
    desc.memory_limit_bytes = e.peak_bytes;
    pd_model *m = open_model(text, &desc);
    encode(m);
    expect_default(m, e.n_ctx);
    pd_model_close(m);
}

static void test_image(void **state) {
    (void)state;
    on_every_device(image_on, NULL);
}

/* ---- without a limit ------------------------------------------------------------------------ */

static void test_no_limit(void **state) {
    (void)state;
    pd_error err;
    pd_fit fit;
    pd_model_desc desc = desc_of("cpu", 0, 0);
    pd_model *m = open_model(path, &desc);
    must(pd_model_fit(m, NULL, &fit, &err), &err);
    assert_int_equal(fit.n_ctx, USUAL);
    assert_int_equal(fit.n_ctx_wanted, USUAL);
    assert_int_equal(fit.limit_bytes, 0);
    assert_int_equal(pd_model_fit(m, &(pd_session_desc){.n_ctx = 1u << 24}, &fit, &err),
                     PD_ERR_CONTEXT);
    expect_default(m, USUAL);
    pd_model_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_shrinks), cmocka_unit_test(test_default_later),
        cmocka_unit_test(test_refuses),         cmocka_unit_test(test_nothing_fits),
        cmocka_unit_test(test_image),           cmocka_unit_test(test_no_limit)};
    return cmocka_run_group_tests(tests, make_model, remove_folder);
}
