/* Wrong use of the public interface: NULL for every pointer of every function, enumerations and
 * numbers out of range, roles that no chat has. Each is a status with a sentence, or does nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <math.h>

#include "peridot_files.h"
#include "peridot_batch.h"
#include "peridot_measure.h"
#include "support_golden.h"

enum { N_ROWS = 4096 * 16, SIDE = 8 };

static pd_model *model;  /* with an image encoder */
static pd_model *silent; /* vocab_only */
static pd_session *session, *scoring;
static pd_error err;
static uint8_t pixels[SIDE * SIDE * 3];
static const pd_image image = {SIDE, SIDE, pixels};
static const uint32_t ids[] = {2, 5, 6, 7};
static const pd_prompt prompt = {.ids = ids, .n_ids = 4};

static void expect_refused(pd_status status, const char *call) {
    if (status != PD_ERR_ARGUMENT) fail_msg("%s gave %s", call, pd_status_name(status));
    if (!err.message[0] || err.status != status) fail_msg("%s has no sentence", call);
    err = (pd_error){0};
}
#define REFUSED(call) expect_refused((call), #call)

/* Refused, with a sentence that holds this. */
static void expect_says(pd_status status, const char *part) {
    assert_int_equal(status, PD_ERR_ARGUMENT);
    if (!strstr(err.message, part)) fail_msg("\"%s\" does not say %s", err.message, part);
    err = (pd_error){0};
}

static bool take_token(void *ctx, uint32_t id) {
    (void)ctx, (void)id;
    return true;
}

static bool take_drawn(void *ctx, pd_log_prob drawn, const pd_log_prob *top, uint32_t n_top) {
    (void)ctx, (void)drawn, (void)top, (void)n_top;
    return true;
}

static pd_status take_logits(void *ctx, uint32_t first, uint32_t n, const float *logits,
                             pd_error *e) {
    (void)ctx, (void)first, (void)n, (void)logits, (void)e;
    return PD_OK;
}

static bool take_checked(void *ctx, const pd_check_op *op) {
    (void)ctx, (void)op;
    return true;
}
static bool take_op(void *ctx, const pd_profile_op *op) {
    (void)ctx, (void)op;
    return true;
}

/* ---- NULL ------------------------------------------------------------------------------------ */

static void null_without_model(void **state) {
    (void)state;
    pd_device_info devices[2];
    uint32_t n = 9;
    pd_log_set(NULL, NULL, PD_LOG_DEBUG);
    assert_non_null(pd_status_name((pd_status)-1));
    assert_non_null(pd_status_text((pd_status)999));
    assert_int_equal(pd_status_exit_code((pd_status)999), 70);
    assert_int_equal(pd_status_http((pd_status)-1), 500);
    assert_non_null(pd_peak_name((pd_peak)-1));
    REFUSED(pd_device_list(NULL, 2, &n, NULL, &err));
    REFUSED(pd_device_list(devices, 2, NULL, NULL, &err));
    assert_int_equal(pd_device_list(NULL, 0, &n, NULL, NULL), PD_OK);
    assert_true(n >= 2);
    REFUSED(pd_device_measure("cpu", 1, NULL, &err));
    pd_device_speed speed;
    assert_int_equal(pd_device_measure("no such device", 1, &speed, NULL), PD_ERR_NO_DEVICE);
    assert_string_equal(pd_version(NULL), PD_VERSION_STRING);
    assert_int_equal(pd_tokenize_bound(SIZE_MAX), SIZE_MAX);
    assert_true(pd_token_is_stop(PD_TOKEN_EOS));
    assert_false(pd_model_is_stop(NULL, PD_TOKEN_EOS));
}

