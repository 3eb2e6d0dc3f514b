/* `peridot bench`: speed of prompts and of generation, measured as llama-bench measures it.
 *
 *     pp N    N tokens, handed over --batch-size at a time, computed --ubatch-size at a time
 *     tg N    N tokens, one step each, the next one being the most probable
 *     @ d D   D tokens are in the context before the clock starts
 *
 * Every test runs once without being timed and then --repetitions times. Runs differ in their first
 * timed token, so that nothing timed in one can serve the next. Generation is greedy, and what
 * comes back from the device is part of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/bench/bench.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/thread.h"

#ifndef PERIDOT_COMMIT
#define PERIDOT_COMMIT "unknown"
#endif

enum { MAX_TOKENS = 1 << 20 };

typedef struct number_list {
    uint32_t *values;
    uint32_t n;
} number_list;

typedef struct bench_lists {
    number_list prompts, gens, pairs, depths, batches, ubatches;
} bench_lists;

/* ---- one test ------------------------------------------------------------------------------- */

double bench_sample_ts(const bench_row *row, uint32_t i) {
    return row->samples_ns[i] ? 1e9 * (row->n_prompt + row->n_gen) / (double)row->samples_ns[i] : 0;
}

static void finish_row(bench_row *row) {
    double n = row->n_samples, ns = 0, ts = 0, ns2 = 0, ts2 = 0;
    for (uint32_t i = 0; i < row->n_samples; i++) {
        ns += (double)row->samples_ns[i] / n;
        ts += bench_sample_ts(row, i) / n;
    }
    for (uint32_t i = 0; i < row->n_samples; i++) {
        ns2 += pow((double)row->samples_ns[i] - ns, 2);
        ts2 += pow(bench_sample_ts(row, i) - ts, 2);
    }
    row->avg_ns = ns;
    row->avg_ts = ts;
    row->stddev_ns = n > 1 ? sqrt(ns2 / (n - 1)) : 0;
    row->stddev_ts = n > 1 ? sqrt(ts2 / (n - 1)) : 0;
}

/* Ids that look like text: spread over the vocabulary, none of the control tokens at its start. */
static void fill_ids(uint32_t *ids, uint32_t n, uint32_t n_vocab) {
    uint32_t first = n_vocab > 1000 ? 494 : n_vocab / 2, x = 0x9E3779B9u;
    for (uint32_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        ids[i] = first + x / 256 % (n_vocab - first < 200000 ? n_vocab - first : 200000);
    }
}

/* Hands over ids[n_done..n), a batch at a time. */
static pd_status feed(pd_session *session, const bench_row *row, const uint32_t *ids,
                      uint32_t n_done, uint32_t n, pd_error *err) {
    while (n_done < n) {
        n_done += n - n_done < row->n_batch ? n - n_done : row->n_batch;
        PD_TRY(pd_session_sync(session, ids, n_done, err));
    }
    return PD_OK;
}

static void note_start(bench_context *c, pd_session *session, uint64_t prompt_ns,
                       uint64_t token_ns) {
    if (c->started) return;
    const pd_session_stats *stats = pd_session_get_stats(session);
    c->started = true;
    c->pipelines_ns = stats->compile_ns;
    c->build = stats->build;
    c->prompt_ns = prompt_ns;
    c->token_ns = token_ns;
}

/* The clock runs from the first token behind the depth to the last one. Without a prompt the first
 * generated token's step computes the id behind the depth. ids: [depth + p + 1] */
static pd_status time_once(bench_context *c, pd_session *session, const bench_row *row,
                           const uint32_t *ids, uint64_t *ns, pd_error *err) {
    uint32_t n = row->n_depth, n_drawn = row->n_gen, id;
    pd_sampler greedy = {0};
    if (n > 0) PD_TRY(pd_session_sync(session, ids, n, err));
    uint64_t start_ns = pd_clock_ns();
    if (row->n_prompt > 0) {
        PD_TRY(feed(session, row, ids, n, n + row->n_prompt, err));
        uint64_t fed_ns = pd_clock_ns();
        PD_TRY(pd_session_argmax(session, &id, err));
        note_start(c, session, fed_ns - start_ns, pd_clock_ns() - fed_ns);
        n_drawn++;
    } else {
        PD_TRY(pd_session_sync(session, ids, n + 1, err));
        note_start(c, session, 0, pd_clock_ns() - start_ns);
    }
    pd_generate_desc desc = {.n_max = n_drawn, .ignore_stop = true};
    if (row->n_gen > 0) PD_TRY(pd_session_generate(session, &greedy, &desc, err));
    *ns = pd_clock_ns() - start_ns;
    return PD_OK;
}

