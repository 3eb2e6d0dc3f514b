/* `peridot run`: one prompt, one answer, streamed as it comes.
 *
 *     text --template--> ids --sync--> session --generate--> id, id, ... --detokenize--> text
 *     --stop strings--> stdout
 *
 * With --json nothing is written until the end, and then one object (run_json.c).
 *
 * Only whole characters are written. Generation ends at <eos> or <end_of_turn>, before a --stop
 * string, after -n tokens, when the context is full, or at Ctrl-C, which still leaves the timings.
 * The next token can be drawn as long as the tokens before it fit the context, so a prompt of p
 * tokens leaves room for n_ctx - p + 1.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/clock.h"
#include "cli/run/run.h"
#include "sample/biases.h"

/* ---- the context ---------------------------------------------------------------------------- */

/* What prompt and -n need, in steps of 256; without -n at least 8192 if the model has them. */
static uint32_t choose_context(const run_job *job) {
    enum { STEP = 256, OPEN_END = 8192 };
    uint32_t n_train = pd_model_get_info(job->model)->n_ctx_train;
    if (cli_given(job->o, OPT_CTX_SIZE)) {
        uint32_t wanted = cli_u32(job->o, OPT_CTX_SIZE);
        return wanted ? wanted : n_train;
    }
    int64_t n_predict = cli_int(job->o, OPT_PREDICT);
    uint64_t needed = job->times.n_prompt + (n_predict < 0 ? STEP : (uint64_t)n_predict);
    if (n_predict < 0 && needed < OPEN_END) needed = OPEN_END;
    needed = pd_round_up(needed, STEP);
    return needed < n_train ? (uint32_t)needed : n_train;
}

static pd_status raise_too_long(const run_job *job, uint32_t n_ctx, const pd_fit *fit,
                                pd_error *err) {
    char held[32], limit[32];
    uint32_t n_train = pd_model_get_info(job->model)->n_ctx_train;
    pd_status status =
        PD_RAISE(err, PD_ERR_CONTEXT, "the prompt has %llu tokens, but the context holds %u",
                 (unsigned long long)job->times.n_prompt, n_ctx);
    if (n_ctx < fit->n_ctx_wanted)
        pd_error_hint(err, status, "no larger context fits the memory: this one takes %s of %s",
                      pd_size_text(fit->bytes, held), pd_size_text(fit->limit_bytes, limit));
    else if (n_ctx < n_train)
        pd_error_hint(err, status, "a larger context is asked for with -c, up to %u", n_train);
    return status;
}

/* How many tokens may come. fit: all zero if the context was asked for. Errors: CONTEXT when the
 * prompt does not fit. */
static pd_status take_context(run_job *job, uint32_t n_ctx, const pd_fit *fit, pd_error *err) {
    if (job->times.n_prompt > n_ctx) return raise_too_long(job, n_ctx, fit, err);
    uint64_t room = (uint64_t)n_ctx - job->times.n_prompt + 1;
    int64_t n_predict = cli_int(job->o, OPT_PREDICT);
    job->limited_by_context = n_predict < 0 || (uint64_t)n_predict > room;
    job->n_max = job->limited_by_context ? room : (uint64_t)n_predict;
    return PD_OK;
}

static pd_status init_sampler(run_job *job, pd_error *err) {
    if (cli_given(job->o, OPT_LOG_PROBS) && !cli_given(job->o, OPT_JSON))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--logprobs needs --json");
    PD_TRY(cli_sampling_read(job->o, &job->sampling, err));
    return pd_sampler_init(&job->sampler, &job->sampling.desc, err);
}

/* ---- generation ----------------------------------------------------------------------------- */

static void print_text(run_job *job, char *text, size_t n) {
    if (n == 0) return;
    if (cli_given(job->o, OPT_JSON)) {
        pd_bytes_write(&job->answer, text, n);
        return;
    }
    cli_write_text(text, n);
    fflush(stdout);
    job->last_byte = text[n - 1];
}

static bool prints_ids(const run_job *job) {
    return cli_given(job->o, OPT_IDS) && !cli_given(job->o, OPT_JSON);
}

/* Prints what no stop string can begin with; true: one is complete. */
static bool take_text(run_job *job, const char *text, size_t n) {
    char shown[PD_DETOKENIZE_MAX_BYTES + PD_STOP_MAX_BYTES];
    size_t n_shown;
    bool ended = pd_stop_feed(job->stop, text, n, shown, &n_shown);
    if (!prints_ids(job)) print_text(job, shown, n_shown);
    return ended;
}

/* True: the text ends with it. */
static bool print_token(run_job *job, uint32_t id, bool stop) {
    char text[PD_DETOKENIZE_MAX_BYTES];
    if (cli_given(job->o, OPT_JSON)) pd_bytes_write(&job->answer_ids, &id, sizeof id);
    if (prints_ids(job)) {
        int n = snprintf(text, sizeof text, job->times.n_generated > 1 ? " %u" : "%u", id);
        print_text(job, text, (size_t)n);
    }
    if (stop && !cli_given(job->o, OPT_SHOW_SPECIAL)) return false;
    return take_text(job, text, pd_detokenize(job->model, &job->detokenizer, id, text));
}