static void null_images(void **state) {
    (void)state;
    pd_image out = {0};
    pd_rect windows[PD_MAX_CROPS], whole = {0, 0, SIDE, SIDE};
    const pd_image no_pixels = {SIDE, SIDE, NULL};
    REFUSED(pd_image_decode(NULL, 10, NULL, &out, &err));
    REFUSED(pd_image_decode(pixels, 10, NULL, NULL, &err));
    assert_int_equal(pd_image_decode(NULL, 0, NULL, &out, &err), PD_ERR_FORMAT);
    REFUSED(pd_image_read(NULL, NULL, &out, &err));
    REFUSED(pd_image_read("x", NULL, NULL, &err));
    assert_int_equal(pd_image_read("/no/such/file", NULL, &out, NULL), PD_ERR_IO);
    pd_image_free(NULL);
    pd_image_free(&out);
    assert_int_equal(pd_image_crops(1000, 500, NULL, NULL), 0);
    assert_int_equal(pd_image_crops(1000, 500, NULL, windows), 2);
    REFUSED(pd_image_crop(NULL, whole, &out, &err));
    REFUSED(pd_image_crop(&no_pixels, whole, &out, &err));
    REFUSED(pd_image_crop(&image, whole, NULL, &err));
}

static void null_models(void **state) {
    (void)state;
    pd_model *m = NULL;
    pd_device_speed speed;
    pd_estimate estimate;
    pd_fit fit;
    uint32_t n_ctx;
    static float rows[N_ROWS];
    const char *path = GOLDEN("mm-q4_0.gguf");
    REFUSED(pd_model_open(NULL, NULL, &m, &err));
    REFUSED(pd_model_open(path, NULL, NULL, &err));
    assert_int_equal(pd_model_open(NULL, NULL, NULL, NULL), PD_ERR_ARGUMENT);
    pd_model_close(NULL);
    pd_model_cancel(NULL);
    assert_null(pd_model_get_info(NULL));
    assert_null(pd_model_get_load_stats(NULL));
    assert_null(pd_model_get_device(NULL));
    assert_null(pd_model_get_device(silent));
    assert_null(pd_model_get_vision(NULL));
    assert_null(pd_model_get_vision(silent));
    assert_non_null(pd_model_get_vision_stats(NULL));
    REFUSED(pd_model_measure(NULL, &speed, &err));
    REFUSED(pd_model_measure(silent, &speed, &err));
    REFUSED(pd_model_measure(model, NULL, &err));
    REFUSED(pd_model_estimate(NULL, NULL, 1, &estimate, &err));
    REFUSED(pd_model_estimate(model, NULL, 1, &estimate, &err));
    REFUSED(pd_model_estimate(silent, NULL, 1, NULL, &err));
    REFUSED(pd_model_estimate_most(NULL, NULL, 1, &n_ctx, &estimate, &err));
    REFUSED(pd_model_estimate_most(model, NULL, 1, &n_ctx, &estimate, &err));
    REFUSED(pd_model_estimate_most(silent, NULL, 1, NULL, &estimate, &err));
    REFUSED(pd_model_estimate_most(silent, NULL, 1, &n_ctx, NULL, &err));
    REFUSED(pd_model_fit(NULL, NULL, &fit, &err));
    REFUSED(pd_model_fit(silent, NULL, &fit, &err));
    REFUSED(pd_model_fit(model, NULL, NULL, &err));
    REFUSED(pd_model_embed_image(NULL, &image, rows, &err));
    REFUSED(pd_model_embed_image(silent, &image, rows, &err));
    REFUSED(pd_model_embed_image(model, NULL, rows, &err));
    REFUSED(pd_model_embed_image(model, &image, NULL, &err));
    REFUSED(pd_model_embed_pixels(NULL, rows, rows, &err));
    REFUSED(pd_model_embed_pixels(model, NULL, rows, &err));
    REFUSED(pd_model_embed_pixels(model, rows, NULL, &err));
    REFUSED(pd_model_image_pixels(NULL, &image, rows, &err));
    REFUSED(pd_model_image_pixels(model, NULL, rows, &err));
    REFUSED(pd_model_image_pixels(model, &image, NULL, &err));
    REFUSED(pd_model_profile_image(NULL, take_op, NULL, &err));
    REFUSED(pd_model_profile_image(model, NULL, NULL, &err));
    REFUSED(pd_model_check_image(NULL, model, take_checked, NULL, &err));
    REFUSED(pd_model_check_image(model, NULL, take_checked, NULL, &err));
    REFUSED(pd_model_check_image(model, model, NULL, NULL, &err));
    REFUSED(pd_model_check_image(model, model, take_checked, NULL, &err));
}

