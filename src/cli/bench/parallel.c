/* `peridot bench --parallel`: several sequences at once; measure/bench_parallel.h says what is
 * timed. Rows are llama-batched-bench's, and so are the names of fields.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/memory.h"
#include "cli/bench/bench.h"
#include "cli/json.h"
#include "measure/bench_parallel.h"

typedef struct parallel_row {
    pd_parallel_test test;
    pd_parallel_result result;
    double alone; /* generated tokens per second of one sequence; 0: not measured yet */
} parallel_row;

/* ---- what is asked for ---------------------------------------------------------------------- */

static uint32_t largest(const pd_bench_list *l) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < l->n; i++)
        if (l->values[i] > most) most = l->values[i];
    return most;
}

static bool has_below(const pd_bench_list *l, uint32_t least) {
    for (uint32_t i = 0; i < l->n; i++)
        if (l->values[i] < least) return true;
    return false;
}

pd_status bench_parallel_check(const cli_options *o, const pd_bench_lists *l, pd_error *err) {
    static const cli_option_id single[] = {OPT_BENCH_PG, OPT_BENCH_DEPTH, OPT_BENCH_BATCH,
                                           OPT_BENCH_PROFILE, OPT_BENCH_TRACE};
    if (l->parallels.n == 0) {
        if (!cli_given(o, OPT_BENCH_SHARED)) return PD_OK;
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--shared-prompt is used with --parallel");
    }
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        if (cli_given(o, single[i]))
            return PD_RAISE(err, PD_ERR_ARGUMENT, "%s and --parallel cannot be used together",
                            cli_option_get(single[i])->name);
    if (largest(&l->parallels) > PD_MAX_PARALLEL)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--parallel takes at most %d sequences at once",
                        PD_MAX_PARALLEL);
    if (has_below(&l->prompts, PD_PARALLEL_MIN_PROMPT) || has_below(&l->gens, 1))
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "--parallel needs prompts of %d tokens or more, and answers of one or more",
                        PD_PARALLEL_MIN_PROMPT);
    return PD_OK;
}

/* ---- rows ----------------------------------------------------------------------------------- */

typedef struct figures {
    double n_kv, t_pp, s_pp, t_tg, s_tg, t, s;
    double x1; /* speed of the answers over that of one; NaN: not known */
} figures;

static figures figures_of(const parallel_row *row) {
    const pd_parallel_test *t = &row->test;
    const pd_parallel_result *r = &row->result;
    figures f = {.n_kv = (double)pd_parallel_n_kv(t), .t_pp = r->prompt_s, .t_tg = r->gen_s};
    f.s_pp = (double)pd_parallel_n_prompt(t) / f.t_pp;
    f.s_tg = (double)t->n_gen * t->n_seqs / f.t_tg;
    f.t = f.t_pp + f.t_tg;
    f.s = f.n_kv / f.t;
    f.x1 = row->alone > 0 ? f.s_tg / row->alone : NAN;
    return f;
}

static void add_samples(cJSON *j, const char *name, const uint64_t *ns, uint32_t n) {
    cJSON *list = cJSON_AddArrayToObject(j, name);
    for (uint32_t i = 0; i < n; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber((double)ns[i] * 1e-9));
}

static cJSON *row_json(const bench_context *c, const parallel_row *row, bool with_samples) {
    const pd_parallel_test *t = &row->test;
    const pd_parallel_result *r = &row->result;
    figures f = figures_of(row);
    cJSON *j = cJSON_CreateObject();
    bench_add_model_fields(j, c);
    CLI_ADD_TEXTS(j, {"devices", pd_model_get_device(c->model)->id},
                  {"precision", cli_precision_name(c->precision)}, {"test_time", r->test_time});
    CLI_ADD_NUMBERS(j, {"n_threads", c->n_threads}, {"n_ubatch", t->n_ubatch},
                    {"is_pp_shared", t->shared_prompt}, {"pp", t->n_prompt}, {"tg", t->n_gen},
                    {"pl", t->n_seqs}, {"n_kv", f.n_kv}, {"t_pp", f.t_pp}, {"speed_pp", f.s_pp},
                    {"t_tg", f.t_tg}, {"speed_tg", f.s_tg}, {"t", f.t}, {"speed", f.s},
                    {"x1", f.x1}, {"stddev_speed_pp", r->prompt_stddev},
                    {"stddev_speed_tg", r->gen_stddev});
    if (!with_samples) return j;
    add_samples(j, "samples_t_pp", r->prompt_ns, r->n_samples);
    add_samples(j, "samples_t_tg", r->gen_ns, r->n_samples);
    return j;
}

