/* What a session and an image encoder keep, and what they refuse.
 *
 * A picture that comes again is not encoded again, positions before the first difference stay, and
 * after every change of the prompt the logits are those of a session that computed it from nothing:
 * within 1e-5, since the chunks differ.
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

static pd_session *open_session(pd_model *m) {
    pd_session *s;
    pd_error err;
    pd_session_desc desc = {.n_ctx = N_CTX, .precision = PD_PRECISION_EXACT};
    must(pd_session_create(m, &desc, &s, &err), &err);
    return s;
}

/* ---- what is kept --------------------------------------------------------------------------- */

/* A session under test, and one beside it that starts from nothing with every prompt. */
typedef struct keeper {
    pd_model *m;
    pd_session *s, *fresh;
    const char *device;
    uint32_t n_vocab, n_image;
} keeper;

typedef struct counts {
    uint32_t n_reused, n_encoded, n_cached;
} counts;

static counts count(const keeper *k) {
    const pd_vision_stats *v = pd_model_get_vision_stats(k->m);
    return (counts){pd_session_get_stats(k->s)->n_reused, v->n_encoded, v->n_cached};
}

static keeper make_keeper(const char *device) {
    keeper k = {.m = share_model(device, PD_PRECISION_EXACT), .device = device};
    k.s = open_session(k.m);
    k.fresh = open_session(k.m);
    k.n_vocab = pd_model_get_info(k.m)->n_vocab;
    k.n_image = pd_model_get_vision(k.m)->n_tokens;
    return k;
}

static void free_keeper(keeper *k) {
    pd_session_destroy(k->s);
    pd_session_destroy(k->fresh);
}

/* Logits after `prompt`, no position of which was there before. */
static void from_nothing(const keeper *k, const pd_prompt *prompt, float *logits) {
    pd_error err;
    const float *got;
    const uint32_t unlike = 599;
    must(pd_session_sync(k->fresh, &unlike, 1, &err), &err);
    uint32_t reused = pd_session_get_stats(k->fresh)->n_reused;
    must(pd_session_sync_prompt(k->fresh, prompt, &err), &err);
    assert_int_equal(pd_session_get_stats(k->fresh)->n_reused, reused);
    must(pd_session_logits(k->fresh, &got, &err), &err);
    memcpy(logits, got, k->n_vocab * sizeof *logits);
}

/* Syncs; so many positions must have been kept and so many images computed; and the logits must
 * be those of a session of its own. */
static void sync_and_compare(const keeper *k, const char *what, const uint32_t *ids, size_t n_ids,
                             const pd_image *images, uint32_t n_reused, uint32_t n_encoded) {
    pd_error err;
    const float *got;
    pd_prompt p = {.ids = ids, .n_ids = n_ids, .images = images};
    for (size_t i = 0; i < n_ids; i++) p.n_images += ids[i] == PD_TOKEN_IMAGE;
    counts before = count(k);
    must(pd_session_sync_prompt(k->s, &p, &err), &err);
    counts after = count(k);
    must(pd_session_logits(k->s, &got, &err), &err);
    print_message("%-16s %-40s %u kept, %u encoded, %u at hand\n", k->device, what,
                  after.n_reused - before.n_reused, after.n_encoded - before.n_encoded,
                  after.n_cached - before.n_cached);
    assert_int_equal(after.n_reused - before.n_reused, n_reused);
    assert_int_equal(after.n_encoded - before.n_encoded, n_encoded);
    float *want = malloc(k->n_vocab * sizeof *want);
    from_nothing(k, &p, want);
    assert_int_equal(count(k).n_encoded, after.n_encoded); /* the model remembers */
    check(k->device, what, relative(got, want, k->n_vocab), EXACT_BOUND);
    free(want);
}