static void null_texts(void **state) {
    (void)state;
    uint32_t out[16];
    size_t n;
    char text[PD_DETOKENIZE_MAX_BYTES];
    pd_detokenizer d;
    const pd_chat_turn turn = {.role = "user", .text = "hi", .n_bytes = 2};
    const pd_chat_turn no_role = {.text = "hi", .n_bytes = 2}, no_text = {"user", NULL, 2, NULL, 0};
    const pd_chat_turn no_places = {"user", "hi", 2, NULL, 1};
    REFUSED(pd_tokenize(NULL, "hi", 2, NULL, out, 16, &n, &err));
    REFUSED(pd_tokenize(silent, NULL, 2, NULL, out, 16, &n, &err));
    REFUSED(pd_tokenize(silent, "hi", 2, NULL, NULL, 16, &n, &err));
    REFUSED(pd_tokenize(silent, "hi", 2, NULL, out, 16, NULL, &err));
    REFUSED(pd_tokenize(silent, "hi", 2, &(pd_tokenize_desc){.n_images = 1}, out, 16, &n, &err));
    REFUSED(pd_chat_encode(NULL, &turn, 1, out, 16, &n, &err));
    REFUSED(pd_chat_encode(silent, NULL, 1, out, 16, &n, &err));
    REFUSED(pd_chat_encode(silent, &turn, 1, NULL, 16, &n, &err));
    REFUSED(pd_chat_encode(silent, &turn, 1, out, 16, NULL, &err));
    REFUSED(pd_chat_encode(silent, &no_role, 1, out, 16, &n, &err));
    REFUSED(pd_chat_encode(silent, &no_text, 1, out, 16, &n, &err));
    REFUSED(pd_chat_encode(silent, &no_places, 1, out, 16, &n, &err));
    pd_detokenizer_init(NULL);
    pd_detokenizer_init(&d);
    assert_int_equal(pd_detokenize(NULL, &d, 5, text), 0);
    assert_int_equal(pd_detokenize(silent, NULL, 5, text), 0);
    assert_int_equal(pd_detokenize(silent, &d, 5, NULL), 0);
    assert_int_equal(pd_detokenizer_flush(NULL, text), 0);
    assert_int_equal(pd_detokenizer_flush(&d, NULL), 0);
}

static void null_stop(void **state) {
    (void)state;
    pd_stop *stop;
    const char *strings[] = {"hi", NULL};
    char text[PD_STOP_MAX_BYTES + 2];
    size_t n = 9;
    REFUSED(pd_stop_create(strings, 1, NULL, &err));
    REFUSED(pd_stop_create(NULL, 1, &stop, &err));
    REFUSED(pd_stop_create(strings, 2, &stop, &err));
    pd_stop_destroy(NULL);
    assert_int_equal(pd_stop_create(NULL, 0, &stop, &err), PD_OK);
    pd_stop_destroy(stop);
    assert_int_equal(pd_stop_create(strings, 1, &stop, &err), PD_OK);
    assert_false(pd_stop_feed(NULL, "hi", 2, text, &n));
    assert_null(pd_stop_found(NULL));
    assert_int_equal(n, 0);
    assert_false(pd_stop_feed(stop, NULL, 2, text, &n));
    assert_false(pd_stop_feed(stop, "hi", 2, NULL, &n));
    assert_false(pd_stop_feed(stop, "hi", 2, text, NULL));
    assert_false(pd_stop_feed(stop, NULL, 0, text, &n));
    assert_int_equal(pd_stop_flush(NULL, text), 0);
    assert_int_equal(pd_stop_flush(stop, NULL), 0);
    assert_true(pd_stop_feed(stop, "hi", 2, text, &n));
    pd_stop_destroy(stop);
}

