/* `peridot score`: how probable a text is to a model, and how far the model is from another one.
 *
 * measure/score.h says how a text becomes windows, and what is made of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/score/score.h"

#include <string.h>

/* ---- the text ------------------------------------------------------------------------------- */

static pd_status encode(const score_job *job, const pd_model *m, cli_ids *out, pd_error *err) {
    pd_tokenize_desc desc = {.parse_special = cli_given(job->o, OPT_PARSE_SPECIAL)};
    return cli_encode(m, job->text, job->n_text_bytes, &desc, out, err);
}

static pd_status read_input(score_job *job, pd_error *err) {
    const cli_options *o = job->o;
    if (!cli_given(o, OPT_TOKENS)) return cli_read_text(o, &job->text, &job->n_text_bytes, err);
    if (cli_given(o, OPT_PROMPT) || cli_given(o, OPT_FILE))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--tokens cannot be used with a text");
    return cli_read_ids(o, &job->ids, err);
}

static pd_status get_ids(score_job *job, pd_error *err) {
    if (!cli_given(job->o, OPT_TOKENS)) PD_TRY(encode(job, job->side.model, &job->ids, err));
    for (size_t i = 0; i < job->ids.n; i++)
        if (job->ids.ids[i] == PD_TOKEN_IMAGE)
            return PD_RAISE(err, PD_ERR_ARGUMENT, "pictures cannot be scored");
    PD_TRY(cli_check_ids(&job->ids, pd_model_get_info(job->side.model)->n_vocab, err));
    if (job->ids.n < 2)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "there is nothing to score: the text has fewer than 2 tokens");
    return PD_OK;
}

/* ---- models --------------------------------------------------------------------------------- */

static pd_status open_session(score_job *job, score_side *side, pd_error *err) {
    pd_session_desc desc = cli_session(job->o, job->windows.length);
    desc.precision = side->precision;
    return pd_session_create(side->model, &desc, &side->session, err);
}

/* What --against... does not name is as it is for the model itself; one model then serves both, if
 * only the precision differs. */
static pd_status open_reference(score_job *job, pd_error *err) {
    const cli_options *o = job->o;
    const char *path = cli_text(o, OPT_AGAINST), *device = cli_text(o, OPT_AGAINST_DEVICE);
    job->reference =
        (score_side){.model = job->side.model,
                     .precision = cli_precision(o, OPT_AGAINST_PRECISION, job->side.precision)};
    if (!path && !device) return PD_OK;
    return cli_open_other_model(o, path ? path : cli_text(o, OPT_MODEL),
                                device ? device : cli_text(o, OPT_DEVICE), &job->reference.model,
                                err);
}

/* Both have to read the text as the same tokens. */
static pd_status check_reference(const score_job *job, pd_error *err) {
    const pd_model *reference = job->reference.model;
    cli_ids ids = {0};
    if (job->text && reference != job->side.model) PD_TRY(encode(job, reference, &ids, err));
    bool same = !ids.ids || (ids.n == job->ids.n &&
                             memcmp(ids.ids, job->ids.ids, ids.n * sizeof *ids.ids) == 0);
    pd_free(ids.ids);
    if (!same)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "the two models cannot be compared: their vocabularies make different "
                        "tokens of the text");
    return cli_check_ids(&job->ids, pd_model_get_info(reference)->n_vocab, err);
}

static pd_status open_all(score_job *job, pd_error *err) {
    const cli_options *o = job->o;
    job->has_reference = cli_given(o, OPT_AGAINST) || cli_given(o, OPT_AGAINST_DEVICE) ||
                         cli_given(o, OPT_AGAINST_PRECISION);
    PD_TRY(cli_open_model(o, CLI_OPEN_ALL, &job->side.model, err));
    job->side.precision = cli_precision(o, OPT_PRECISION, PD_PRECISION_F16);
    PD_TRY(get_ids(job, err));
    const pd_score_windows_desc desc = {.length = cli_u32(o, OPT_SCORE_CTX),
                                        .stride = cli_u32(o, OPT_STRIDE),
                                        .n_windows = cli_u32(o, OPT_WINDOWS),
                                        .whole = cli_given(o, OPT_WHOLE)};
    PD_TRY(pd_score_plan_windows(&desc, job->ids.n, &job->windows, err));
    PD_TRY(open_session(job, &job->side, err));
    if (!job->has_reference) return PD_OK;
    PD_TRY(open_reference(job, err));
    PD_TRY(check_reference(job, err));
    return open_session(job, &job->reference, err);
}

static void close_all(score_job *job) {
    cli_interrupt_watch(NULL, NULL);
    pd_session_destroy(job->side.session);
    pd_session_destroy(job->reference.session);
    if (job->reference.model != job->side.model) pd_model_close(job->reference.model);
    pd_model_close(job->side.model);
}

/* ---- the command ---------------------------------------------------------------------------- */

/* A pd_prompt_progress_fn, in bytes of the text. */
static bool on_window(void *ctx, uint32_t n_done, uint32_t n) {
    score_job *job = ctx;
    uint64_t n_bytes = job->text ? job->n_text_bytes : 4 * (uint64_t)job->ids.n;
    job->n_items = n_done * pd_score_per_window(&job->windows);
    return cli_progress_update(&job->progress, n_bytes * n_done / n, n_bytes);
}

static pd_status score_all(score_job *job, pd_error *err) {
    const pd_score_job desc = {.model = job->side.model,
                               .session = job->side.session,
                               .reference_model = job->reference.model,
                               .reference = job->reference.session,
                               .ids = job->ids.ids,
                               .windows = job->windows,
                               .n_threads = cli_u32(job->o, OPT_THREADS),
                               .progress = on_window,
                               .progress_ctx = job};
    uint32_t n = job->windows.n * pd_score_per_window(&job->windows);
    job->items = pd_alloc(n, sizeof *job->items);
    if (!job->items) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for %u scores", n);
    cli_interrupt_watch(job->side.session, job->reference.session);
    cli_progress_begin(&job->progress, "scoring");
    pd_status status = pd_score_run(&desc, job->items, err);
    cli_progress_end(&job->progress);
    return status;
}

static pd_status report(const score_job *job, pd_error *err) {
    if (cli_given(job->o, OPT_JSON))
        PD_TRY(score_print_json(job, err));
    else
        score_print(job);
    return cli_check_stdout(err);
}

/* A pd_file_write_fn. The file of single tokens, if there is one, is opened before the long work.
 */
static pd_status score_to(void *ctx, pd_file_writer *writer, pd_error *err) {
    score_job *job = ctx;
    PD_TRY(score_all(job, err));
    return writer ? score_write_items(job, writer, err) : PD_OK;
}

pd_status cli_score(const cli_options *o, pd_error *err) {
    score_job job = {.o = o};
    pd_status status;
    if (cli_given(o, OPT_CHOICES)) return score_choices(o, err);
    PD_TRY_GOTO(read_input(&job, err));
    PD_TRY_GOTO(open_all(&job, err));
    PD_TRY_GOTO(cli_write_output(o, OPT_SCORE_OUTPUT, score_to, &job, err));
    status = report(&job, err);
done:
    close_all(&job);
    pd_free(job.items);
    pd_free(job.ids.ids);
    pd_free(job.text);
    return status;
}
