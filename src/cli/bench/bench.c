/* `peridot bench`: the tests that the options ask for, each in a session of its own;
 * measure/bench.h says what they are.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/bench/bench.h"

#include "base/numbers.h"
#include "base/thread.h"
#include "measure/devices.h"
#include "measure/head_text.h"

enum { MAX_TOKENS = 1 << 20 };

/* ---- one test ------------------------------------------------------------------------------- */

static void note_start(bench_context *c, const pd_bench_result *r, const pd_session_stats *stats) {
    c->decode_step = stats->decode_step;
    if (stats->prompt_step.n_dispatches) c->prompt_step = stats->prompt_step;
    if (c->started) return;
    c->started = true;
    c->build = stats->build;
    c->start = (cli_start){stats->compile_ns, r->prompt_ns, r->token_ns, &c->build};
}

/* Where the last step went. */
static pd_status profile(bench_context *c, pd_session *session, pd_error *err) {
    char name[64];
    pd_bench_name(&c->row.test, name);
    cli_profile p = {&c->row.profile, c->trace};
    if (c->trace) pd_trace_begin(c->trace, name);
    PD_TRY(pd_session_profile(session, cli_profile_add, &p, err));
    return cli_check_interrupt(err);
}

/* A cli_session_fn. */
static pd_status measure(void *ctx, pd_session *session, pd_error *err) {
    bench_context *c = ctx;
    PD_TRY(pd_bench_run(&c->row.test, c->model, session, &c->row.result, err));
    note_start(c, &c->row.result, pd_session_get_stats(session));
    if (cli_given(c->o, OPT_BENCH_PROFILE) || c->trace) PD_TRY(profile(c, session, err));
    PD_TRY(bench_print_row(c, err));
    return cli_check_stdout(err); /* the next test may take minutes, for nobody */
}

/* A pd_bench_fn. */
static pd_status run_test(void *ctx, const pd_bench_test *test, pd_error *err) {
    bench_context *c = ctx;
    pd_bench_result *result = &c->row.result;
    pd_session_desc desc =
        pd_bench_session(test, pd_model_get_info(c->model)->n_ctx_train, c->precision);
    c->row = (bench_row){.test = *test, .result.n_samples = cli_u32(c->o, OPT_BENCH_REPEAT)};
    result->samples_ns = pd_alloc(result->n_samples, sizeof *result->samples_ns);
    if (!result->samples_ns)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the test's times");
    pd_status status = cli_with_session(c->model, &desc, measure, c, err);
    pd_free(result->samples_ns);
    return status;
}

/* ---- the head ------------------------------------------------------------------------------- */

/* A cli_session_fn. */
static pd_status compare_heads(void *ctx, pd_session *session, pd_error *err) {
    const bench_context *c = ctx;
    PD_TRY(pd_head_text_sync(c->model, session, err));
    return cli_print_head_cost(c->o, session, c->model, err);
}

/* What --head costs, on a text of its own: benchmarks have no prompt. */
static pd_status print_head_cost(bench_context *c, pd_error *err) {
    if (cli_head(c->o) == PD_HEAD_KEEP) return PD_OK;
    pd_session_desc desc = pd_head_text_session(c->model, c->precision);
    return cli_with_session(c->model, &desc, compare_heads, c, err);
}

/* ---- all tests ------------------------------------------------------------------------------ */

static pd_status read_list(const cli_options *o, cli_option_id id, uint32_t min, pd_bench_list *out,
                           pd_error *err) {
    const char *text = cli_text(o, id);
    if (!text) return PD_OK;
    return pd_numbers_parse(cli_option_get(id)->name, text, min, MAX_TOKENS, &out->values, &out->n,
                            err);
}

static pd_status read_lists(const cli_options *o, pd_bench_lists *l, pd_error *err) {
    PD_TRY(read_list(o, OPT_BENCH_PROMPT, 0, &l->prompts, err));
    PD_TRY(read_list(o, OPT_BENCH_GEN, 0, &l->gens, err));
    PD_TRY(read_list(o, OPT_BENCH_PG, 0, &l->pairs, err));
    PD_TRY(read_list(o, OPT_BENCH_DEPTH, 0, &l->depths, err));
    PD_TRY(read_list(o, OPT_BENCH_BATCH, 1, &l->batches, err));
    PD_TRY(read_list(o, OPT_BENCH_UBATCH, 1, &l->ubatches, err));
    PD_TRY(read_list(o, OPT_BENCH_PARALLEL, 1, &l->parallels, err));
    PD_TRY(bench_parallel_check(o, l, err));
    if (l->pairs.n % 2 != 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--prompt-gen takes pairs P,G, but has %u numbers",
                        l->pairs.n);
    if (pd_bench_is_empty(l))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "there is nothing to measure: every length is 0");
    return PD_OK;
}

pd_status cli_bench(const cli_options *o, pd_error *err) {
    pd_bench_lists lists = {0};
    pd_model *model = NULL;
    pd_status status;
    PD_TRY_GOTO(read_lists(o, &lists, err));
    pd_session_desc largest =
        pd_bench_largest(&lists, cli_precision(o, OPT_PRECISION, PD_PRECISION_F16));
    PD_TRY_GOTO(cli_open_model_for(o, CLI_OPEN_ALL, &largest, &model, err));
    PD_TRY_GOTO(pd_bench_check(&lists, pd_model_get_info(model)->n_ctx_train, err));
    bench_context c = {.o = o,
                       .model = model,
                       .precision = cli_precision(o, OPT_PRECISION, PD_PRECISION_F16),
                       .n_threads =
                           cli_given(o, OPT_THREADS) ? cli_u32(o, OPT_THREADS) : pd_core_count()};
    pd_cpu_name(c.cpu_info, sizeof c.cpu_info);
    if (lists.parallels.n > 0) {
        status = bench_parallel(&c, &lists, err);
        goto done;
    }
    if (cli_given(o, OPT_BENCH_PROFILE)) PD_TRY_GOTO(pd_model_measure(model, &c.speed, err));
    if (cli_text(o, OPT_BENCH_TRACE))
        PD_TRY_GOTO(pd_trace_open(cli_text(o, OPT_BENCH_TRACE), &c.trace, err));
    bench_print_begin(&c);
    status = pd_bench_each(&lists, run_test, &c, err);
    bench_print_end(&c);
    if (c.trace) {
        pd_status closed = pd_trace_close(c.trace, status == PD_OK, status == PD_OK ? err : NULL);
        if (status == PD_OK) status = closed;
    }
    if (status == PD_OK) status = print_head_cost(&c, err);
done:
    pd_model_close(model);
    pd_bench_lists_free(&lists);
    return status;
}
