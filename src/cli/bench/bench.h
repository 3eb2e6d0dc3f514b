/* One row of `peridot bench`, measured and printed.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_BENCH_H
#define PD_CLI_BENCH_H

#include <cjson/cJSON.h>

#include "cli/commands.h"
#include "measure/bench.h"
#include "measure/trace.h"

typedef struct bench_row {
    pd_bench_test test;
    pd_bench_result result;
    pd_kind_profile profile; /* of its last step; n = 0: none was asked for */
} bench_row;

typedef struct bench_context {
    const cli_options *o;
    pd_model *model;
    bench_row row; /* of the test at hand */
    pd_precision precision;
    uint32_t n_threads;
    char cpu_info[256];
    pd_trace *trace;                         /* NULL: none */
    pd_device_speed speed;                   /* for profiles */
    pd_step_counts decode_step, prompt_step; /* of the last test that had such */
    uint32_t n_printed;                      /* rows so far */
    bool started;    /* the first prompt is computed: what follows is known */
    cli_start start; /* of the first session, its prompt and token */
    pd_build_stats build;
} bench_context;

/* bench_report.c: in the format of --output. Names of fields and their meaning are llama-bench's,
 * so that its readers read ours. */
void bench_print_begin(bench_context *c);
pd_status bench_print_row(bench_context *c, pd_error *err);
void bench_print_end(bench_context *c);
/* What all kinds of rows have: whether --output is of that name, fields of the model, a row of
 * fields where it is a format with such, a line about the build. */
bool bench_prints(const bench_context *c, const char *format);
void bench_add_model_fields(cJSON *j, const bench_context *c);
pd_status bench_print_json(bench_context *c, const cJSON *j, pd_error *err);
void bench_print_csv(const bench_context *c, const cJSON *j);
void bench_print_build(const bench_context *c);

/* parallel.c: --parallel */

/* Errors: ARGUMENT (what --parallel cannot be used with, or not without). */
pd_status bench_parallel_check(const cli_options *o, const pd_bench_lists *lists, pd_error *err);
/* Every prompt's length with every answer's and every number of sequences, measured and printed.
 * Names of fields and their meaning are llama-batched-bench's. */
pd_status bench_parallel(bench_context *c, const pd_bench_lists *lists, pd_error *err);

#endif