static pd_status measure(bench_context *c, pd_session *session, bench_row *row, uint32_t *ids,
                         pd_error *err) {
    uint32_t n_tokens = row->n_depth + row->n_prompt + row->n_gen;
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc))
        strftime(row->test_time, sizeof row->test_time, "%Y-%m-%dT%H:%M:%SZ", &utc);
    for (uint32_t i = 0; i <= row->n_samples; i++) {
        uint64_t ns = 0;
        fill_ids(ids, n_tokens + 1, pd_model_get_info(c->model)->n_vocab);
        ids[row->n_depth] = (ids[row->n_depth] + i) % pd_model_get_info(c->model)->n_vocab;
        PD_TRY(time_once(c, session, row, ids, &ns, err));
        if (i > 0) row->samples_ns[i - 1] = ns;
    }
    finish_row(row);
    const pd_session_stats *stats = pd_session_get_stats(session);
    c->decode_step = stats->decode_step;
    if (stats->prompt_step.n_dispatches) c->prompt_step = stats->prompt_step;
    row->step = row->n_gen || row->n_ubatch == 1 ? stats->decode_step : stats->prompt_step;
    if (cli_given(c->o, OPT_BENCH_PROFILE) || c->trace)
        PD_TRY(bench_take_profile(c, session, row, err));
    PD_TRY(bench_print_row(c, row, err));
    return cli_check_stdout(err); /* the next test may take minutes, for nobody */
}

static pd_status run_test(bench_context *c, pd_model *model, bench_row *row, pd_error *err) {
    uint64_t n_tokens = (uint64_t)row->n_depth + row->n_prompt + row->n_gen;
    uint32_t n_train = pd_model_get_info(model)->n_ctx_train;
    uint64_t n_ctx = pd_round_up(n_tokens, 256);
    pd_session_desc desc = {.n_ctx = n_ctx < n_train ? (uint32_t)n_ctx : n_train,
                            .n_chunk = row->n_ubatch,
                            .precision = c->precision};
    row->n_samples = cli_u32(c->o, OPT_BENCH_REPEAT);
    row->samples_ns = pd_alloc(row->n_samples, sizeof *row->samples_ns);
    uint32_t *ids = pd_alloc((size_t)n_tokens + 1, sizeof *ids);
    pd_session *session = NULL;
    pd_status status = PD_OK;
    if (!ids || !row->samples_ns)
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the test's tokens");
    if (status == PD_OK) status = pd_session_create(model, &desc, &session, err);
    cli_interrupt_watch(session);
    if (status == PD_OK) status = measure(c, session, row, ids, err);
    cli_interrupt_watch(NULL);
    pd_session_destroy(session);
    pd_free(ids);
    pd_free(row->samples_ns);
    row->samples_ns = NULL;
    return status;
}

/* ---- all tests ------------------------------------------------------------------------------ */

static uint32_t largest(const number_list *l) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < l->n; i++)
        if (l->values[i] > most) most = l->values[i];
    return most;
}

static pd_status read_list(const cli_options *o, cli_option_id id, uint32_t min, number_list *out,
                           pd_error *err) {
    const char *text = cli_text(o, id);
    if (!text) return PD_OK;
    return cli_parse_numbers(cli_option_get(id)->name, text, min, MAX_TOKENS, &out->values, &out->n,
                             err);
}