/* Nothing of no bytes is needed, nor room for what is only counted. */
static void null_and_empty(void **state) {
    (void)state;
    uint32_t out[16];
    size_t n = 0;
    const pd_chat_turn empty = {.role = "user"};
    assert_int_equal(pd_tokenize(silent, NULL, 0, NULL, out, 16, &n, &err), PD_OK);
    assert_int_equal(n, 1);
    assert_int_equal(pd_tokenize(silent, "hi", 2, NULL, NULL, 0, &n, &err), PD_ERR_ARGUMENT);
    assert_true(n >= 2);
    assert_int_equal(pd_chat_encode(silent, &empty, 1, out, 16, &n, &err), PD_OK);
    assert_true(n >= 5);
    assert_int_equal(pd_chat_encode(silent, &empty, 1, NULL, 0, &n, &err), PD_ERR_ARGUMENT);
    assert_true(n >= 5);
}

static void null_sessions(void **state) {
    (void)state;
    pd_session *s = NULL;
    pd_sampler sampler;
    pd_generate_desc desc = {.n_max = 1, .fn = take_token};
    const float *logits;
    uint32_t id;
    REFUSED(pd_session_create(NULL, NULL, &s, &err));
    REFUSED(pd_session_create(silent, NULL, &s, &err));
    REFUSED(pd_session_create(model, NULL, NULL, &err));
    pd_session_destroy(NULL);
    pd_session_cancel(NULL);
    pd_session_resume(NULL);
    assert_int_equal(pd_session_count(NULL), 0);
    assert_int_equal(pd_session_n_ctx(NULL), 0);
    assert_int_equal(pd_session_n_chunk(NULL), 0);
    assert_null(pd_session_get_stats(NULL));
    REFUSED(pd_sampler_init(NULL, NULL, &err));
    assert_int_equal(pd_sampler_init(&sampler, NULL, &err), PD_OK); /* greedy */
    REFUSED(pd_session_sync(NULL, ids, 4, &err));
    REFUSED(pd_session_sync(session, NULL, 4, &err));
    REFUSED(pd_session_sync_prompt(NULL, &prompt, &err));
    REFUSED(pd_session_sync_prompt(session, NULL, &err));
    const uint32_t placeholder = PD_TOKEN_IMAGE;
    REFUSED(pd_session_sync_prompt(session, &(pd_prompt){&placeholder, 1, NULL, 1}, &err));
    REFUSED(
        pd_session_sync_prompt(session, &(pd_prompt){&placeholder, 1, &(pd_image){0}, 1}, &err));
    assert_int_equal(pd_prompt_count(NULL, &prompt), 0);
    assert_int_equal(pd_prompt_count(model, NULL), 0);
    assert_int_equal(pd_prompt_count(model, &(pd_prompt){.n_ids = 4}), 0);
    REFUSED(pd_session_argmax(session, &id, &err)); /* nothing was computed */
    pd_session *fork;
    uint32_t kept;
    REFUSED(pd_session_fork(NULL, &fork, &err));
    REFUSED(pd_session_fork(session, NULL, &err));
    REFUSED(pd_session_rewind(NULL, 0, &kept, &err));
    REFUSED(pd_session_rewind(session, 0, NULL, &err));
    REFUSED(pd_session_save(NULL, "/nonexistent", NULL, 0, &err));
    REFUSED(pd_session_save(session, NULL, NULL, 0, &err));
    REFUSED(pd_session_save(session, "/nonexistent", NULL, 1, &err));
    REFUSED(pd_session_load(NULL, "/nonexistent", &err));
    REFUSED(pd_session_load(session, NULL, &err));
    pd_session_file file;
    REFUSED(pd_session_file_read(NULL, &file, &err));
    REFUSED(pd_session_file_read("/nonexistent", NULL, &err));
    assert_int_equal(pd_session_file_read("/nonexistent", &file, &err), PD_ERR_IO);
    pd_session_file_free(&file);
    pd_session_file_free(NULL);
    assert_int_equal(pd_session_sync(session, ids, 4, &err), PD_OK);
    REFUSED(pd_session_argmax(NULL, &id, &err));
    REFUSED(pd_session_argmax(session, NULL, &err));
    REFUSED(pd_session_logits(NULL, &logits, &err));
    REFUSED(pd_session_logits(session, NULL, &err));
    REFUSED(pd_session_sample(NULL, &sampler, &id, &err));
    REFUSED(pd_session_sample(session, NULL, &id, &err));
    REFUSED(pd_session_sample(session, &sampler, NULL, &err));
    REFUSED(pd_session_generate(NULL, &sampler, &desc, &err));
    REFUSED(pd_session_generate(session, NULL, &desc, &err));
    assert_int_equal(pd_session_generate(session, &sampler, NULL, &err), PD_OK);
}