#define SYNC(k, what, images, n_reused, n_encoded, ...)                                            \
    do {                                                                                           \
        const uint32_t ids[] = {__VA_ARGS__};                                                      \
        sync_and_compare(k, what, ids, sizeof ids / sizeof *ids, images, n_reused, n_encoded);     \
    } while (0)

static void keeping_on(void *ctx, const char *device) {
    (void)ctx;
    enum { IMG = PD_TOKEN_IMAGE };
    static uint8_t third_rgb[3] = {255, 0, 128};
    const pd_image one[] = {picture}, other[] = {other_picture};
    const pd_image two[] = {picture, other_picture}, swapped[] = {other_picture, picture};
    const pd_image same[] = {picture, picture}, third[] = {{1, 1, third_rgb}};
    keeper k = make_keeper(device);
    const uint32_t n = k.n_image;

    SYNC(&k, "an image for the first time", one, 0, 1, 2, 105, IMG, 300, 301);
    SYNC(&k, "the same prompt", one, n + 4, 0, 2, 105, IMG, 300, 301);
    SYNC(&k, "more text behind it", one, n + 4, 0, 2, 105, IMG, 300, 301, 302, 303);
    SYNC(&k, "other text behind it", one, n + 2, 0, 2, 105, IMG, 310);
    SYNC(&k, "ends with the image", one, 2, 0, 2, 105, IMG);
    SYNC(&k, "goes on behind it", one, n + 2, 0, 2, 105, IMG, 311, 312);
    SYNC(&k, "another image in its place", other, 2, 1, 2, 105, IMG, 311, 312);
    SYNC(&k, "the first one again", one, 2, 0, 2, 105, IMG, 311, 312);
    SYNC(&k, "other text before it", one, 1, 0, 2, 106, IMG, 311, 312);
    SYNC(&k, "the image a token later", one, 2, 0, 2, 106, 300, IMG, 311, 312);
    SYNC(&k, "text instead of it", NULL, 3, 0, 2, 106, 300, 311, 312);
    SYNC(&k, "two side by side", two, 2, 0, 2, 106, IMG, IMG, 320);
    SYNC(&k, "the second one gone", one, n + 2, 0, 2, 106, IMG, 320, 321);
    SYNC(&k, "the same one twice", same, n + 2, 0, 2, 106, IMG, IMG, 320);
    SYNC(&k, "the second one changed", two, n + 2, 0, 2, 106, IMG, IMG, 320);
    SYNC(&k, "both swapped", swapped, 2, 0, 2, 106, IMG, IMG, 320);
    SYNC(&k, "ends with the second", swapped, n + 2, 0, 2, 106, IMG, IMG);
    SYNC(&k, "an image of one pixel, alone", third, 0, 1, IMG);
    SYNC(&k, "alone again", third, n, 0, IMG);
    SYNC(&k, "begins with it", third, n, 0, IMG, 2);
    free_keeper(&k);
}

static void test_keeping(void **state) {
    (void)state;
    on_every_device(keeping_on, NULL);
}

/* ---- generation ----------------------------------------------------------------------------- */

typedef struct answer {
    uint32_t ids[16], n;
} answer;

static bool take_id(void *ctx, uint32_t id) {
    answer *a = ctx;
    a->ids[a->n++] = id;
    return true;
}

/* What is generated behind an image is part of the sequence: the next turn keeps all of it, and
 * turning back to the image keeps the image. */
