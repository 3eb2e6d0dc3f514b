/* `peridot bench`: the tests that the options ask for, each in a session of its own;
 * measure/bench.h says what they are.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/bench/bench.h"

#include <string.h>

#include "base/numbers.h"
#include "base/thread.h"

#ifndef PERIDOT_COMMIT
#define PERIDOT_COMMIT "unknown"
#endif

enum { MAX_TOKENS = 1 << 20 };

/* ---- one test ------------------------------------------------------------------------------- */

static void note_start(bench_context *c, const pd_bench_result *r, const pd_session_stats *stats) {
    c->decode_step = stats->decode_step;
    if (stats->prompt_step.n_dispatches) c->prompt_step = stats->prompt_step;
    if (c->started) return;
    c->started = true;
    c->pipelines_ns = stats->compile_ns;
    c->build = stats->build;
    c->prompt_ns = r->prompt_ns;
    c->token_ns = r->token_ns;
}

static pd_status measure(bench_context *c, pd_session *session, bench_row *row, pd_error *err) {
    PD_TRY(pd_bench_run(&row->test, c->model, session, &row->result, err));
    note_start(c, &row->result, pd_session_get_stats(session));
    if (cli_given(c->o, OPT_BENCH_PROFILE) || c->trace)
        PD_TRY(bench_take_profile(c, session, row, err));
    PD_TRY(bench_print_row(c, row, err));
    return cli_check_stdout(err); /* the next test may take minutes, for nobody */
}

/* A pd_bench_fn. */
static pd_status run_test(void *ctx, const pd_bench_test *test, pd_error *err) {
    bench_context *c = ctx;
    pd_session_desc desc = pd_bench_session(test, c->model, c->precision);
    bench_row row = {.test = *test, .result.n_samples = cli_u32(c->o, OPT_BENCH_REPEAT)};
    row.result.samples_ns = pd_alloc(row.result.n_samples, sizeof *row.result.samples_ns);
    if (!row.result.samples_ns)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the test's times");
    pd_session *session = NULL;
    pd_status status = pd_session_create(c->model, &desc, &session, err);
    cli_interrupt_watch(session);
    if (status == PD_OK) status = measure(c, session, &row, err);
    cli_interrupt_watch(NULL);
    pd_session_destroy(session);
    pd_free(row.result.samples_ns);
    return status;
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
    if (l->pairs.n % 2 != 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--prompt-gen takes pairs P,G, but has %u numbers",
                        l->pairs.n);
    if (pd_bench_longest(l) == 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "there is nothing to measure: every length is 0");
    return PD_OK;
}

static void free_lists(pd_bench_lists *l) {
    pd_free(l->prompts.values);
    pd_free(l->gens.values);
    pd_free(l->pairs.values);
    pd_free(l->depths.values);
    pd_free(l->batches.values);
    pd_free(l->ubatches.values);
}

/* Refuses what cannot fit before anything is measured. */
static pd_status check_lengths(const pd_bench_lists *l, uint32_t n_train, pd_error *err) {
    uint64_t most = pd_bench_longest(l) + pd_bench_depth(l);
    if (most <= n_train) return PD_OK;
    return PD_RAISE(err, PD_ERR_CONTEXT, "the tests need %llu positions, but the model has %u",
                    (unsigned long long)most, n_train);
}

/* The processor's name as the device list has it. */
static void find_cpu_name(char *out, size_t size) {
    pd_device_info list[2];
    uint32_t n = 0;
    out[0] = '\0';
    if (pd_device_list(list, 2, &n, NULL, NULL) != PD_OK) return;
    for (uint32_t i = 0; i < 2 && i < n; i++)
        if (list[i].kind == PD_DEVICE_CPU) snprintf(out, size, "%s", list[i].name);
}

pd_status cli_bench(const cli_options *o, pd_error *err) {
    pd_bench_lists lists = {0};
    pd_model *model = NULL;
    pd_status status;
    PD_TRY_GOTO(read_lists(o, &lists, err));
    PD_TRY_GOTO(cli_open_model(o, CLI_OPEN_ALL, &model, err));
    PD_TRY_GOTO(check_lengths(&lists, pd_model_get_info(model)->n_ctx_train, err));
    bench_context c = {.o = o,
                       .model = model,
                       .build_commit = PERIDOT_COMMIT,
                       .precision = cli_precision(o, PD_PRECISION_F16),
                       .n_threads =
                           cli_given(o, OPT_THREADS) ? cli_u32(o, OPT_THREADS) : pd_cpu_count()};
    find_cpu_name(c.cpu_info, sizeof c.cpu_info);
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
    if (status == PD_OK) status = bench_print_head_cost(&c, err);
done:
    pd_model_close(model);
    free_lists(&lists);
    return status;
}
