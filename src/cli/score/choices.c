/* `peridot score --choices FILE`: multiple choice, as lm-evaluation-harness scores it.
 *
 * A line of FILE is an item: {"query": "...", "choices": [" one", " two"], "gold": 1}. A choice's
 * score is the sum of ln P of the tokens that it adds to the query's, blanks at the query's end
 * counted to the choice, since a vocabulary has its words with the blank before them. The answer is
 * the choice of the highest score, or of the highest score per byte ("normalised"): long choices
 * are improbable for their length alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/score/choices.h"

#include <math.h>
#include <string.h>

#include "cli/json.h"
#include "cli/score/score.h"
#include "file/json.h"

enum { MAX_CHOICES = 64 };

typedef struct choices_job {
    const cli_options *o;
    pd_model *model;
    pd_session *session;
    uint32_t *ids;    /* [n_ctx] of query and choice */
    float *log_probs; /* [n_ctx] */
    uint32_t n_ctx;
    uint32_t n_items, n_right, n_right_normalised, n_choices;
    pd_file_writer *writer; /* NULL: single choices are not wanted */
    char *text;
    size_t n_text_bytes;
} choices_job;

/* ---- one choice ----------------------------------------------------------------------------- */

typedef struct choice_text {
    const char *query, *choice;
    size_t n_query; /* without the blanks at its end */
    size_t n_blanks;
} choice_text;

typedef struct choice_score {
    double log_prob;
    uint32_t n_ids, first; /* ids[first + 1 ..] are the choice's */
    size_t n_bytes;
} choice_score;

static pd_status encode(choices_job *job, const char *text, size_t n_bytes, size_t *n_ids,
                        pd_error *err) {
    return pd_tokenize(job->model, text, n_bytes, &(pd_tokenize_desc){0}, job->ids, job->n_ctx,
                       n_ids, err);
}

/* Tokens of the whole, and where those of the choice begin. */
static pd_status encode_choice(choices_job *job, const choice_text *t, choice_score *out,
                               pd_error *err) {
    size_t n_choice = strlen(t->choice), n_query = t->n_query + t->n_blanks, n_first, n;
    char *whole = pd_alloc(n_query + n_choice + 1, 1);
    if (!whole) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a choice");
    memcpy(whole, t->query, n_query);
    memcpy(whole + n_query, t->choice, n_choice);
    pd_status status = encode(job, whole, t->n_query, &n_first, err);
    if (status == PD_OK) status = encode(job, whole, n_query + n_choice, &n, err);
    pd_free(whole);
    if (status != PD_OK) return status;
    if (n_first == 0 || n <= n_first)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a choice adds no token to its query");
    *out =
        (choice_score){.n_ids = (uint32_t)n, .first = (uint32_t)n_first - 1, .n_bytes = n_choice};
    return PD_OK;
}

static pd_status score_choice(choices_job *job, const choice_text *t, choice_score *out,
                              pd_error *err) {
    PD_TRY(encode_choice(job, t, out, err));
    PD_TRY(pd_session_log_probs(job->session, job->ids, out->n_ids, out->first, job->log_probs,
                                NULL, err));
    for (uint32_t i = 0; i < out->n_ids - 1 - out->first; i++)
        out->log_prob += (double)job->log_probs[i];
    return PD_OK;
}

/* ---- one item ------------------------------------------------------------------------------- */

/* {"item": 0, "choice": 1, "gold": true, "log_prob": -3.2, "bytes": 7, "first": 4, "ids": [...]} */
static pd_status write_choice(const choices_job *job, uint32_t choice, bool gold,
                              const choice_score *score, pd_error *err) {
    if (!job->writer) return PD_OK;
    cJSON *j = cJSON_CreateObject(), *ids;
    cJSON_AddNumberToObject(j, "item", job->n_items);
    cJSON_AddNumberToObject(j, "choice", choice);
    cJSON_AddBoolToObject(j, "gold", gold);
    cJSON_AddNumberToObject(j, "log_prob", score->log_prob);
    cJSON_AddNumberToObject(j, "bytes", (double)score->n_bytes);
    cJSON_AddNumberToObject(j, "first", score->first);
    ids = cJSON_AddArrayToObject(j, "ids");
    for (uint32_t i = 0; i < score->n_ids; i++)
        cJSON_AddItemToArray(ids, cJSON_CreateNumber(job->ids[i]));
    return cli_write_json_line(job->writer, j, err);
}

static uint32_t best_of(const double *values, uint32_t n) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (values[i] > values[best]) best = i;
    return best;
}

typedef struct choice_item {
    const char *query, *choices[MAX_CHOICES];
    uint32_t n, gold;
} choice_item;

