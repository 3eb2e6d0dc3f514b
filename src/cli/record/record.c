/* `peridot record`: measures a device, or puts what was measured of several into a table.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/record/record.h"

#include <string.h>

#include "base/numbers.h"
#include "pack/synth.h"

/* ---- tables --------------------------------------------------------------------------------- */

static pd_status read_records(const cli_options *o, cJSON *list, pd_error *err) {
    for (uint32_t i = 0; i < o->n_args; i++) {
        cJSON *record;
        PD_TRY(record_read(o->args[i], &record, err));
        cJSON_AddItemToArray(list, record);
    }
    return PD_OK;
}

/* A pd_file_write_fn. */
static pd_status write_plot(void *ctx, pd_file_writer *w, pd_error *err) {
    return w ? record_write_plot(ctx, w, err) : PD_OK;
}

/* What --table would ignore; the environment's settings are for other commands too. */
static pd_status check_measuring(const cli_options *o, pd_error *err) {
    static const cli_option_id ids[] = {
        OPT_RECORD_PRESETS, OPT_RECORD_PROMPT,  OPT_RECORD_GEN, OPT_RECORD_DEPTH, OPT_RECORD_REPEAT,
        OPT_RECORD_MODELS,  OPT_RECORD_NO_TEST, OPT_DEVICE,     OPT_THREADS,      OPT_PRECISION};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const cli_value *v = &o->values[ids[i]];
        if (v->given && !v->from_env)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "%s is for measuring, not for --table",
                            cli_option_get(ids[i])->name);
    }
    return PD_OK;
}

static pd_status make_table(const cli_options *o, pd_error *err) {
    if (o->n_args == 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "--table needs records: peridot record --table *.json");
    if (cli_text(o, OPT_RECORD_OUTPUT))
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "--output is for a record; a table goes to standard output");
    PD_TRY(check_measuring(o, err));
    cJSON *list = cJSON_CreateArray();
    if (!list) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a table");
    pd_status status = read_records(o, list, err);
    if (status == PD_OK) status = cli_write_output(o, OPT_RECORD_PLOT, write_plot, list, err);
    if (status == PD_OK) status = record_print_tables(list, err);
    cJSON_Delete(list);
    return status == PD_OK ? cli_check_stdout(err) : status;
}

/* ---- measuring ------------------------------------------------------------------------------ */

typedef struct record_job {
    const cli_options *o;
    pd_record record;
    cJSON *json;
} record_job;

static bool tell(void *ctx, const char *what) {
    (void)ctx;
    if (what && !cli_interrupted()) fprintf(stderr, "%s\n", what);
    return !cli_interrupted();
}

static void watch(void *ctx, pd_session *session) {
    (void)ctx;
    cli_interrupt_watch(session, NULL);
}

static pd_status check_presets(const char *list, pd_error *err) {
    const char *word;
    const synth_shape *shape;
    char name[48];
    size_t n, n_words = 0;
    while ((word = pd_next_word(&list, &n))) {
        n_words++;
        snprintf(name, sizeof name, "%.*s", (int)n, word);
        PD_TRY(synth_preset(name, &shape, err));
    }
    if (n_words > 0 && n_words <= PD_RECORD_MAX_MODELS) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "--presets takes 1 to %d models, not %zu",
                    PD_RECORD_MAX_MODELS, n_words);
}