static bool take_event(void *ctx, const pd_event *event) {
    (void)ctx;
    (void)event;
    return true;
}

static void null_batches(void **state) {
    (void)state;
    pd_batch *b = NULL;
    pd_request *r;
    pd_batch_stats stats;
    pd_request_desc desc = {.prompt = {.ids = ids, .n_ids = 4}, .n_max = 1, .fn = take_event};
    REFUSED(pd_batch_create(NULL, NULL, &b, &err));
    REFUSED(pd_batch_create(model, NULL, NULL, &err));
    assert_int_equal(pd_batch_create(model, NULL, &b, &err), PD_OK);
    assert_true(pd_batch_n_ctx(b) > 0 && pd_batch_n_parallel(b) > 0);
    REFUSED(pd_batch_submit(NULL, &desc, &r, &err));
    REFUSED(pd_batch_submit(b, NULL, &r, &err));
    REFUSED(pd_batch_submit(b, &desc, NULL, &err));
    desc.prompt.ids = NULL;
    REFUSED(pd_batch_submit(b, &desc, &r, &err));
    desc.prompt.ids = ids;
    desc.fn = NULL;
    REFUSED(pd_batch_submit(b, &desc, &r, &err));
    desc.fn = take_event;
    desc.n_top = PD_MAX_TOP_LOG_PROBS + 1;
    REFUSED(pd_batch_submit(b, &desc, &r, &err));
    desc.n_top = 0;
    assert_int_equal(pd_batch_submit(b, &desc, &r, &err), PD_OK);
    pd_request_wait(r);
    pd_request_cancel(r); /* in vain */
    pd_request_free(r);
    pd_request_cancel(NULL);
    pd_request_wait(NULL);
    pd_request_free(NULL);
    pd_batch_get_stats(NULL, &stats);
    pd_batch_get_stats(b, NULL);
    pd_batch_get_stats(b, &stats);
    assert_int_equal(stats.n_requests, 1);
    pd_batch_clear(NULL);
    pd_batch_clear(b);
    assert_false(pd_batch_is_lost(NULL) || pd_batch_is_lost(b));
    assert_int_equal(pd_batch_n_ctx(NULL), 0);
    assert_int_equal(pd_batch_n_parallel(NULL), 0);
    pd_batch_destroy(NULL);
    pd_batch_destroy(b);
}

static void null_log_probs(void **state) {
    (void)state;
    pd_log_prob top[4];
    uint32_t n;
    pd_sampler sampler = {0};
    pd_generate_desc many = {.n_max = 1, .n_top = PD_MAX_TOP_LOG_PROBS + 1, .drawn_fn = take_drawn};
    assert_int_equal(pd_session_sync(session, ids, 4, &err), PD_OK);
    REFUSED(pd_session_top_log_probs(NULL, top, 4, &n, &err));
    REFUSED(pd_session_top_log_probs(session, NULL, 4, &n, &err));
    REFUSED(pd_session_top_log_probs(session, top, 4, NULL, &err));
    REFUSED(pd_session_top_log_probs(session, top, PD_MAX_TOP_LOG_PROBS + 1, &n, &err));
    assert_int_equal(pd_session_top_log_probs(session, top, 4, &n, &err), PD_OK);
    assert_int_equal(n, 4);
    REFUSED(pd_session_generate(session, &sampler, &many, &err));
}