static pd_status read_lists(const cli_options *o, bench_lists *l, pd_error *err) {
    PD_TRY(read_list(o, OPT_BENCH_PROMPT, 0, &l->prompts, err));
    PD_TRY(read_list(o, OPT_BENCH_GEN, 0, &l->gens, err));
    PD_TRY(read_list(o, OPT_BENCH_PG, 0, &l->pairs, err));
    PD_TRY(read_list(o, OPT_BENCH_DEPTH, 0, &l->depths, err));
    PD_TRY(read_list(o, OPT_BENCH_BATCH, 1, &l->batches, err));
    PD_TRY(read_list(o, OPT_BENCH_UBATCH, 1, &l->ubatches, err));
    if (l->pairs.n % 2 != 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--prompt-gen takes pairs P,G, but has %u numbers",
                        l->pairs.n);
    if (!largest(&l->prompts) && !largest(&l->gens) && !largest(&l->pairs))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "there is nothing to measure: every length is 0");
    return PD_OK;
}

static void free_lists(bench_lists *l) {
    pd_free(l->prompts.values);
    pd_free(l->gens.values);
    pd_free(l->pairs.values);
    pd_free(l->depths.values);
    pd_free(l->batches.values);
    pd_free(l->ubatches.values);
}

static pd_status run_tests_at(bench_context *c, pd_model *model, const bench_lists *l,
                              bench_row row, pd_error *err) {
    for (uint32_t i = 0; i < l->prompts.n; i++) {
        row.n_prompt = l->prompts.values[i];
        if (row.n_prompt) PD_TRY(run_test(c, model, &row, err));
    }
    row.n_prompt = 0;
    for (uint32_t i = 0; i < l->gens.n; i++) {
        row.n_gen = l->gens.values[i];
        if (row.n_gen) PD_TRY(run_test(c, model, &row, err));
    }
    for (uint32_t i = 0; i + 1 < l->pairs.n; i += 2) {
        row.n_prompt = l->pairs.values[i];
        row.n_gen = l->pairs.values[i + 1];
        if (row.n_prompt + row.n_gen) PD_TRY(run_test(c, model, &row, err));
    }
    return PD_OK;
}

/* Refuses what cannot fit before anything is measured. */
static pd_status check_lengths(const bench_lists *l, uint32_t n_train, pd_error *err) {
    uint64_t most = largest(&l->prompts);
    if (largest(&l->gens) > most) most = largest(&l->gens);
    for (uint32_t i = 0; i + 1 < l->pairs.n; i += 2)
        if ((uint64_t)l->pairs.values[i] + l->pairs.values[i + 1] > most)
            most = (uint64_t)l->pairs.values[i] + l->pairs.values[i + 1];
    most += largest(&l->depths);
    if (most <= n_train) return PD_OK;
    return PD_RAISE(err, PD_ERR_CONTEXT, "the tests need %llu positions, but the model has %u",
                    (unsigned long long)most, n_train);
}

static pd_status run_tests(bench_context *c, pd_model *model, const bench_lists *l, pd_error *err) {
    uint32_t n_combinations = l->depths.n * l->batches.n * l->ubatches.n;
    for (uint32_t i = 0; i < n_combinations; i++) {
        uint32_t b = i / l->ubatches.n % l->batches.n;
        bench_row row = {.n_depth = l->depths.values[i / l->ubatches.n / l->batches.n],
                         .n_batch = l->batches.values[b],
                         .n_ubatch = l->ubatches.values[i % l->ubatches.n]};
        if (row.n_ubatch > row.n_batch) row.n_ubatch = row.n_batch;
        PD_TRY(run_tests_at(c, model, l, row, err));
    }
    return PD_OK;
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
    bench_lists lists = {0};
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
        PD_TRY_GOTO(bench_trace_open(cli_text(o, OPT_BENCH_TRACE), &c.trace, err));
    bench_print_begin(&c);
    status = run_tests(&c, model, &lists, err);
    bench_print_end(&c);
    if (c.trace) {
        pd_status closed =
            bench_trace_close(c.trace, status == PD_OK, status == PD_OK ? err : NULL);
        if (status == PD_OK) status = closed;
    }
    if (status == PD_OK) status = bench_print_head_cost(&c, model, err);
done:
    pd_model_close(model);
    free_lists(&lists);
    return status;
}
