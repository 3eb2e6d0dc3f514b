/* See record.h.  SPDX-License-Identifier: MIT */
#include "measure/record.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/os_file.h"
#include "base/temp.h"
#include "base/words.h"
#include "measure/energy.h"
#include "measure/profile.h"
#include "peridot_files.h"

typedef struct recorder {
    const pd_record_desc *desc;
    pd_record *record;
    char folder[PD_TEMP_PATH];
    bool is_temporary;
    pd_record_model *model; /* at hand */
    pd_model *open;
} recorder;

static pd_status tell(const recorder *r, const char *subject, const char *what, pd_error *err) {
    char text[96];
    snprintf(text, sizeof text, "%.16s: %.70s", subject, what);
    if (r->desc->tell(r->desc->ctx, text)) return PD_OK;
    return PD_RAISE(err, PD_ERR_CANCELLED, "the record was stopped on request");
}

/* ---- models --------------------------------------------------------------------------------- */

static void path_of(const recorder *r, const char *preset, char out[PD_TEMP_PATH + 64]) {
    snprintf(out, PD_TEMP_PATH + 64, "%s/peridot-synth-%s-%s.gguf", r->folder, preset,
             r->desc->type);
}

static bool goes_on(void *ctx, uint64_t n_done, uint64_t n_total) {
    const recorder *r = ctx;
    (void)n_done;
    (void)n_total;
    return r->desc->tell(r->desc->ctx, NULL);
}

static pd_status write_model(recorder *r, const char *preset, const char *path, pd_error *err) {
    if (pd_path_exists(path)) return PD_OK;
    const pd_synth_desc desc = {.preset = preset,
                                .type = r->desc->type,
                                .seed = 1,
                                .work = {.progress = goes_on, .progress_ctx = r}};
    return pd_files_synth(path, &desc, NULL, err);
}

/* Of the tests with the least depth: those with more may fail for themselves. */
static pd_session_desc smallest_session(const recorder *r) {
    pd_bench_lists l = r->desc->lists;
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < l.depths.n; i++)
        if (l.depths.values[i] < least) least = l.depths.values[i];
    l.depths = (pd_bench_list){&least, 1};
    return pd_bench_largest(&l, r->desc->precision);
}

static pd_status open_model(recorder *r, const char *preset, const char *device, pd_error *err) {
    char path[PD_TEMP_PATH + 64];
    path_of(r, preset, path);
    PD_TRY(tell(r, preset, "making and loading the model", err));
    PD_TRY(write_model(r, preset, path, err));
    const pd_model_desc desc = {.device = device,
                                .n_threads = r->desc->n_threads,
                                .progress = goes_on,
                                .progress_ctx = r,
                                .session = smallest_session(r)};
    uint64_t t0 = pd_clock_ns();
    pd_status status = pd_model_open(path, &desc, &r->open, err);
    r->model->load_ns = pd_clock_ns() - t0;
    return status;
}

static void close_model(recorder *r, const char *preset) {
    char path[PD_TEMP_PATH + 64];
    path_of(r, preset, path);
    pd_model_close(r->open);
    r->open = NULL;
    if (r->is_temporary) pd_path_remove(path); /* the next one may need its room */
}

/* ---- one test ------------------------------------------------------------------------------- */

typedef struct step_sum {
    pd_kind_profile kinds;
    uint32_t n_rows;
} step_sum;

/* A pd_profile_fn. */
static bool add_op(void *ctx, const pd_profile_op *op) {
    step_sum *s = ctx;
    if (op->n_rows > s->n_rows) s->n_rows = op->n_rows;
    pd_profile_add(&s->kinds, op);
    return true;
}

/* Rows of every step that the test consists of; 0: they are of different lengths. */
static uint32_t rows_of_steps(const pd_bench_test *t) {
    if (t->n_prompt <= t->n_ubatch) return t->n_prompt > 0 ? t->n_prompt : 1;
    return t->n_prompt % t->n_ubatch == 0 ? t->n_ubatch : 0;
}

