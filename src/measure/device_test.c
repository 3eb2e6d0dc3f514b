/* See device_test.h.  SPDX-License-Identifier: MIT */
#include "measure/device_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/os_file.h"
#include "base/temp.h"
#include "base/words.h"
#include "engine/model.h"
#include "image/image.h"
#include "measure/devices.h"
#include "peridot_files.h"

enum { N_IDS = 153, MAX_PATH = PD_TEMP_PATH, MAX_FAILED = 64 };

typedef struct tester {
    pd_device_test_desc desc;
    pd_device_verdict *verdict;
    char folder[PD_TEMP_PATH]; /* for the models */
    pd_device_info info;
    char *selftest;   /* the user's own PERIDOT_SELFTEST; NULL: none */
    char *outer;      /* the user's own PERIDOT_DISABLE, or PERIDOT_CPU_DISABLE; NULL: none */
    char driver[256]; /* with a word */
    pd_device_test failed[MAX_FAILED]; /* with nothing switched off */
    uint32_t n_failed;
} tester;

/* ---- models --------------------------------------------------------------------------------- */

/* Blocks of K-quants have 256 values, which no row of the odd shape has. */
static const char *const odd_types[] = {"q4_0", "q4_1", "q5_0", "q5_1",
                                        "q8_0", "f16",  "bf16", "f32"};
static const char *const odd256_types[] = {"q4_k", "q5_k", "q6_k", "q4_0"};

static void path_of(const tester *t, const pd_device_test *test, bool is_image,
                    char out[MAX_PATH]) {
    snprintf(out, MAX_PATH, "%.450s/%s%s-%s.gguf", t->folder, is_image ? "mmproj-" : "",
             test->shape, test->type);
}

static bool is_image(const pd_device_test *test) {
    return strcmp(test->shape, "image") == 0;
}

static pd_status write_models(const tester *t, const pd_device_test *test, pd_error *err) {
    char path[MAX_PATH];
    path_of(t, test, false, path);
    if (pd_path_exists(path)) return PD_OK;
    pd_synth_desc desc = {.preset = is_image(test) ? "tiny" : test->shape,
                          .type = test->type,
                          .embedding = test->type,
                          .seed = 1};
    PD_TRY(pd_files_synth(path, &desc, NULL, err));
    if (!is_image(test)) return PD_OK;
    path_of(t, test, true, path);
    desc =
        (pd_synth_desc){.kind = PD_SYNTH_MMPROJ, .preset = "tiny", .type = test->type, .seed = 1};
    return pd_files_synth(path, &desc, NULL, err);
}

/* ---- one test ------------------------------------------------------------------------------- */

typedef struct side {
    pd_model *model;
    pd_session *session;
} side;

static pd_status open_side(const tester *t, const pd_device_test *test, const char *device,
                           side *out, pd_error *err) {
    char path[MAX_PATH], mmproj[MAX_PATH];
    path_of(t, test, false, path);
    path_of(t, test, true, mmproj);
    const pd_session_desc session = {.n_ctx = 512, .precision = test->precision};
    const pd_model_desc desc = {.device = device,
                                .n_threads = t->desc.n_threads,
                                .mmproj = is_image(test) ? mmproj : NULL,
                                .session = session};
    PD_TRY(pd_model_open(path, &desc, &out->model, err));
    return pd_session_create(out->model, &session, &out->session, err);
}

static void close_side(side *s) {
    pd_session_destroy(s->session);
    pd_model_close(s->model);
}

typedef struct collecting {
    pd_compare_ops ops;
    bool is_image, failed;
} collecting;

/* A pd_check_fn. */
static bool collect(void *ctx, const pd_check_op *op) {
    collecting *c = ctx;
    c->failed = !pd_compare_ops_add(&c->ops, op, c->is_image);
    return !c->failed;
}

/* Some tokens from an empty sequence on, then single ones behind them. */
static pd_status check_tokens(const side *device, const side *reference, uint32_t n,
                              uint32_t n_steps, collecting *c, pd_error *err) {
    uint32_t ids[N_IDS], kept;
    for (uint32_t i = 0; i < N_IDS; i++) ids[i] = i == 0 ? 2 : 7 + 37 * i % 501;
    PD_TRY(pd_session_rewind(device->session, 0, &kept, err));
    for (uint32_t i = n; i <= n + n_steps; i++) {
        const pd_prompt prompt = {.ids = ids, .n_ids = i};
        PD_TRY(pd_session_check(device->session, reference->session, &prompt, collect, c, err));
    }
    return PD_OK;
}

