/* `peridot score --choices FILE`: multiple choice; measure/choices.h says what an item is, and how
 * it is scored.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/score/score.h"
#include "measure/choices.h"

typedef struct choices_job {
    const cli_options *o;
    pd_model *model;
    pd_choices scores;
    pd_file_writer *writer; /* NULL: single choices are not wanted */
    char *text;
    size_t n_text_bytes;
} choices_job;

/* {"item": 0, "choice": 1, "gold": true, "log_prob": -3.2, "bytes": 7, "first": 4, "ids": [...]} */
static pd_status write_choice(void *ctx, uint32_t choice, bool gold, const pd_choice_score *score,
                              const uint32_t *score_ids, pd_error *err) {
    const choices_job *job = ctx;
    if (!job->writer) return PD_OK;
    cJSON *j = cJSON_CreateObject();
    CLI_ADD_NUMBERS(j, {"item", job->scores.n_items}, {"choice", choice});
    cJSON_AddBoolToObject(j, "gold", gold);
    CLI_ADD_NUMBERS(j, {"log_prob", score->log_prob}, {"bytes", (double)score->n_bytes},
                    {"first", score->first});
    cli_add_ids(j, "ids", score_ids, score->n_ids);
    return cli_write_json_line(job->writer, j, err);
}

/* A pd_file_write_fn, of the file of single choices if there is one. */
static pd_status score_text(void *ctx, pd_file_writer *writer, pd_error *err) {
    choices_job *job = ctx;
    cli_progress progress;
    job->writer = writer;
    job->scores.progress_ctx = &progress;
    cli_progress_begin(&progress, "scoring");
    pd_status status = pd_choices_score(&job->scores, job->text, job->n_text_bytes, err);
    cli_progress_end(&progress);
    return status;
}

/* A cli_session_fn. */
static pd_status score_with(void *ctx, pd_session *session, pd_error *err) {
    choices_job *job = ctx;
    job->scores.session = session;
    return cli_write_output(job->o, OPT_SCORE_OUTPUT, score_text, job, err);
}

static pd_status report(const choices_job *job, pd_error *err) {
    const pd_choices *c = &job->scores;
    pd_share plain = pd_share_of(c->n_right, c->n_items);
    pd_share normalised = pd_share_of(c->n_right_normalised, c->n_items);
    if (!cli_given(job->o, OPT_JSON)) {
        printf("%-12s%u with %u choices\n", "items", c->n_items, c->n_choices);
        printf("%-12s%.4f +- %.4f\n", "accuracy", plain.share, plain.error);
        printf("%-12s%.4f +- %.4f per byte of a choice\n", "normalised", normalised.share,
               normalised.error);
        return cli_check_stdout(err);
    }
    cJSON *root = cJSON_CreateObject();
    score_add_model(root, job->model, cli_precision(job->o, OPT_PRECISION, PD_PRECISION_F16));
    CLI_ADD_NUMBERS(root, {"items", c->n_items}, {"choices", c->n_choices},
                    {"accuracy", plain.share}, {"accuracy_error", plain.error},
                    {"accuracy_normalised", normalised.share},
                    {"accuracy_normalised_error", normalised.error});
    PD_TRY(cli_print_json(root, err));
    return cli_check_stdout(err);
}

/* ---- the command ---------------------------------------------------------------------------- */

static pd_status check_options(const cli_options *o, pd_error *err) {
    static const cli_option_id others[] = {
        OPT_PROMPT,  OPT_FILE,          OPT_TOKENS,  OPT_STRIDE,         OPT_WHOLE,
        OPT_WINDOWS, OPT_PARSE_SPECIAL, OPT_AGAINST, OPT_AGAINST_DEVICE, OPT_AGAINST_PRECISION};
    const char *other = cli_first_given(o, others, sizeof others / sizeof *others);
    if (!other) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "--choices and %s cannot be used together", other);
}

pd_status score_choices(const cli_options *o, pd_error *err) {
    choices_job job = {.o = o};
    pd_session_desc desc = cli_session(o, cli_u32(o, OPT_SCORE_CTX));
    pd_status status;
    PD_TRY_GOTO(check_options(o, err));
    PD_TRY_GOTO(
        pd_file_read_all(cli_text(o, OPT_CHOICES), 1u << 30, &job.text, &job.n_text_bytes, err));
    PD_TRY_GOTO(cli_open_model(o, CLI_OPEN_ALL, &job.model, err));
    job.scores = (pd_choices){.model = job.model,
                              .n_ctx = desc.n_ctx,
                              .fn = write_choice,
                              .fn_ctx = &job,
                              .progress = cli_progress_update};
    PD_TRY_GOTO(cli_with_session(job.model, &desc, score_with, &job, err));
    status = report(&job, err);
done:
    pd_model_close(job.model);
    pd_free(job.text);
    return status;
}