static pd_status make_record(record_job *job, uint32_t *lengths, pd_error *err) {
    enum { N_BATCH = 2048, N_UBATCH = 512, MOST_TOKENS = 1 << 20 }; /* as bench has them */
    const cli_options *o = job->o;
    uint32_t batch = N_BATCH, ubatch = N_UBATCH;
    pd_bench_list depths = {0};
    PD_TRY(pd_numbers_parse("--n-depth", cli_text(o, OPT_RECORD_DEPTH), 0, MOST_TOKENS,
                            &depths.values, &depths.n, err));
    const pd_record_desc desc = {.device = cli_text(o, OPT_DEVICE),
                                 .n_threads = cli_u32(o, OPT_THREADS),
                                 .precision = cli_precision(o, OPT_PRECISION, PD_PRECISION_F16),
                                 .presets = cli_text(o, OPT_RECORD_PRESETS),
                                 .type = "q4_0",
                                 .lists = {.prompts = {&lengths[0], 1},
                                           .gens = {&lengths[1], 1},
                                           .depths = depths,
                                           .batches = {&batch, 1},
                                           .ubatches = {&ubatch, 1}},
                                 .n_samples = cli_u32(o, OPT_RECORD_REPEAT),
                                 .folder = cli_text(o, OPT_RECORD_MODELS),
                                 .without_tests = cli_given(o, OPT_RECORD_NO_TEST),
                                 .tell = tell,
                                 .watch = watch,
                                 .ctx = job};
    cli_interrupt_install();
    pd_status status = pd_record_make(&desc, &job->record, err);
    pd_free(depths.values);
    if (status != PD_OK) return status;
    job->json = record_json(o, &job->record);
    return job->json ? PD_OK : PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a record");
}

/* A pd_file_write_fn: the file is opened before the long work. */
static pd_status run(void *ctx, pd_file_writer *w, pd_error *err) {
    record_job *job = ctx;
    uint32_t lengths[2] = {cli_u32(job->o, OPT_RECORD_PROMPT), cli_u32(job->o, OPT_RECORD_GEN)};
    PD_TRY(make_record(job, lengths, err));
    if (!w) return PD_OK;
    char *text = cJSON_Print(job->json);
    if (!text) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a record");
    pd_file_writer_write(w, text, strlen(text));
    pd_file_writer_write(w, "\n", 1);
    cJSON_free(text);
    return PD_OK;
}

static pd_status print(record_job *job, pd_error *err) {
    cJSON *json = job->json;
    job->json = NULL;
    if (!cli_text(job->o, OPT_RECORD_OUTPUT)) return cli_print_json(json, err);
    cJSON *list = cJSON_CreateArray();
    cJSON_AddItemToArray(list, json);
    pd_status status = record_print_tables(list, err);
    cJSON_Delete(list);
    return status;
}

/* The record says so, and is there. */
static pd_status judge(const pd_record *r, pd_error *err) {
    const pd_device_verdict *v = &r->verdict;
    if (!r->has_verdict || v->n_failed == 0) return PD_OK;
    pd_status status = PD_RAISE(err, PD_ERR_DIFFERS, "%s fails %u of %u tests of its kernels",
                                r->info.id, v->n_failed, v->n_tests);
    if (v->avoided_by[0])
        return pd_error_hint(err, status, "PERIDOT_DISABLE=%s avoids it; peridot devices --test %s",
                             v->avoided_by, r->info.id);
    return pd_error_hint(err, status, "peridot devices --test %s says in which", r->info.id);
}

static pd_status measure(const cli_options *o, pd_error *err) {
    static const cli_option_id of_tables[] = {OPT_RECORD_PLOT};
    const char *other = cli_first_given(o, of_tables, 1);
    if (other || o->n_args > 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s is for --table", other ? other : o->args[0]);
    if (cli_u32(o, OPT_RECORD_PROMPT) + cli_u32(o, OPT_RECORD_GEN) == 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "there is nothing to measure: every length is 0");
    PD_TRY(check_presets(cli_text(o, OPT_RECORD_PRESETS), err));
    record_job job = {.o = o};
    pd_status status = cli_write_output(o, OPT_RECORD_OUTPUT, run, &job, err);
    if (status == PD_OK) status = print(&job, err);
    if (status == PD_OK) status = cli_check_stdout(err);
    if (status == PD_OK) status = judge(&job.record, err);
    cJSON_Delete(job.json);
    pd_record_free(&job.record);
    return status;
}

pd_status cli_record(const cli_options *o, pd_error *err) {
    return cli_given(o, OPT_RECORD_TABLE) ? make_table(o, err) : measure(o, err);
}