/* A picture on both, and its rows in a prompt. */
static pd_status check_picture(const side *device, const side *reference, collecting *c,
                               pd_error *err) {
    enum { SIDE = 48 };
    uint8_t rgb[SIDE * SIDE * 3];
    for (uint32_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)(i * 2654435761u >> 24);
    const pd_image picture = {.width = SIDE, .height = SIDE, .rgb = rgb};
    const uint32_t ids[] = {2, 17, PD_TOKEN_IMAGE, 29};
    const pd_prompt prompt = {.ids = ids, .n_ids = 4, .images = &picture, .n_images = 1};
    PD_TRY(pd_session_check(device->session, reference->session, &prompt, collect, c, err));
    c->is_image = true;
    return pd_model_check_image(device->model, reference->model, collect, c, err);
}

static pd_status run_checks(const tester *t, const pd_device_test *test, collecting *c,
                            pd_error *err) {
    side device = {0}, reference = {0};
    pd_status status = open_side(t, test, "cpu-ref", &reference, err);
    if (status == PD_OK) status = open_side(t, test, t->desc.device, &device, err);
    if (status == PD_OK && is_image(test)) {
        status = check_picture(&device, &reference, c, err);
    } else if (status == PD_OK) {
        status = check_tokens(&device, &reference, 9, 0, c, err);
        if (status == PD_OK) status = check_tokens(&device, &reference, 40, 0, c, err);
        if (status == PD_OK) status = check_tokens(&device, &reference, 150, 3, c, err);
    }
    close_side(&device);
    close_side(&reference);
    return c->failed ? PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a test") : status;
}

static const char *variable_of(const tester *t) {
    return pd_device_is_cpu(&t->info) ? "PERIDOT_CPU_DISABLE" : "PERIDOT_DISABLE";
}

/* A word besides what the user has switched off; "": that alone. */
static void switch_off(const tester *t, const char *word) {
    char text[256];
    const char *outer = t->outer ? t->outer : "";
    snprintf(text, sizeof text, "%.200s%s%s", outer, outer[0] && word[0] ? "," : "", word);
    pd_env_set(variable_of(t), t->outer || word[0] ? text : NULL);
}

/* The device's faults are the test's result; what is none of them, as a want of memory, ends the
 * tests: nothing is judged then. */
static pd_status run_test(const tester *t, const pd_device_test *test, pd_device_test_result *out,
                          pd_error *err) {
    collecting c = {0};
    *out = (pd_device_test_result){.test = *test};
    PD_TRY(write_models(t, test, err));
    switch_off(t, test->disabled);
    pd_status status = run_checks(t, test, &c, &out->failure);
    switch_off(t, "");
    out->n_ops = c.ops.n;
    for (uint32_t i = 0; i < c.ops.n; i++) out->n_beyond += !pd_compare_op_holds(&c.ops.list[i]);
    const pd_compare_op *fault = pd_compare_first_fault(&c.ops);
    if (fault) out->fault = *fault;
    pd_free(c.ops.list);
    bool is_fault = status == PD_ERR_DEVICE || status == PD_ERR_DEVICE_LOST ||
                    status == PD_ERR_NUMERIC || status == PD_ERR_UNSUPPORTED;
    return is_fault ? PD_OK : pd_error_again(err, &out->failure);
}

static pd_status run_and_tell(tester *t, const pd_device_test *test, pd_error *err) {
    pd_device_test_result r;
    PD_TRY(run_test(t, test, &r, err));
    bool holds = pd_device_test_holds(&r);
    t->verdict->n_tests++;
    t->verdict->n_failed += !holds;
    if (!holds && !test->disabled[0] && t->n_failed < MAX_FAILED) t->failed[t->n_failed++] = *test;
    t->desc.fn(t->desc.ctx, &r);
    if (t->desc.goes_on(t->desc.ctx)) return PD_OK;
    return PD_RAISE(err, PD_ERR_CANCELLED, "the tests were stopped on request");
}

/* ---- what can be switched off --------------------------------------------------------------- */

