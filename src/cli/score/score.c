/* `peridot score`: how probable a text is to a model, and how far the model is from another one.
 *
 * Windows are those of llama-perplexity, so that figures can be compared: without --stride, windows
 * of --ctx-size tokens one behind the other, whose second halves are scored; with --stride S,
 * windows of S / 2 more that begin every S tokens and score their last S. A text that is shorter
 * than a window is one, and is scored as a whole.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/score/score.h"

#include <stdlib.h>
#include <string.h>

#include "cli/score/choices.h"
#include "engine/model.h"

/* ---- the text ------------------------------------------------------------------------------- */

static pd_status encode(const score_job *job, const pd_model *m, cli_ids *out, pd_error *err) {
    pd_tokenize_desc desc = {.parse_special = cli_given(job->o, OPT_PARSE_SPECIAL)};
    const char *text = job->text ? job->text : ""; /* an empty file leaves NULL */
    size_t n_max = pd_tokenize_bound(job->n_text_bytes);
    out->ids = pd_alloc(n_max, sizeof *out->ids);
    if (!out->ids)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for %zu token ids", n_max);
    return pd_tokenize(m, text, job->n_text_bytes, &desc, out->ids, n_max, &out->n, err);
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

/* ---- windows -------------------------------------------------------------------------------- */

static pd_status plan_windows(const cli_options *o, size_t n, score_windows *w, pd_error *err) {
    uint32_t length = cli_u32(o, OPT_SCORE_CTX), stride = cli_u32(o, OPT_STRIDE);
    if (stride >= length)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--stride must be below the window of %u tokens",
                        length);
    *w = (score_windows){.length = length + stride / 2, .step = stride ? stride : length};
    if (n <= w->length) {
        *w = (score_windows){.length = (uint32_t)n, .step = (uint32_t)n, .n = 1};
        return PD_OK;
    }
    if (!cli_given(o, OPT_WHOLE)) w->first = stride ? w->length - stride - 1 : length / 2;
    size_t n_windows = stride ? (n - w->length + stride - 1) / stride : n / length;
    uint32_t most = cli_u32(o, OPT_WINDOWS);
    if (most && n_windows > most) n_windows = most;
    if (n_windows * score_per_window(w) > UINT32_MAX)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a text of %zu tokens is too long to score", n);
    w->n = (uint32_t)n_windows;
    return PD_OK;
}

/* Every window begins with <bos> if the text does. */
static void take_window(score_job *job, uint32_t window) {
    const score_windows *w = &job->windows;
    uint32_t bos = pd_vocab_special(job->side.model->vocab)->bos;
    const uint32_t *from = job->ids.ids + (size_t)window * w->step;
    memcpy(job->window_ids, from, w->length * sizeof *from);
    if (job->ids.ids[0] == bos) job->window_ids[0] = bos;
}

static void begin_items(const score_job *job, uint32_t window, score_item *items) {
    const score_windows *w = &job->windows;
    for (uint32_t i = 0; i < score_per_window(w); i++) {
        uint32_t position = w->first + 1 + i;
        items[i] =
            (score_item){.window = window, .position = position, .id = job->window_ids[position]};
    }
}

/* log_probs, best: [per window] */
static pd_status score_window(score_job *job, float *log_probs, uint32_t *best, score_item *items,
                              pd_error *err) {
    const score_windows *w = &job->windows;
    PD_TRY(pd_session_log_probs(job->side.session, job->window_ids, w->length, w->first, log_probs,
                                best, err));
    for (uint32_t i = 0; i < score_per_window(w); i++) {
        items[i].log_prob = log_probs[i];
        items[i].best = best[i];
    }
    return PD_OK;
}

static pd_status score_windows_with(score_job *job, float *log_probs, uint32_t *best, pd_pool *pool,
                                    pd_error *err) {
    const score_windows *w = &job->windows;
    for (uint32_t i = 0; i < w->n; i++) {
        score_item *items = job->items + job->n_items;
        take_window(job, i);
        begin_items(job, i, items);
        PD_TRY(job->has_reference ? score_pair_window(job, pool, items, err)
                                  : score_window(job, log_probs, best, items, err));
        job->n_items += score_per_window(w);
        uint64_t n_bytes = job->text ? job->n_text_bytes : 4 * (uint64_t)job->ids.n;
        if (!cli_progress_update(&job->progress, n_bytes * (i + 1) / w->n, n_bytes))
            return PD_RAISE(err, PD_ERR_CANCELLED, "stopped after %u of %u windows", i + 1, w->n);
    }
    return PD_OK;
}