/* What the last step cannot do without, by the time that its tokens took in the median. */
static pd_status take_shares(const recorder *r, pd_session *session, pd_record_test *t,
                             pd_error *err) {
    step_sum sum = {.n_rows = 0};
    PD_TRY(pd_session_profile(session, add_op, &sum, err));
    if (sum.n_rows != rows_of_steps(&t->test)) return PD_OK; /* it stands for no other */
    pd_profile_kind all = pd_profile_sum(&sum.kinds);
    if (t->result.median > 0) all.ns = (uint64_t)(1e9 * sum.n_rows / t->result.median);
    t->memory_percent = pd_profile_read_percent(&r->record->speed, &all);
    t->arithmetic_percent = pd_profile_peak_percent(&r->record->speed, &all);
    return PD_OK;
}

/* Read twice, it has to count by itself, and must not begin anew in between. */
static double joules_between(pd_energy *e, uint64_t since_ns) {
    enum { LONGEST_S = 120 };
    bool counts = e && pd_energy_is_counter(e);
    uint64_t seconds = (pd_clock_ns() - since_ns) / 1000000000u;
    return counts && seconds < LONGEST_S ? pd_energy_joules(e) : 0;
}

static pd_status measure(recorder *r, pd_session *session, pd_record_test *t, pd_error *err) {
    pd_energy *energy = t->test.n_depth == 0 ? pd_energy_open(&r->record->info) : NULL;
    uint64_t t0 = pd_clock_ns();
    pd_status status = pd_bench_run(&t->test, r->open, session, &t->result, err);
    double joules = joules_between(energy, t0);
    pd_energy_close(energy);
    t->behind = pd_conditions_now(&r->record->info);
    PD_TRY(status);
    if (joules > 0) t->joules_per_token = joules / (t->result.n_samples + 1) / t->result.n_tokens;
    r->model->peak_bytes = pd_session_get_stats(session)->device_peak_bytes;
    return take_shares(r, session, t, err);
}

static pd_status time_test(recorder *r, const pd_bench_test *test, pd_record_test *t,
                           pd_error *err) {
    uint32_t n_train = pd_model_get_info(r->open)->n_ctx_train;
    uint64_t n = (uint64_t)test->n_depth + test->n_prompt + test->n_gen;
    char name[64];
    pd_bench_name(test, name);
    if (n > n_train)
        return PD_RAISE(err, PD_ERR_CONTEXT, "%s needs %llu positions, but the model has %u", name,
                        (unsigned long long)n, n_train);
    PD_TRY(tell(r, r->model->preset, name, err));
    *t = (pd_record_test){.test = *test, .result.n_samples = r->desc->n_samples};
    t->result.samples_ns = pd_alloc(r->desc->n_samples, sizeof *t->result.samples_ns);
    if (!t->result.samples_ns)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the test's times");
    const pd_session_desc desc = pd_bench_session(test, n_train, r->desc->precision);
    pd_session *session = NULL;
    pd_status status = pd_session_create(r->open, &desc, &session, err);
    r->desc->watch(r->desc->ctx, session);
    if (status == PD_OK) status = measure(r, session, t, err);
    r->desc->watch(r->desc->ctx, NULL);
    pd_session_destroy(session);
    if (status != PD_OK) pd_free(t->result.samples_ns);
    return status;
}

/* What one test has no room for another may have. */
static bool is_want_of_room(pd_status status) {
    return status == PD_ERR_MEMORY_DEVICE || status == PD_ERR_MEMORY_HOST ||
           status == PD_ERR_CONTEXT;
}

/* A pd_bench_fn. */
static pd_status run_test(void *ctx, const pd_bench_test *test, pd_error *err) {
    recorder *r = ctx;
    pd_record_model *m = r->model;
    pd_error failure = {0};
    pd_status status = time_test(r, test, &m->tests[m->n_tests], &failure);
    m->n_tests += status == PD_OK;
    if (status == PD_OK || !is_want_of_room(status)) return pd_error_again(err, &failure);
    if (m->failure.status == PD_OK) m->failure = failure;
    return PD_OK;
}

/* ---- a model -------------------------------------------------------------------------------- */