static void null_measures(void **state) {
    (void)state;
    static float log_probs[4];
    pd_head_cost cost;
    REFUSED(pd_session_score(NULL, &prompt, 0, take_logits, NULL, &err));
    REFUSED(pd_session_score(scoring, NULL, 0, take_logits, NULL, &err));
    REFUSED(pd_session_score(scoring, &prompt, 0, NULL, NULL, &err));
    REFUSED(pd_session_log_probs(NULL, ids, 4, 0, log_probs, NULL, &err));
    REFUSED(pd_session_log_probs(scoring, NULL, 4, 0, log_probs, NULL, &err));
    REFUSED(pd_session_log_probs(scoring, ids, 4, 0, NULL, NULL, &err));
    assert_int_equal(pd_session_log_probs(scoring, ids, 4, 0, log_probs, NULL, &err), PD_OK);
    REFUSED(pd_session_profile(NULL, take_op, NULL, &err));
    REFUSED(pd_session_profile(scoring, NULL, NULL, &err));
    REFUSED(pd_session_check(NULL, scoring, &prompt, take_checked, NULL, &err));
    REFUSED(pd_session_check(scoring, NULL, &prompt, take_checked, NULL, &err));
    REFUSED(pd_session_check(scoring, scoring, NULL, take_checked, NULL, &err));
    REFUSED(pd_session_check(scoring, scoring, &prompt, NULL, NULL, &err));
    REFUSED(pd_session_check(scoring, scoring, &prompt, take_checked, NULL, &err)); /* one model */
    REFUSED(pd_session_head_cost(NULL, &cost, &err));
    REFUSED(pd_session_head_cost(scoring, NULL, &err));
    REFUSED(pd_session_head_cost(scoring, &cost, &err)); /* the head was kept */
}

static void null_files(void **state) {
    (void)state;
    const char *file = GOLDEN("mm-mmproj.gguf");
    pd_verification *v = (pd_verification *)&err;
    pd_comparison *c = (pd_comparison *)&err;
    REFUSED(pd_files_convert(NULL, "x.gguf", NULL, &err));
    REFUSED(pd_files_convert("no folder", NULL, NULL, &err));
    assert_int_equal(pd_files_convert("no folder", "x.gguf", NULL, NULL), PD_ERR_IO);
    REFUSED(pd_files_quantize(NULL, "x.gguf", "f16", NULL, NULL, &err));
    REFUSED(pd_files_quantize(file, NULL, "f16", NULL, NULL, &err));
    REFUSED(pd_files_quantize(file, "x.gguf", NULL, NULL, NULL, &err));
    assert_int_equal(
        pd_files_quantize(file, "x.gguf", "F16", &(pd_quantize_desc){.dry_run = true}, NULL, NULL),
        PD_OK);
    REFUSED(pd_files_verify(NULL, NULL, &v, &err));
    assert_null(v);
    REFUSED(pd_files_verify(file, NULL, NULL, &err));
    REFUSED(pd_files_compare(NULL, file, NULL, &c, &err));
    assert_null(c);
    REFUSED(pd_files_compare(file, NULL, NULL, &c, &err));
    REFUSED(pd_files_compare(file, file, NULL, NULL, &err));
    REFUSED(pd_files_synth(NULL, NULL, NULL, &err));
    pd_verification_free(NULL);
    pd_comparison_free(NULL);
}