static void generation_on(void *ctx, const char *device) {
    (void)ctx;
    pd_error err;
    const golden *g = &cases[0];
    keeper k = make_keeper(device);
    pd_sampler sampler;
    answer a = {.n = 0};
    uint32_t ids[MAX_IDS + 16];
    must(pd_sampler_init(&sampler, &(pd_sampler_desc){0}, &err), &err);
    must(pd_session_sync_prompt(k.s, &g->prompt, &err), &err);
    pd_generate_desc desc = {.n_max = 9, .ignore_stop = true, .fn = take_id, .fn_ctx = &a};
    must(pd_session_generate(k.s, &sampler, &desc, &err), &err);
    assert_int_equal(a.n, 9);
    assert_int_equal(pd_session_count(k.s), g->n_rows + 8);
    assert_int_equal(a.ids[0], arg_max(g->logits + (size_t)(g->n_rows - 1) * g->n_vocab, 600));

    memcpy(ids, g->ids, g->prompt.n_ids * sizeof *ids);
    memcpy(ids + g->prompt.n_ids, a.ids, a.n * sizeof *ids);
    sync_and_compare(&k, "behind what was generated", ids, g->prompt.n_ids + a.n, g->images,
                     g->n_rows + 8, 0);
    ids[g->prompt.n_ids + 3] = 17;
    /* from where the answer began, as if it had been asked for at first */
    sync_and_compare(&k, "inside of it", ids, g->prompt.n_ids + 4, g->images, g->n_rows, 0);
    ids[6] = 17; /* right behind the image */
    sync_and_compare(&k, "behind the image", ids, 8, g->images, 5 + 16, 0);
    free_keeper(&k);
}

static void test_generation(void **state) {
    (void)state;
    on_every_device(generation_on, NULL);
}

/* ---- memory of rows ------------------------------------------------------------------------- */

/* The encoder remembers 64 pictures; the one not used for longest goes. */
static void test_memory(void **state) {
    (void)state;
    pd_error err;
    pd_model *m = open_model("cpu", PD_PRECISION_EXACT);
    const pd_vision_stats *stats = pd_model_get_vision_stats(m);
    float *got = malloc(n_rows_values * sizeof *got);
    must(pd_model_embed_image(m, &picture, got, &err), &err);
    for (uint64_t i = 0; i < 63; i++) must(pd_vision_remember(m->vision, i, got, &err), &err);
    must(pd_model_embed_image(m, &picture, got, &err), &err);
    assert_int_equal(stats->n_encoded, 1);
    assert_int_equal(stats->n_cached, 1);
    for (uint64_t i = 63; i < 126; i++) must(pd_vision_remember(m->vision, i, got, &err), &err);
    must(pd_model_embed_image(m, &picture, got, &err), &err);
    assert_int_equal(stats->n_encoded, 1);
    for (uint64_t i = 126; i < 190; i++) must(pd_vision_remember(m->vision, i, got, &err), &err);
    memset(got, 0, n_rows_values * sizeof *got);
    must(pd_model_embed_image(m, &picture, got, &err), &err);
    assert_int_equal(stats->n_encoded, 2);
    assert_true(relative(got, rows, n_rows_values) <= EXACT_BOUND);
    free(got);
    pd_model_close(m);
}

/* Pictures are known by their pixels and their sides, not by where they lie. */
static void test_hash(void **state) {
    (void)state;
    uint8_t a[6] = {1, 2, 3, 4, 5, 6}, b[6] = {1, 2, 3, 4, 5, 6}, c[6] = {1, 2, 3, 4, 5, 7};
    uint64_t wide = pd_vision_hash(&(pd_image){2, 1, a});
    assert_true(wide == pd_vision_hash(&(pd_image){2, 1, b}));
    assert_true(wide != pd_vision_hash(&(pd_image){1, 2, a}));
    assert_true(wide != pd_vision_hash(&(pd_image){2, 1, c}));
    assert_true(wide != pd_vision_hash(&(pd_image){1, 1, a}));
}

/* ---- errors --------------------------------------------------------------------------------- */

static void refuse(pd_session *s, const pd_prompt *p, pd_status status, const char *sentence) {
    pd_error err = {0};
    assert_int_equal(pd_session_sync_prompt(s, p, &err), status);
    assert_int_equal(err.status, status);
    if (!strstr(err.message, sentence)) fail_msg("\"%s\" lacks \"%s\"", err.message, sentence);
}