/* With the device as it is, whatever was found out about it before. */
static pd_status with_model(tester *t, pd_status (*fn)(tester *t, pd_model *m, pd_error *err),
                            pd_error *err) {
    const pd_device_test test = {"q4_0", "odd", PD_PRECISION_EXACT, ""};
    char path[MAX_PATH];
    pd_model *model;
    PD_TRY(write_models(t, &test, err));
    path_of(t, &test, false, path);
    PD_TRY(pd_model_open(path,
                         &(pd_model_desc){.device = t->desc.device, .n_threads = t->desc.n_threads},
                         &model, err));
    pd_status status = fn(t, model, err);
    pd_model_close(model);
    return status;
}

static pd_status note_driver(tester *t, pd_model *m, pd_error *err) {
    (void)err;
    snprintf(t->driver, sizeof t->driver, "%s", pd_model_get_device(m)->driver);
    return PD_OK;
}

/* A processor says which instructions it uses: a word for those that it has not changes nothing. */
static pd_status changes_anything(tester *t, const char *word, bool *out, pd_error *err) {
    *out = true;
    if (!pd_device_is_cpu(&t->info)) return PD_OK;
    switch_off(t, word);
    pd_status status = with_model(t, note_driver, err);
    switch_off(t, "");
    *out = strcmp(t->driver, t->info.driver) != 0;
    return status;
}

typedef struct words {
    const char *list[8];
    uint32_t n;
} words;

static words words_of(const pd_device_info *d) {
    words w = {0};
    if (pd_device_is_cpu(d)) {
        static const char *const sets[] = {"amx", "vnni", "avx512", "avx2", "i8mm", "dotprod"};
        for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) w.list[w.n++] = sets[i];
        return w;
    }
    if (d->has_fp16) w.list[w.n++] = "fp16";
    if (d->has_int_dot) w.list[w.n++] = "int8dot";
    if (d->n_coopmats > 0) w.list[w.n++] = "coopmat";
    if (d->has_subgroup_arithmetic) w.list[w.n++] = "subgroup";
    w.list[w.n++] = "last-arrival";
    w.list[w.n++] = "many-products";
    if (d->kind == PD_DEVICE_SOFTWARE) w.list[w.n++] = "software-tiles";
    return w;
}

/* ---- all of them ---------------------------------------------------------------------------- */

typedef pd_status (*each_fn)(void *ctx, const pd_device_test *test, pd_error *err);

static bool is_wanted(const char *types, const char *type) {
    const char *word;
    size_t n;
    if (!types) return true;
    while ((word = pd_next_word(&types, &n)))
        if (pd_word_is(word, n, type)) return true;
    return false;
}

/* All types in all precisions; with `few` those that a kernel's kinds differ by. */
static pd_status each_test(const tester *t, const char *disabled, bool few, each_fn fn, void *ctx,
                           pd_error *err) {
    const char *types = t->desc.types;
    static const pd_precision precisions[] = {PD_PRECISION_EXACT, PD_PRECISION_F16,
                                              PD_PRECISION_Q8};
    for (size_t p = 0; p < 3; p++) {
        for (size_t i = 0; i < sizeof odd_types / sizeof *odd_types; i++) {
            const pd_device_test test = {odd_types[i], "odd", precisions[p], disabled};
            bool is_kind =
                i == 0 || strcmp(odd_types[i], "q8_0") == 0 || strcmp(odd_types[i], "f16") == 0;
            if ((!few || is_kind) && is_wanted(types, test.type)) PD_TRY(fn(ctx, &test, err));
        }
        for (size_t i = 0; i < sizeof odd256_types / sizeof *odd256_types; i++) {
            const pd_device_test test = {odd256_types[i], "odd256", precisions[p], disabled};
            bool is_kind = strcmp(test.type, "q6_k") == 0;
            if ((!few || is_kind) && is_wanted(types, test.type)) PD_TRY(fn(ctx, &test, err));
        }
        const pd_device_test image = {"f16", "image", precisions[p], disabled};
        if (is_wanted(types, image.type)) PD_TRY(fn(ctx, &image, err));
    }
    return PD_OK;
}

static pd_status tell_each(void *ctx, const pd_device_test *test, pd_error *err) {
    return run_and_tell(ctx, test, err);
}

/* Whether every test that failed with nothing switched off holds with a word. */
static pd_status avoids(const tester *t, const char *word, bool *out, pd_error *err) {
    *out = true;
    for (uint32_t i = 0; i < t->n_failed && *out; i++) {
        pd_device_test test = t->failed[i];
        pd_device_test_result r;
        test.disabled = word;
        PD_TRY(run_test(t, &test, &r, err));
        *out = pd_device_test_holds(&r);
        if (!t->desc.goes_on(t->desc.ctx))
            return PD_RAISE(err, PD_ERR_CANCELLED, "the tests were stopped on request");
    }
    return PD_OK;
}