static bool read_item(const cJSON *j, choice_item *out) {
    const cJSON *choices = cJSON_GetObjectItem(j, "choices"), *choice;
    const cJSON *gold = cJSON_GetObjectItem(j, "gold");
    *out = (choice_item){.query = cJSON_GetStringValue(cJSON_GetObjectItem(j, "query"))};
    if (!out->query || !cJSON_IsArray(choices) || !cJSON_IsNumber(gold)) return false;
    cJSON_ArrayForEach(choice, choices) {
        const char *text = cJSON_GetStringValue(choice);
        if (!text || !text[0] || out->n == MAX_CHOICES) return false;
        out->choices[out->n++] = text;
    }
    out->gold = (uint32_t)gold->valuedouble;
    return out->n >= 2 && gold->valuedouble >= 0 && gold->valuedouble == out->gold &&
           out->gold < out->n;
}

static pd_status score_item_choices(choices_job *job, const choice_item *item, pd_error *err) {
    double sums[MAX_CHOICES], per_byte[MAX_CHOICES];
    size_t n = strlen(item->query), n_query = n;
    while (n_query > 0 && strchr(" \n\t", item->query[n_query - 1])) n_query--;
    for (uint32_t i = 0; i < item->n; i++) {
        choice_text text = {item->query, item->choices[i], n_query, n - n_query};
        choice_score score = {0};
        PD_TRY(score_choice(job, &text, &score, err));
        PD_TRY(write_choice(job, i, i == item->gold, &score, err));
        sums[i] = score.log_prob;
        per_byte[i] = score.log_prob / (double)score.n_bytes;
    }
    job->n_right += best_of(sums, item->n) == item->gold;
    job->n_right_normalised += best_of(per_byte, item->n) == item->gold;
    job->n_choices += item->n;
    job->n_items++;
    return PD_OK;
}

/* ---- all items ------------------------------------------------------------------------------ */

static pd_status score_line(choices_job *job, const char *line, size_t n, uint32_t number,
                            pd_error *err) {
    choice_item item;
    cJSON *j = pd_json_parse(line, n);
    pd_status status =
        j && read_item(j, &item)
            ? score_item_choices(job, &item, err)
            : PD_RAISE(err, PD_ERR_FORMAT,
                       "line %u is not an item: {\"query\": \"...\", \"choices\": [two to %d "
                       "texts], \"gold\": the right one's number, from 0}",
                       number, MAX_CHOICES);
    cJSON_Delete(j);
    return status;
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
        if (n > 0) status = score_line(job, at, n, number, err);
        at = next ? next + 1 : end;
        bool goes_on =
            cli_progress_update(&progress, (uint64_t)(at - job->text), job->n_text_bytes);
        if (status == PD_OK && !goes_on)
            status = PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u items", job->n_items);
    }
    cli_progress_end(&progress);
    if (status == PD_OK && job->n_items == 0)
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

/* ---- the result ----------------------------------------------------------------------------- */

/* A share and its standard error. */
typedef struct choices_share {
    double share, error;
} choices_share;

static choices_share share_of(uint32_t n, uint32_t all) {
    double p = (double)n / all;
    return (choices_share){p, all > 1 ? sqrt(p * (1 - p) / (all - 1)) : 0};
}

static pd_status report(const choices_job *job, pd_error *err) {
    choices_share plain = share_of(job->n_right, job->n_items);
    choices_share normalised = share_of(job->n_right_normalised, job->n_items);
    if (!cli_given(job->o, OPT_JSON)) {
        printf("%-12s%u with %u choices\n", "items", job->n_items, job->n_choices);
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
    cJSON_AddNumberToObject(root, "items", job->n_items);
    cJSON_AddNumberToObject(root, "choices", job->n_choices);
    cJSON_AddNumberToObject(root, "accuracy", plain.share);
    cJSON_AddNumberToObject(root, "accuracy_error", plain.error);
    cJSON_AddNumberToObject(root, "accuracy_normalised", normalised.share);
    cJSON_AddNumberToObject(root, "accuracy_normalised_error", normalised.error);
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
    job->n_ctx = cli_u32(job->o, OPT_SCORE_CTX);
    PD_TRY(pd_file_read_all(cli_text(job->o, OPT_CHOICES), 1u << 30, &job->text, &job->n_text_bytes,
                            err));
    job->ids = pd_alloc(job->n_ctx, sizeof *job->ids);
    job->log_probs = pd_alloc(job->n_ctx, sizeof *job->log_probs);
    if (!job->ids || !job->log_probs)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for %u scores", job->n_ctx);
    PD_TRY(cli_open_model(job->o, CLI_OPEN_ALL, &job->model, err));
    pd_session_desc desc = {.n_ctx = job->n_ctx,
                            .n_chunk = cli_u32(job->o, OPT_BATCH),
                            .precision = cli_precision(job->o, PD_PRECISION_F16),
                            .all_logits = true};
    return pd_session_create(job->model, &desc, &job->session, err);
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
    pd_free(job.ids);
    pd_free(job.log_probs);
    pd_free(job.text);
    return status;
}