static void refused_files(void **state) {
    (void)state;
    const char *file = GOLDEN("mm-mmproj.gguf");
    const pd_synth_desc hf = {.kind = PD_SYNTH_CHECKPOINT, .type = "q8_0"};
    const pd_synth_desc blind = {.kind = PD_SYNTH_MMPROJ, .n_vocab = 1000};
    pd_verification *v;
    REFUSED(pd_files_quantize(file, "x.gguf", "q4_k_m", NULL, NULL, &err));
    REFUSED(pd_files_quantize(file, file, "f16", NULL, NULL, &err));
    REFUSED(pd_files_quantize(file, "x.gguf", "q8_0",
                              &(pd_quantize_desc){.embedding = "f16", .pure = true}, NULL, &err));
    REFUSED(pd_files_convert("no folder", "x.gguf", &(pd_convert_desc){.type = "q9"}, &err));
    REFUSED(pd_files_verify(file, &(pd_files_work){.n_threads = 5000}, &v, &err));
    REFUSED(pd_files_synth("x", &(pd_synth_desc){.kind = (pd_synth_kind)3}, NULL, &err));
    REFUSED(pd_files_synth("x", &(pd_synth_desc){.preset = "5b"}, NULL, &err));
    REFUSED(pd_files_synth("x", &(pd_synth_desc){.n_layers = 257}, NULL, &err));
    REFUSED(pd_files_synth("x", &hf, NULL, &err));
    REFUSED(pd_files_synth("x", &blind, NULL, &err));
}

/* ---- values ---------------------------------------------------------------------------------- */

static void enumerations_out_of_range(void **state) {
    (void)state;
    static const int wrong[] = {-1, 99, 1 << 20};
    const char *path = GOLDEN("mm-q4_0.gguf");
    pd_session *s;
    pd_model *m;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        pd_precision precision = (pd_precision)wrong[i];
        pd_model_desc head = {.device = "cpu", .head = (pd_head_type)wrong[i]};
        pd_model_desc first = {.device = "cpu", .session.precision = precision};
        REFUSED(pd_model_open(path, &head, &m, &err));
        REFUSED(pd_model_open(path, &first, &m, &err));
        REFUSED(pd_session_create(model, &(pd_session_desc){.precision = precision}, &s, &err));
    }
    REFUSED(pd_model_open(path, &(pd_model_desc){.head = PD_HEAD_Q4_0 + 1}, &m, &err));
    pd_session_desc next = {.precision = PD_PRECISION_Q8 + 1};
    REFUSED(pd_session_create(model, &next, &s, &err));
}

static void too_many_windows(void **state) {
    (void)state;
    static uint32_t out[(PD_MAX_CROPS + 2) * PD_IMAGE_MAX_IDS];
    const size_t n_max = sizeof out / sizeof *out;
    size_t n;
    for (uint32_t more = 0; more < 2; more++) {
        const pd_image_place place = {.n_crops = PD_MAX_CROPS + more};
        const pd_tokenize_desc desc = {.images = &place, .n_images = 1};
        const pd_chat_turn turn = {"user", "hi", 2, &place, 1};
        pd_status want = more ? PD_ERR_ARGUMENT : PD_OK;
        assert_int_equal(pd_tokenize(model, "hi", 2, &desc, out, n_max, &n, &err), want);
        assert_int_equal(pd_chat_encode(model, &turn, 1, out, n_max, &n, &err), want);
    }
    const pd_image_place many = {.n_crops = UINT32_MAX};
    const pd_tokenize_desc desc = {.images = &many, .n_images = 1};
    expect_says(pd_tokenize(model, "hi", 2, &desc, out, n_max, &n, &err), "at most 16");
}

