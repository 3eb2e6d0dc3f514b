/* The same build, device and inputs give the same bits, run after run: a hundred times a picture
 * and a question, drawn answers, an earlier turn asked anew from a checkpoint, a branch, and a
 * session that comes back from a file; in new sessions, and now and then in a model that is opened
 * anew. Everything that comes out, ids and logits, goes into one hash.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "support_folder.h"
#include "support_golden.h"
#include "support_sparse.h"
#include "support_validation.h"

enum { RUNS = 100, CONTEXT = 256, ANSWER = 12, SIDE = 40 };

typedef struct story {
    pd_model *model;
    pd_session *session;
    uint32_t ids[CONTEXT], n; /* what was said, the picture as PD_TOKEN_IMAGE */
    uint8_t rgb[SIDE * SIDE * 3];
    uint64_t hash;
} story;

static void add(story *s, const void *data, size_t n) {
    s->hash = s->hash * 0x9e3779b97f4a7c15u + pd_hash(data, n);
}

static pd_prompt prompt_of(const story *s, pd_image *image) {
    *image = (pd_image){.width = SIDE, .height = SIDE, .rgb = (uint8_t *)s->rgb};
    return (pd_prompt){.ids = s->ids, .n_ids = s->n, .images = image, .n_images = 1};
}

static bool take(void *ctx, uint32_t id) {
    story *s = ctx;
    s->ids[s->n++] = id;
    return true;
}

/* Computes what was said, and hashes the logits behind it. */
static void compute(story *s, pd_session *session) {
    pd_image image;
    pd_error err;
    const pd_prompt prompt = prompt_of(s, &image);
    const float *logits;
    must(pd_session_sync_prompt(session, &prompt, &err), &err);
    must(pd_session_logits(session, &logits, &err), &err);
    add(s, logits, pd_model_get_info(s->model)->n_vocab * sizeof *logits);
}

static void ask(story *s, uint32_t question) {
    for (uint32_t i = 0; i < 9; i++) s->ids[s->n++] = 7 + (question * 53 + i * 31) % 400;
    compute(s, s->session);
}

static void answer(story *s, pd_session *session, float temp, uint64_t seed) {
    pd_error err;
    pd_sampler sampler;
    uint32_t from = s->n;
    const pd_generate_desc desc = {.n_max = ANSWER, .ignore_stop = true, .fn = take, .fn_ctx = s};
    must(pd_sampler_init(&sampler, &(pd_sampler_desc){.temp = temp, .top_k = 64, .seed = seed},
                         &err),
         &err);
    must(pd_session_generate(session, &sampler, &desc, &err), &err);
    add(s, s->ids + from, (s->n - from) * sizeof *s->ids);
}

/* Another answer, in a branch. */
static void branch(story *s) {
    pd_session *other;
    pd_error err;
    uint32_t n = s->n;
    must(pd_session_fork(s->session, &other, &err), &err);
    answer(s, other, 1.5f, 3);
    compute(s, other);
    pd_session_destroy(other);
    s->n = n;
    compute(s, s->session);
}

/* What was said comes back from a file. */
static void save_and_load(story *s) {
    pd_error err;
    must(pd_session_save(s->session, in_folder("session"), NULL, 0, &err), &err);
    must(pd_session_load(s->session, in_folder("session"), &err), &err);
    compute(s, s->session);
}

static uint64_t tell_story(pd_model *m) {
    static const pd_session_desc desc = {
        .n_ctx = CONTEXT, .n_chunk = 64, .checkpoint_positions = CONTEXT};
    story s = {.model = m, .ids = {2, 11, PD_TOKEN_IMAGE}, .n = 3};
    pd_error err;
    for (uint32_t i = 0; i < sizeof s.rgb; i++) s.rgb[i] = (uint8_t)(i * 2654435761u >> 24);
    must(pd_session_create(m, &desc, &s.session, &err), &err);
    ask(&s, 1);
    uint32_t first = s.n;
    answer(&s, s.session, 1, 1);
    ask(&s, 2);
    answer(&s, s.session, 0, 0);
    branch(&s);
    s.n = first; /* the first answer again, with another seed */
    compute(&s, s.session);
    answer(&s, s.session, 1, 2);
    save_and_load(&s);
    ask(&s, 3);
    answer(&s, s.session, 0.7f, 4);
    pd_session_destroy(s.session);
    return s.hash;
}

static pd_model *open_model(const char *device) {
    pd_model *m;
    pd_error err;
    const pd_model_desc desc = {
        .device = device, .n_threads = 2, .mmproj = GOLDEN("mm-mmproj.gguf")};
    must(pd_model_open(GOLDEN("mm-q4_0.gguf"), &desc, &m, &err), &err);
    return m;
}

static void hundred_times(void *ctx, const char *device) {
    (void)ctx;
    pd_model *m = open_model(device);
    const uint64_t expected = tell_story(m);
    const int n_runs = tests_are_sparse() ? RUNS / 10 : RUNS;
    for (int i = 1; i < n_runs; i++) {
        if (i % 20 == 0) {
            pd_model_close(m);
            m = open_model(device);
        }
        uint64_t found = tell_story(m);
        if (found != expected)
            fail_msg("run %d on %s: %016llx, and not %016llx as the first", i + 1, device,
                     (unsigned long long)found, (unsigned long long)expected);
    }
    pd_model_close(m);
    print_message("%s: %016llx\n", device, (unsigned long long)expected);
}

static void same_bits_run_after_run(void **state) {
    (void)state;
    on_every_device(hundred_times, NULL);
}

int main(void) {
    PRINT_LOG();
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits_run_after_run),
                                       cmocka_unit_test(check_validation_silent)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