static pd_status run_model(recorder *r, pd_error *err) {
    const pd_bench_lists *l = &r->desc->lists;
    uint32_t n_tests = l->depths.n * (l->prompts.n + l->gens.n);
    r->model->tests = pd_alloc(n_tests, sizeof *r->model->tests);
    if (!r->model->tests)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a record");
    PD_TRY(open_model(r, r->model->preset, r->record->info.id, err));
    r->model->file_bytes = pd_model_get_info(r->open)->file_bytes;
    return pd_bench_each(l, run_test, r, err);
}

static pd_status run_models(recorder *r, pd_error *err) {
    const char *list = r->desc->presets, *word;
    size_t n;
    while ((word = pd_next_word(&list, &n))) {
        if (r->record->n_models == PD_RECORD_MAX_MODELS)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "at most %d models make a record",
                            PD_RECORD_MAX_MODELS);
        r->model = &r->record->models[r->record->n_models++];
        snprintf(r->model->preset, sizeof r->model->preset, "%.*s", (int)n, word);
        pd_error failure = {0};
        pd_status status = run_model(r, &failure);
        close_model(r, r->model->preset);
        if (status == PD_ERR_CANCELLED) return pd_error_again(err, &failure);
        if (status != PD_OK) r->model->failure = failure; /* part of the record, as what was done */
        if (status == PD_ERR_DEVICE_LOST) return PD_OK;
    }
    return PD_OK;
}

/* ---- the device ----------------------------------------------------------------------------- */

/* By a small model, which names the device and measures it. */
static pd_status find_device(recorder *r, pd_error *err) {
    char path[PD_TEMP_PATH + 64];
    pd_model *model;
    path_of(r, "tiny", path);
    PD_TRY(write_model(r, "tiny", path, err));
    const pd_model_desc desc = {.device = r->desc->device, .n_threads = r->desc->n_threads};
    PD_TRY(pd_model_open(path, &desc, &model, err));
    r->record->info = *pd_model_get_device(model);
    r->record->before = pd_conditions_now(&r->record->info);
    pd_status status = tell(r, r->record->info.id, "measuring the device", err);
    if (status == PD_OK) status = pd_model_measure(model, &r->record->speed, err);
    pd_model_close(model);
    return status;
}

static void count_test(void *ctx, const pd_device_test_result *result) {
    (void)ctx;
    (void)result;
}

static bool tests_go_on(void *ctx) {
    const recorder *r = ctx;
    return r->desc->tell(r->desc->ctx, NULL);
}

static pd_status test_device(recorder *r, pd_error *err) {
    if (r->desc->without_tests) return PD_OK;
    PD_TRY(tell(r, r->record->info.id, "testing the kernels", err));
    const pd_device_test_desc desc = {.device = r->record->info.id,
                                      .n_threads = r->desc->n_threads,
                                      .fn = count_test,
                                      .goes_on = tests_go_on,
                                      .ctx = r};
    PD_TRY(pd_device_run_tests(&desc, &r->record->verdict, err));
    r->record->has_verdict = true;
    return PD_OK;
}

static pd_status make_folder(recorder *r, pd_error *err) {
    r->is_temporary = !r->desc->folder;
    if (r->is_temporary) return pd_temp_folder_make(r->folder, err);
    snprintf(r->folder, sizeof r->folder, "%.500s", r->desc->folder);
    if (pd_folder_can_take(r->folder)) return PD_OK;
    return PD_RAISE(err, PD_ERR_IO, "\"%s\" is no folder that can be written to", r->folder);
}

pd_status pd_record_make(const pd_record_desc *desc, pd_record *out, pd_error *err) {
    recorder r = {.desc = desc, .record = out};
    *out = (pd_record){.type = desc->type};
    pd_clock_utc(out->time);
    PD_TRY(make_folder(&r, err));
    pd_status status = find_device(&r, err);
    if (status == PD_OK) status = test_device(&r, err);
    if (status == PD_OK) status = run_models(&r, err);
    if (r.is_temporary) pd_temp_folder_remove(r.folder);
    return status;
}

void pd_record_free(pd_record *r) {
    for (uint32_t i = 0; i < r->n_models; i++) {
        for (uint32_t k = 0; k < r->models[i].n_tests; k++)
            pd_free(r->models[i].tests[k].result.samples_ns);
        pd_free(r->models[i].tests);
    }
    *r = (pd_record){0};
}