static pd_status find_word(tester *t, const words *w, pd_error *err) {
    for (uint32_t i = 0; i < w->n; i++) {
        bool holds;
        PD_TRY(avoids(t, w->list[i], &holds, err));
        if (!holds) continue;
        snprintf(t->verdict->avoided_by, sizeof t->verdict->avoided_by, "%s", w->list[i]);
        return PD_OK;
    }
    return PD_OK;
}

static pd_status run_tests(tester *t, pd_error *err) {
    const words w = words_of(&t->info);
    PD_TRY(each_test(t, "", false, tell_each, t, err));
    for (uint32_t i = 0; i < w.n; i++) {
        bool changes;
        PD_TRY(changes_anything(t, w.list[i], &changes, err));
        if (changes) PD_TRY(each_test(t, w.list[i], true, tell_each, t, err));
    }
    return t->n_failed > 0 ? find_word(t, &w, err) : PD_OK;
}

/* ---- the verdict ---------------------------------------------------------------------------- */

static pd_status take_info(tester *t, pd_model *m, pd_error *err) {
    (void)err;
    t->info = t->verdict->info = *pd_model_get_device(m);
    const char *outer = pd_env(variable_of(t));
    t->outer = outer ? pd_strdup(outer) : NULL;
    return PD_OK;
}

/* Whether later starts look for it: software devices only where they are asked to. */
static bool is_heeded(const tester *t) {
    if (t->selftest && t->selftest[0]) return strcmp(t->selftest, "on") == 0;
    return t->info.kind != PD_DEVICE_SOFTWARE;
}

/* A fault that nothing avoids is not kept: the next start's own test is to say so. Nor is what was
 * found with something switched off, or of some types. */
static pd_status keep_verdict(tester *t, pd_model *m, pd_error *err) {
    pd_backend *b = m->backend;
    pd_device_verdict *v = t->verdict;
    (void)err;
    bool is_whole = !t->desc.types && !(t->outer && t->outer[0]);
    if (!b->v->keep_verdict || !is_heeded(t) || !is_whole || (t->n_failed > 0 && !v->avoided_by[0]))
        return PD_OK;
    char reason[128] = "";
    if (t->n_failed > 0)
        snprintf(reason, sizeof reason, "%u tests of operations failed with it", t->n_failed);
    v->is_kept = b->v->keep_verdict(b, v->avoided_by, reason);
    return PD_OK;
}

static pd_status test_device(tester *t, pd_error *err) {
    PD_TRY(with_model(t, take_info, err));
    PD_TRY(run_tests(t, err));
    return with_model(t, keep_verdict, err);
}

pd_status pd_device_test_check_types(const char *types, pd_error *err) {
    const char *word;
    size_t n;
    bool is_list = types, is_empty = true;
    while ((word = pd_next_word(&types, &n))) {
        bool known = is_empty = false;
        for (size_t i = 0; i < sizeof odd_types / sizeof *odd_types; i++)
            known |= pd_word_is(word, n, odd_types[i]);
        for (size_t i = 0; i < sizeof odd256_types / sizeof *odd256_types; i++)
            known |= pd_word_is(word, n, odd256_types[i]);
        if (!known)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "\"%.*s\" is no type that is tested", (int)n,
                            word);
    }
    return is_list && is_empty ? PD_RAISE(err, PD_ERR_ARGUMENT, "no type is named") : PD_OK;
}

pd_status pd_device_run_tests(const pd_device_test_desc *desc, pd_device_verdict *out,
                              pd_error *err) {
    tester t = {.desc = *desc, .verdict = out};
    PD_TRY(pd_device_test_check_types(desc->types, err));
    const char *selftest = pd_env("PERIDOT_SELFTEST");
    uint64_t t0 = pd_clock_ns();
    *out = (pd_device_verdict){0};
    PD_TRY(pd_temp_folder_make(t.folder, err));
    t.selftest = selftest ? pd_strdup(selftest) : NULL;
    pd_env_set("PERIDOT_SELFTEST", "off");
    pd_status status = test_device(&t, err);
    pd_env_set("PERIDOT_SELFTEST", t.selftest);
    pd_free(t.selftest);
    pd_free(t.outer);
    pd_temp_folder_remove(t.folder);
    out->ns = pd_clock_ns() - t0;
    return status;
}