/* A refused prompt leaves the session as it was. */
static void test_wrong_prompts(void **state) {
    (void)state;
    enum { IMG = PD_TOKEN_IMAGE };
    pd_error err;
    pd_model *m = open_model("cpu", PD_PRECISION_EXACT);
    pd_session *s = open_session(m);
    const golden *g = &cases[0];
    const float *before, *after;
    const uint32_t two[] = {2, IMG, 5, IMG}, none[] = {2, 5}, given[] = {2, UINT32_MAX};
    const uint32_t last[] = {2, 600}, nine[] = {IMG, IMG, IMG, IMG, IMG, IMG, IMG, IMG, IMG};
    uint8_t rgb[3] = {1, 2, 3};
    const pd_image many[9] = {{1, 1, rgb}, {1, 1, rgb}, {1, 1, rgb}, {1, 1, rgb}, {1, 1, rgb},
                              {1, 1, rgb}, {1, 1, rgb}, {1, 1, rgb}, {1, 1, rgb}};
    const pd_image *good = many;
    const pd_image no_pixels[] = {{1, 1, rgb}, {1, 1, NULL}}, flat[] = {{1, 1, rgb}, {0, 1, rgb}};
    must(pd_session_sync_prompt(s, &g->prompt, &err), &err);
    must(pd_session_logits(s, &before, &err), &err);
    float *copy = malloc(g->n_vocab * sizeof *copy);
    memcpy(copy, before, g->n_vocab * sizeof *copy);

    refuse(s, &(pd_prompt){two, 4, good, 1}, PD_ERR_ARGUMENT,
           "places for 2 images, but there are 1");
    refuse(s, &(pd_prompt){two, 4, good, 3}, PD_ERR_ARGUMENT,
           "places for 2 images, but there are 3");
    refuse(s, &(pd_prompt){none, 2, good, 1}, PD_ERR_ARGUMENT, "for 0 images, but there are 1");
    refuse(s, &(pd_prompt){two, 2, NULL, 0}, PD_ERR_ARGUMENT, "for 1 images, but there are 0");
    refuse(s, &(pd_prompt){two, 4, no_pixels, 2}, PD_ERR_ARGUMENT,
           "image 1 of the prompt has no pixels");
    refuse(s, &(pd_prompt){two, 4, flat, 2}, PD_ERR_ARGUMENT,
           "image 1 of the prompt has no pixels");
    refuse(s, &(pd_prompt){nine, 9, many, 9}, PD_ERR_CONTEXT,
           "144 tokens do not fit the context of 128");
    refuse(s, &(pd_prompt){given, 2, NULL, 0}, PD_ERR_ARGUMENT, "outside the vocabulary of 600");
    refuse(s, &(pd_prompt){last, 2, NULL, 0}, PD_ERR_ARGUMENT, "token 600 at index 1");
    refuse(s, &(pd_prompt){none, 0, NULL, 0}, PD_ERR_ARGUMENT, "no tokens to compute");
    assert_int_equal(pd_session_sync(s, two, 2, &err), PD_ERR_ARGUMENT);

    uint32_t reused = pd_session_get_stats(s)->n_reused;
    must(pd_session_sync_prompt(s, &g->prompt, &err), &err);
    assert_int_equal(pd_session_get_stats(s)->n_reused - reused, g->n_rows);
    must(pd_session_logits(s, &after, &err), &err);
    assert_memory_equal(after, copy, g->n_vocab * sizeof *copy);
    free(copy);
    pd_session_destroy(s);
    pd_model_close(m);
}

