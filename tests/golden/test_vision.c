/* The golden image encoder and prompts with images in them, against an independent float64
 * implementation, on every device.
 *
 * Rows of the golden image, from ready pixels and from its PNG: relative L2 error at `exact` <=
 * 1e-5 (f32 arithmetic leaves about 2e-7; the promise is 1e-3), at `f16` <= 1e-2. Logits of every
 * position, rows of images included, of one image and of two (the second's rows are the first's in
 * reverse order, put into the encoder's memory under another picture's name): the same bounds, and
 * the same arg-max at `exact`. Images at the ends of what pixels can be: against cpu-ref.
 *
 * PERIDOT_TEST_DEVICES overrides the list of devices, separated by commas. SPDX-License-Identifier:
 * MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "peridot_measure.h"
#include "support_images.h"

/* ---- rows ----------------------------------------------------------------------------------- */

static void check_rows(const char *device, pd_precision precision) {
    pd_error err;
    pd_model *m = share_model(device, precision);
    const pd_vision_info *v = pd_model_get_vision(m);
    size_t n = (size_t)v->n_tokens * v->n_embd_out;
    size_t n_pixels = 3ul * v->image_size * v->image_size;
    float *got = malloc(n * sizeof *got), *chw = malloc(n_pixels * sizeof *chw);
    double bound = bound_of(precision);
    const char *how = precision == PD_PRECISION_EXACT ? "exact" : "f16";
    char what[64];
    assert_int_equal(n, n_rows_values);

    must(pd_model_image_pixels(m, &picture, chw, &err), &err);
    for (size_t i = 0; i < n_pixels; i++) assert_true(fabsf(chw[i] - pixels[i]) <= 1e-6f);
    must(pd_model_embed_pixels(m, pixels, got, &err), &err);
    snprintf(what, sizeof what, "rows of pixels, %s", how);
    check(device, what, relative(got, rows, n), bound);
    must(pd_model_embed_image(m, &picture, got, &err), &err);
    snprintf(what, sizeof what, "rows of a PNG, %s", how);
    check(device, what, relative(got, rows, n), bound);
    free(got);
    free(chw);
}

static void rows_on(void *ctx, const char *device) {
    (void)ctx;
    check_rows(device, PD_PRECISION_EXACT);
    check_rows(device, PD_PRECISION_F16);
}

static void test_rows(void **state) {
    (void)state;
    on_every_device(rows_on, NULL);
}

/* ---- extremes ------------------------------------------------------------------------------- */

enum { N_EXTREMES = 4 };

/* All black, all white, a board of black and white pixels, and one of black and blue. */
static void paint_extreme(int which, uint32_t size, float *chw) {
    for (uint32_t c = 0; c < 3; c++)
        for (uint32_t y = 0; y < size; y++)
            for (uint32_t x = 0; x < size; x++) {
                bool lit = which == 1 || ((x + y) % 2 && (which == 2 || (which == 3 && c == 2)));
                chw[((size_t)c * size + y) * size + x] = lit ? 1.0f : -1.0f;
            }
}

static void extremes_on(void *ctx, const char *device) {
    float **want = ctx;
    pd_error err;
    for (int p = strcmp(device, "cpu-ref") == 0; p < 2; p++) {
        pd_precision precision = p ? PD_PRECISION_F16 : PD_PRECISION_EXACT;
        pd_model *m = share_model(device, precision);
        uint32_t size = pd_model_get_vision(m)->image_size;
        float *chw = malloc(12ul * size * size), *got = malloc(n_rows_values * sizeof *got);
        for (int i = 0; i < N_EXTREMES; i++) {
            char what[64];
            paint_extreme(i, size, chw);
            must(pd_model_embed_pixels(m, chw, got, &err), &err);
            snprintf(what, sizeof what, "extreme %d%s", i, p ? ", f16" : "");
            check(device, what, relative(got, want[i], n_rows_values), bound_of(precision));
        }
        free(got);
        free(chw);
    }
}

static void test_extremes(void **state) {
    (void)state;
    pd_error err;
    float *want[N_EXTREMES];
    pd_model *m = share_model("cpu-ref", PD_PRECISION_EXACT);
    uint32_t size = pd_model_get_vision(m)->image_size;
    float *chw = malloc(12ul * size * size);
    for (int i = 0; i < N_EXTREMES; i++) {
        want[i] = malloc(n_rows_values * sizeof **want);
        paint_extreme(i, size, chw);
        must(pd_model_embed_pixels(m, chw, want[i], &err), &err);
    }
    free(chw);
    on_every_device(extremes_on, want);
    for (int i = 0; i < N_EXTREMES; i++) free(want[i]);
}

/* Nothing of a NaN may come back as rows; the operation that made it is named. */
static void nan_on(void *ctx, const char *device) {
    (void)ctx;
    pd_error err;
    pd_model *m = share_model(device, PD_PRECISION_EXACT);
    uint32_t size = pd_model_get_vision(m)->image_size;
    float *chw = malloc(12ul * size * size), *got = malloc(n_rows_values * sizeof *got);
    paint_extreme(1, size, chw);
    chw[777] = NAN;
    assert_int_equal(pd_model_embed_pixels(m, chw, got, &err), PD_ERR_NUMERIC);
    assert_non_null(strstr(err.message, "patch_embd"));
    must(pd_model_embed_pixels(m, pixels, got, &err), &err); /* and nothing of it stays */
    assert_true(relative(got, rows, n_rows_values) <= EXACT_BOUND);
    free(got);
    free(chw);
}