/* Settings that never saw pd_sampler_init. */
static void unchecked_samplers(void **state) {
    (void)state;
    static const pd_sampler_desc wrong[] = {
        {.temp = NAN},
        {.temp = -1},
        {.temp = INFINITY},
        {.temp = 1, .top_k = 64, .min_p = NAN},
        {.temp = 1, .top_k = 64, .min_p = 1e10f},
        {.temp = 1, .top_k = 64, .min_p = -1},
        {.temp = 1, .top_k = 64, .top_p = NAN},
        {.temp = 1, .top_k = 64, .top_p = 2},
        {.repeat_penalty = NAN},
        {.presence_penalty = 3},
        {.frequency_penalty = -3},
        {.n_logit_bias = 1},
    };
    uint32_t id;
    assert_int_equal(pd_session_sync(session, ids, 4, &err), PD_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        pd_sampler s = {.desc = wrong[i]}, checked;
        REFUSED(pd_sampler_init(&checked, &wrong[i], &err));
        REFUSED(pd_session_sample(session, &s, &id, &err));
        REFUSED(pd_session_generate(session, &s, &(pd_generate_desc){.n_max = 1}, &err));
    }
}

static pd_status encode_roles(const char *const *roles, size_t n_turns) {
    pd_chat_turn turns[4] = {0};
    uint32_t out[64];
    size_t n;
    for (size_t i = 0; i < n_turns; i++) turns[i] = (pd_chat_turn){roles[i], "hi", 2, NULL, 0};
    return pd_chat_encode(silent, turns, n_turns, out, 64, &n, &err);
}
#define ROLES(...)                                                                                 \
    encode_roles((const char *const[]){__VA_ARGS__},                                               \
                 sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void unknown_roles(void **state) {
    (void)state;
    static const char *const unknown[] = {"tool", "", "User", "user ", "developer", "model\nx"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        expect_says(ROLES(unknown[i]), "known are system, user, assistant and model");
        expect_says(ROLES("user", unknown[i]), "known are system, user, assistant and model");
        expect_says(ROLES("user", "model", unknown[i]), "turn 2");
        expect_says(ROLES("system", "user", unknown[i]), "turn 2");
    }
    expect_says(ROLES("user", "system"), "can only be the first");
    expect_says(ROLES("system", "system"), "alternate");
    expect_says(ROLES("user", "user"), "alternate");
    expect_says(ROLES("model", "user"), "alternate");
    assert_int_equal(ROLES("system", "user", "assistant", "user"), PD_OK);
    assert_int_equal(ROLES("user", "model", "user"), PD_OK);
}

/* ---- the program ----------------------------------------------------------------------------- */

static int open_all(void **state) {
    (void)state;
    const char *path = GOLDEN("mm-q4_0.gguf");
    const pd_model_desc desc = {
        .device = "cpu", .n_threads = 1, .mmproj = GOLDEN("mm-mmproj.gguf")};
    const pd_session_desc plain = {.n_ctx = 64, .n_chunk = 16};
    const pd_session_desc scores = {.n_ctx = 64, .n_chunk = 16, .all_logits = true};
    must(pd_model_open(path, &desc, &model, &err), &err);
    must(pd_model_open(path, &(pd_model_desc){.vocab_only = true}, &silent, &err), &err);
    must(pd_session_create(model, &plain, &session, &err), &err);
    must(pd_session_create(model, &scores, &scoring, &err), &err);
    return 0;
}

static int close_all(void **state) {
    (void)state;
    pd_session_destroy(scoring);
    pd_session_destroy(session);
    pd_model_close(silent);
    pd_model_close(model);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_without_model),
        cmocka_unit_test(null_images),
        cmocka_unit_test(null_models),
        cmocka_unit_test(null_texts),
        cmocka_unit_test(null_stop),
        cmocka_unit_test(null_and_empty),
        cmocka_unit_test(null_sessions),
        cmocka_unit_test(null_log_probs),
        cmocka_unit_test(null_batches),
        cmocka_unit_test(null_measures),
        cmocka_unit_test(enumerations_out_of_range),
        cmocka_unit_test(too_many_windows),
        cmocka_unit_test(unchecked_samplers),
        cmocka_unit_test(unknown_roles),
        cmocka_unit_test(null_files),
        cmocka_unit_test(refused_files),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