static void print_markdown_begin(void) {
    printf("| %6s | %6s | %4s | %7s | %8s | %9s | %6s | %8s | %9s | %6s | %8s | %9s | %6s |\n",
           "PP", "TG", "B", "N_KV", "T_PP s", "S_PP t/s", "± t/s", "T_TG s", "S_TG t/s", "± t/s",
           "T s", "S t/s", "x1");
    printf("| -----: | -----: | ---: | ------: | -------: | --------: | -----: | -------: | "
           "--------: | -----: | -------: | --------: | -----: |\n");
}

static void print_markdown(const parallel_row *row) {
    const pd_parallel_test *t = &row->test;
    figures f = figures_of(row);
    char x1[16] = "";
    if (isfinite(f.x1)) snprintf(x1, sizeof x1, "%.2f", f.x1);
    printf("| %6u | %6u | %4u | %7.0f | %8.3f | %9.2f | %6.2f | %8.3f | %9.2f | %6.2f | %8.3f | "
           "%9.2f | %6s |\n",
           t->n_prompt, t->n_gen, t->n_seqs, f.n_kv, f.t_pp, f.s_pp, row->result.prompt_stddev,
           f.t_tg, f.s_tg, row->result.gen_stddev, f.t, f.s, x1);
}

static pd_status print_row(bench_context *c, const parallel_row *row, pd_error *err) {
    pd_status status = PD_OK;
    if (bench_prints(c, "md")) {
        print_markdown(row);
    } else {
        bool csv = bench_prints(c, "csv");
        cJSON *j = row_json(c, row, !csv);
        if (!csv)
            status = bench_print_json(c, j, err);
        else if (j)
            bench_print_csv(c, j);
        cJSON_Delete(j);
    }
    c->n_printed++;
    fflush(stdout);
    return status;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static pd_status measure(bench_context *c, parallel_row *row, pd_error *err) {
    const pd_parallel_test *t = &row->test;
    PD_TRY(pd_parallel_run(t, c->model, c->precision, cli_interrupt_flag(), &row->result, err));
    if (t->n_seqs == 1) row->alone = t->n_gen / row->result.gen_s;
    PD_TRY(print_row(c, row, err));
    return cli_check_stdout(err);
}

static pd_status run_test(bench_context *c, parallel_row *row, pd_error *err) {
    uint32_t n = cli_u32(c->o, OPT_BENCH_REPEAT);
    uint64_t *ns = pd_alloc((size_t)n * 2, sizeof *ns);
    if (!ns) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the test's times");
    row->result = (pd_parallel_result){.prompt_ns = ns, .gen_ns = ns + n, .n_samples = n};
    pd_status status = measure(c, row, err);
    pd_free(ns);
    return status;
}

typedef pd_status (*test_fn)(bench_context *c, parallel_row *row, pd_error *err);

/* A test_fn. */
static pd_status check_test(bench_context *c, parallel_row *row, pd_error *err) {
    return pd_parallel_check(&row->test, pd_model_get_info(c->model)->n_ctx_train, err);
}

static pd_status each(bench_context *c, const pd_bench_lists *l, test_fn fn, pd_error *err) {
    uint32_t n_lengths = l->ubatches.n * l->prompts.n * l->gens.n;
    for (uint32_t i = 0; i < n_lengths; i++) {
        parallel_row row = {.test = {.n_ubatch = l->ubatches.values[i / l->gens.n / l->prompts.n],
                                     .n_prompt = l->prompts.values[i / l->gens.n % l->prompts.n],
                                     .n_gen = l->gens.values[i % l->gens.n],
                                     .shared_prompt = cli_given(c->o, OPT_BENCH_SHARED)}};
        for (uint32_t k = 0; k < l->parallels.n; k++) {
            row.test.n_seqs = l->parallels.values[k];
            PD_TRY(fn(c, &row, err));
        }
    }
    return PD_OK;
}

pd_status bench_parallel(bench_context *c, const pd_bench_lists *lists, pd_error *err) {
    PD_TRY(each(c, lists, check_test, err));
    if (bench_prints(c, "json")) printf("[\n");
    if (bench_prints(c, "md")) print_markdown_begin();
    fflush(stdout);
    pd_status status = each(c, lists, run_test, err);
    if (bench_prints(c, "json")) printf("\n]\n");
    if (bench_prints(c, "md")) bench_print_build(c);
    return status;
}