static pd_status score_all(score_job *job, pd_error *err) {
    const score_windows *w = &job->windows;
    uint32_t n = score_per_window(w);
    float *log_probs = pd_alloc(n, sizeof *log_probs);
    uint32_t *best = pd_alloc(n, sizeof *best);
    job->window_ids = pd_alloc(w->length, sizeof *job->window_ids);
    job->items = pd_alloc((size_t)w->n * n, sizeof *job->items);
    pd_pool *pool = NULL;
    pd_status status = PD_OK;
    if (!log_probs || !best || !job->window_ids || !job->items)
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for %u scores", w->n * n);
    if (status == PD_OK && job->has_reference)
        status = pd_pool_create(cli_u32(job->o, OPT_THREADS), &pool, err);
    cli_progress_begin(&job->progress, "scoring");
    if (status == PD_OK) status = score_windows_with(job, log_probs, best, pool, err);
    cli_progress_end(&job->progress);
    if (pool) pd_pool_destroy(pool);
    pd_free(log_probs);
    pd_free(best);
    return status;
}

/* ---- models --------------------------------------------------------------------------------- */

static pd_status open_session(score_job *job, score_side *side, pd_error *err) {
    pd_session_desc desc = {.n_ctx = job->windows.length,
                            .n_chunk = cli_u32(job->o, OPT_BATCH),
                            .precision = side->precision,
                            .all_logits = true};
    return pd_session_create(side->model, &desc, &side->session, err);
}

/* What --against... does not name is as it is for the model itself; one model then serves both, if
 * only the precision differs. */
static pd_status open_reference(score_job *job, pd_error *err) {
    const cli_options *o = job->o;
    cli_other_model other = {.path = cli_text(o, OPT_AGAINST),
                             .device = cli_text(o, OPT_AGAINST_DEVICE)};
    job->reference = (score_side){.model = job->side.model, .precision = job->side.precision};
    if (cli_given(o, OPT_AGAINST_PRECISION))
        job->reference.precision = cli_precision_of(cli_text(o, OPT_AGAINST_PRECISION));
    if (other.path || other.device)
        PD_TRY(cli_open_other_model(o, &other, &job->reference.model, err));
    return PD_OK;
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
    job->side.precision = cli_precision(o, PD_PRECISION_F16);
    PD_TRY(get_ids(job, err));
    PD_TRY(plan_windows(o, job->ids.n, &job->windows, err));
    PD_TRY(open_session(job, &job->side, err));
    if (!job->has_reference) return PD_OK;
    PD_TRY(open_reference(job, err));
    PD_TRY(check_reference(job, err));
    return open_session(job, &job->reference, err);
}

static void close_all(score_job *job) {
    cli_interrupt_watch(NULL);
    pd_session_destroy(job->side.session);
    pd_session_destroy(job->reference.session);
    if (job->reference.model != job->side.model) pd_model_close(job->reference.model);
    pd_model_close(job->side.model);
}

static pd_status report(const score_job *job, pd_error *err) {
    if (cli_given(job->o, OPT_JSON))
        PD_TRY(score_print_json(job, err));
    else
        score_print(job);
    return cli_check_stdout(err);
}

/* The file of single tokens is opened before the long work, and appears with its end. */
static pd_status score_to(score_job *job, const char *path, pd_error *err) {
    pd_file_writer writer;
    if (!path) return score_all(job, err);
    PD_TRY(pd_file_writer_open(path, &writer, err));
    pd_status status = score_all(job, err);
    if (status == PD_OK) status = score_write_items(job, &writer, err);
    if (status == PD_OK) return pd_file_writer_commit(&writer, err);
    pd_file_writer_abort(&writer);
    return status;
}

pd_status cli_score(const cli_options *o, pd_error *err) {
    score_job job = {.o = o};
    pd_status status;
    if (cli_given(o, OPT_CHOICES)) return score_choices(o, err);
    PD_TRY_GOTO(read_input(&job, err));
    PD_TRY_GOTO(open_all(&job, err));
    cli_interrupt_watch(job.side.session);
    PD_TRY_GOTO(score_to(&job, cli_text(o, OPT_SCORE_OUTPUT), err));
    status = report(&job, err);
done:
    close_all(&job);
    pd_free(job.items);
    pd_free(job.window_ids);
    pd_free(job.ids.ids);
    pd_free(job.text);
    return status;
}