/* Cancelled before the image was encoded: nothing of it may be taken for computed. */
static void test_cancelled(void **state) {
    (void)state;
    pd_error err;
    const golden *g = &cases[0];
    const float *logits;
    pd_model *m = open_model("cpu", PD_PRECISION_EXACT);
    pd_session *s = open_session(m);
    pd_session_cancel(s);
    assert_int_equal(pd_session_sync_prompt(s, &g->prompt, &err), PD_ERR_CANCELLED);
    assert_int_equal(pd_session_logits(s, &logits, &err), PD_ERR_ARGUMENT);
    pd_session_resume(s);
    must(pd_session_sync_prompt(s, &g->prompt, &err), &err);
    must(pd_session_logits(s, &logits, &err), &err);
    assert_true(relative(logits, g->logits + (size_t)(g->n_rows - 1) * g->n_vocab, g->n_vocab) <=
                EXACT_BOUND);
    pd_session_destroy(s);
    pd_model_close(m);
}

static void expect_no_encoder(pd_status status, const pd_error *err) {
    assert_int_equal(status, PD_ERR_ARGUMENT);
    assert_non_null(strstr(err->message, "the model was opened without an image encoder"));
}

static bool never(void *ctx, const pd_profile_op *op) {
    (void)ctx;
    (void)op;
    fail();
    return false;
}

static void test_no_encoder(void **state) {
    (void)state;
    pd_error err;
    pd_model *m;
    float x[4];
    must(pd_model_open(MODEL, &(pd_model_desc){.device = "cpu"}, &m, &err), &err);
    pd_session *s = open_session(m);
    refuse(s, &cases[0].prompt, PD_ERR_ARGUMENT, "the model was opened without an image encoder");
    expect_no_encoder(pd_model_embed_image(m, &picture, x, &err), &err);
    expect_no_encoder(pd_model_embed_pixels(m, x, x, &err), &err);
    expect_no_encoder(pd_model_image_pixels(m, &picture, x, &err), &err);
    expect_no_encoder(pd_model_profile_image(m, never, NULL, &err), &err);
    assert_null(pd_model_get_vision(m));
    assert_int_equal(pd_model_get_vision_stats(m)->n_encoded, 0);
    pd_session_destroy(s);
    pd_model_close(m);
}

static void test_encoder_alone(void **state) {
    (void)state;
    pd_error err;
    pd_model *m;
    pd_session *s;
    pd_model_desc desc = {.device = "cpu",
                          .mmproj = MMPROJ,
                          .vision_only = true,
                          .session = {.precision = PD_PRECISION_EXACT}};
    float *got = malloc(n_rows_values * sizeof *got);
    must(pd_model_open(MODEL, &desc, &m, &err), &err);
    assert_int_equal(pd_model_profile_image(m, never, NULL, &err), PD_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "no image was encoded"));
    assert_int_equal(pd_model_embed_image(m, &(pd_image){0}, got, &err), PD_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "the image has no pixels"));
    must(pd_model_embed_image(m, &picture, got, &err), &err);
    assert_true(relative(got, rows, n_rows_values) <= EXACT_BOUND);
    assert_int_equal(pd_session_create(m, NULL, &s, &err), PD_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "without its text weights"));
    free(got);
    pd_model_close(m);
}

static void test_wrong_encoder(void **state) {
    (void)state;
    pd_error err;
    pd_model *m;
    pd_model_desc desc = {.device = "cpu", .mmproj = MMPROJ};
    assert_int_equal(pd_model_open(GOLDEN("small-f16.gguf"), &desc, &m, &err), PD_ERR_MODEL);
    assert_non_null(strstr(err.message, "makes rows of 128 values"));
    assert_null(m);
    desc.mmproj = GOLDEN("small-f16.gguf");
    assert_int_equal(pd_model_open(MODEL, &desc, &m, &err), PD_ERR_UNSUPPORTED);
    desc.mmproj = GOLDEN("none.gguf");
    assert_int_equal(pd_model_open(MODEL, &desc, &m, &err), PD_ERR_IO);
    assert_null(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeping),       cmocka_unit_test(test_generation),
        cmocka_unit_test(test_memory),        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_wrong_prompts), cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_no_encoder),    cmocka_unit_test(test_encoder_alone),
        cmocka_unit_test(test_wrong_encoder), cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests(tests, read_all, free_all);
}