static void print_end(run_job *job) {
    char text[PD_STOP_MAX_BYTES];
    bool json = cli_given(job->o, OPT_JSON);
    take_text(job, text, pd_detokenizer_flush(&job->detokenizer, text));
    size_t n_held = pd_stop_flush(job->stop, text);
    if (!prints_ids(job)) print_text(job, text, n_held);
    if (!json && job->times.n_generated > 0 && job->last_byte != '\n')
        print_text(job, (char[]){'\n'}, 1);
}

static bool on_token(void *ctx, uint32_t id) {
    run_job *job = ctx;
    uint64_t now_ns = pd_clock_ns();
    if (job->times.n_generated == 0) job->times.first_ns = now_ns;
    job->times.last_ns = now_ns;
    job->times.n_generated++;
    bool stop = pd_model_is_stop(job->model, id) && !cli_given(job->o, OPT_IGNORE_EOS);
    job->stopped = print_token(job, id, stop) || stop;
    job->context_full =
        !job->stopped && job->times.n_generated == job->n_max && job->limited_by_context;
    return !ferror(stdout) && !job->stopped;
}

static bool on_drawn(void *ctx, pd_log_prob drawn, const pd_log_prob *top, uint32_t n_top) {
    run_add_log_probs(ctx, drawn, top, n_top);
    return on_token(ctx, drawn.id);
}

static pd_status generate(run_job *job, pd_error *err) {
    job->times.start_ns = pd_clock_ns();
    pd_prompt prompt = cli_prompt_view(&job->prompt);
    cli_progress_begin(&job->progress, "prompt");
    pd_status status = pd_session_sync_prompt(job->session, &prompt, err);
    cli_progress_end(&job->progress);
    job->times.prompt_ns = job->times.first_ns = job->times.last_ns = pd_clock_ns();
    if (status != PD_OK || job->n_max == 0) return status;
    pd_generate_desc desc = {.n_max = (uint32_t)job->n_max,
                             .ignore_stop = cli_given(job->o, OPT_IGNORE_EOS),
                             .fn = on_token,
                             .fn_ctx = job,
                             .n_top = cli_u32(job->o, OPT_LOG_PROBS)};
    if (cli_given(job->o, OPT_LOG_PROBS)) desc.drawn_fn = on_drawn;
    return pd_session_generate(job->session, &job->sampler, &desc, err);
}

/* A cli_session_fn. Both a finished and a stopped generation end with their last characters and the
 * timings. */
static pd_status generate_and_report(void *ctx, pd_session *session, pd_error *err) {
    run_job *job = ctx;
    job->session = session;
    pd_detokenizer_init(&job->detokenizer);
    job->detokenizer.show_special = cli_given(job->o, OPT_SHOW_SPECIAL);
    pd_status status = generate(job, err);
    if (status != PD_OK && status != PD_ERR_CANCELLED) return status;
    print_end(job);
    if (job->context_full)
        fprintf(stderr, "peridot: the context of %u tokens is full; the answer may be cut\n",
                pd_session_n_ctx(session));
    run_print_timings(job);
    pd_error failure = {0};
    if (cli_given(job->o, OPT_JSON)) failure.status = run_print_json(job, status, &failure);
    return status == PD_OK ? pd_error_again(err, &failure) : status;
}

pd_status cli_run(const cli_options *o, pd_error *err) {
    run_job job = {.o = o};
    pd_status status;
    PD_TRY_GOTO(cli_prompt_read(o, &job.prompt, err));
    PD_TRY_GOTO(init_sampler(&job, err));
    PD_TRY_GOTO(cli_stop_create(o, &job.stop, err));
    PD_TRY_GOTO(cli_open_model(o, CLI_OPEN_ALL, &job.model, err));
    PD_TRY_GOTO(cli_sampling_bind(&job.sampling, job.model, err));
    job.sampler.desc.grammar = job.sampling.grammar;
    PD_TRY_GOTO(cli_prompt_encode(o, job.model, &job.prompt, err));
    pd_prompt prompt = cli_prompt_view(&job.prompt);
    job.times.n_prompt = pd_prompt_count(job.model, &prompt);
    pd_session_desc desc = cli_session(o, choose_context(&job));
    pd_fit fit = {0};
    if (!cli_given(o, OPT_CTX_SIZE)) PD_TRY_GOTO(cli_fit_session(job.model, &desc, &fit, err));
    PD_TRY_GOTO(take_context(&job, desc.n_ctx, &fit, err));
    cli_print_fit(o, &fit);
    desc.progress = cli_progress_update_tokens;
    desc.progress_ctx = &job.progress;
    job.precision = desc.precision;
    status = cli_with_session(job.model, &desc, generate_and_report, &job, err);
done:
    cli_sampling_free(&job.sampling);
    pd_model_close(job.model);
    cli_prompt_free(&job.prompt);
    pd_bytes_free(&job.answer);
    pd_bytes_free(&job.answer_ids);
    cJSON_Delete(job.log_probs);
    pd_stop_destroy(job.stop);
    return status;
}