static void test_nan(void **state) {
    (void)state;
    on_every_device(nan_on, NULL);
}

/* ---- logits --------------------------------------------------------------------------------- */

typedef struct comparison {
    const golden *g;
    double error, norm;
    uint32_t n_rows, n_wrong; /* rows whose arg-max differs */
} comparison;

static void compare_rows(comparison *c, uint32_t first, uint32_t n, const float *logits) {
    uint32_t v = c->g->n_vocab;
    for (uint32_t r = 0; r < n; r++) {
        const float *want = c->g->logits + (size_t)(first + r) * v, *got = logits + (size_t)r * v;
        for (uint32_t i = 0; i < v; i++) {
            double d = (double)got[i] - (double)want[i];
            c->error += d * d;
            c->norm += (double)want[i] * (double)want[i];
        }
        c->n_wrong += arg_max(got, v) != arg_max(want, v);
    }
    c->n_rows += n;
}

static pd_status compare_chunk(void *ctx, uint32_t first, uint32_t n, const float *logits,
                               pd_error *err) {
    (void)err;
    comparison *c = ctx;
    assert_int_equal(first, c->n_rows); /* in order, each once */
    compare_rows(c, first, n, logits);
    return PD_OK;
}

static void conclude(const comparison *c, const char *device, const char *how,
                     pd_precision precision) {
    char what[128];
    snprintf(what, sizeof what, "%s, %s%s", c->g->name, how,
             precision == PD_PRECISION_EXACT ? "" : ", f16");
    check(device, what, sqrt(c->error / c->norm), bound_of(precision));
    if (precision == PD_PRECISION_EXACT) assert_int_equal(c->n_wrong, 0);
}

static pd_session *open_session(pd_model *m, uint32_t n_ctx, uint32_t n_chunk,
                                pd_precision precision, bool all_logits) {
    pd_session *s;
    pd_error err;
    pd_session_desc desc = {
        .n_ctx = n_ctx, .n_chunk = n_chunk, .precision = precision, .all_logits = all_logits};
    must(pd_session_create(m, &desc, &s, &err), &err);
    return s;
}

/* Chunks smaller than an image are raised to hold one. */
static void score(pd_model *m, const golden *g, const char *device, uint32_t n_chunk,
                  pd_precision precision) {
    pd_error err;
    comparison c = {.g = g};
    char how[32];
    uint32_t n_image = pd_model_get_vision(m)->n_tokens;
    pd_session *s = open_session(m, N_CTX, n_chunk, precision, true);
    assert_true(pd_session_n_chunk(s) >= n_image);
    assert_true(pd_session_n_chunk(s) <= (n_chunk > N_CTX ? N_CTX : n_image + 1));
    must(pd_session_score(s, &g->prompt, 0, compare_chunk, &c, &err), &err);
    assert_int_equal(c.n_rows, g->n_rows);
    assert_int_equal(pd_session_count(s), g->n_rows);
    snprintf(how, sizeof how, "chunk %u", n_chunk);
    conclude(&c, device, how, precision);
    pd_session_destroy(s);
}

/* The prompt up to `n_behind` tokens behind its last image, then one token at a time. */
static void decode_after_prefill(pd_model *m, const golden *g, const char *device,
                                 uint32_t n_behind, pd_precision precision) {
    pd_error err;
    comparison c = {.g = g};
    const float *logits;
    char how[32];
    pd_prompt p = g->prompt;
    size_t last_image = 0;
    for (size_t i = 0; i < p.n_ids; i++)
        if (g->ids[i] == PD_TOKEN_IMAGE) last_image = i;
    pd_session *s = open_session(m, g->n_rows, 0, precision, false); /* just enough room */
    for (p.n_ids = last_image + 1 + n_behind; p.n_ids <= g->prompt.n_ids; p.n_ids++) {
        uint32_t best, n = g->n_rows - (uint32_t)(g->prompt.n_ids - p.n_ids);
        must(pd_session_sync_prompt(s, &p, &err), &err);
        assert_int_equal(pd_session_count(s), n);
        must(pd_session_argmax(s, &best, &err), &err);
        must(pd_session_logits(s, &logits, &err), &err);
        assert_int_equal(best, arg_max(logits, g->n_vocab)); /* the device's own */
        compare_rows(&c, n - 1, 1, logits);
    }
    snprintf(how, sizeof how, "decode %u behind", n_behind);
    conclude(&c, device, how, precision);
    pd_session_destroy(s);
}

static void logits_on(void *ctx, const char *device) {
    (void)ctx;
    static const uint32_t chunks[2][3] = {{512, 1, 7}, {512, 5}}; /* one image, two */
    pd_model *m = share_model(device, PD_PRECISION_EXACT);
    pd_model *f16 = share_model(device, PD_PRECISION_F16);
    remember_other(m);
    remember_other(f16);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 3 && chunks[i][k]; k++)
            score(m, &cases[i], device, chunks[i][k], PD_PRECISION_EXACT);
        decode_after_prefill(m, &cases[i], device, 0, PD_PRECISION_EXACT);
        decode_after_prefill(m, &cases[i], device, 3, PD_PRECISION_EXACT);
        score(f16, &cases[i], device, 512, PD_PRECISION_F16);
        decode_after_prefill(f16, &cases[i], device, 0, PD_PRECISION_F16);
    }
}

static void test_logits(void **state) {
    (void)state;
    on_every_device(logits_on, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_extremes),
                                       cmocka_unit_test(test_nan), cmocka_unit_test(test_logits),
                                       cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests(tests, read_all, free_all);
}
