/* `peridot score --choices FILE`: multiple choice; measure/choices.h says what an item is, and how
 * it is scored.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/score/choices.h"

#include <string.h>

#include "cli/json.h"
#include "measure/choices.h"

typedef struct choices_job {
    const cli_options *o;
    pd_model *model;
    pd_session *session;
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
    cJSON *j = cJSON_CreateObject(), *ids;
    CLI_ADD_NUMBERS(j, {"item", job->scores.n_items}, {"choice", choice});
    cJSON_AddBoolToObject(j, "gold", gold);
    CLI_ADD_NUMBERS(j, {"log_prob", score->log_prob}, {"bytes", (double)score->n_bytes},
                    {"first", score->first});
    ids = cJSON_AddArrayToObject(j, "ids");
    for (uint32_t i = 0; i < score->n_ids; i++)
        cJSON_AddItemToArray(ids, cJSON_CreateNumber(score_ids[i]));
    return cli_write_json_line(job->writer, j, err);
}

static pd_status score_lines(choices_job *job, pd_error *err) {
    const char *at = job->text, *end = job->text + job->n_text_bytes;
    cli_progress progress = {0};
    pd_status status = PD_OK;
    cli_progress_begin(&progress, "scoring");
    for (uint32_t number = 1; status == PD_OK && at < end; number++) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((next ? next : end) - at);
        if (n > 0 && at[n - 1] == '\r') n--;
        if (n > 0) status = pd_choices_score(&job->scores, at, n, number, err);
        at = next ? next + 1 : end;
        bool goes_on =
            cli_progress_update(&progress, (uint64_t)(at - job->text), job->n_text_bytes);
        if (status == PD_OK && !goes_on)
            status = PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u items", job->scores.n_items);
    }
    cli_progress_end(&progress);
    if (status == PD_OK && job->scores.n_items == 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "there is nothing to score: the file has no item");
    return status;
}

/* The file of single choices appears with its end. */
static pd_status score_to(choices_job *job, const char *path, pd_error *err) {
    pd_file_writer writer;
    if (!path) return score_lines(job, err);
    PD_TRY(pd_file_writer_open(path, &writer, err));
    job->writer = &writer;
    pd_status status = score_lines(job, err);
    if (status == PD_OK) return pd_file_writer_commit(&writer, err);
    pd_file_writer_abort(&writer);
    return status;
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
    cJSON_AddStringToObject(root, "model", pd_model_get_info(job->model)->name);
    cJSON_AddStringToObject(root, "device", pd_model_get_device(job->model)->id);
    cJSON_AddStringToObject(root, "precision",
                            cli_precision_name(cli_precision(job->o, PD_PRECISION_F16)));
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
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (cli_given(o, others[i]))
            return PD_RAISE(err, PD_ERR_ARGUMENT, "--choices and %s cannot be used together",
                            cli_option_get(others[i])->name);
    return PD_OK;
}

static pd_status open_all(choices_job *job, pd_error *err) {
    uint32_t n_ctx = cli_u32(job->o, OPT_SCORE_CTX);
    PD_TRY(pd_file_read_all(cli_text(job->o, OPT_CHOICES), 1u << 30, &job->text, &job->n_text_bytes,
                            err));
    pd_choices *c = &job->scores;
    *c = (pd_choices){.ids = pd_alloc(n_ctx, sizeof *c->ids),
                      .log_probs = pd_alloc(n_ctx, sizeof *c->log_probs),
                      .n_ctx = n_ctx,
                      .fn = write_choice,
                      .fn_ctx = job};
    if (!c->ids || !c->log_probs)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for %u scores", n_ctx);
    PD_TRY(cli_open_model(job->o, CLI_OPEN_ALL, &job->model, err));
    c->model = job->model;
    pd_session_desc desc = {.n_ctx = n_ctx,
                            .n_chunk = cli_u32(job->o, OPT_BATCH),
                            .precision = cli_precision(job->o, PD_PRECISION_F16),
                            .all_logits = true};
    PD_TRY(pd_session_create(job->model, &desc, &job->session, err));
    c->session = job->session;
    return PD_OK;
}

pd_status score_choices(const cli_options *o, pd_error *err) {
    choices_job job = {.o = o};
    pd_status status;
    PD_TRY_GOTO(check_options(o, err));
    PD_TRY_GOTO(open_all(&job, err));
    cli_interrupt_watch(job.session);
    PD_TRY_GOTO(score_to(&job, cli_text(o, OPT_SCORE_OUTPUT), err));
    status = report(&job, err);
done:
    cli_interrupt_watch(NULL);
    pd_session_destroy(job.session);
    pd_model_close(job.model);
    pd_free(job.scores.ids);
    pd_free(job.scores.log_probs);
    pd_free(job.text);
    return status;
}
