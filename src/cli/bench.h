/* One row of `peridot bench`, measured and printed.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_BENCH_H
#define PD_CLI_BENCH_H

#include "cli/commands.h"

/* Field names and their meaning are llama-bench's, so that its readers read ours. */
typedef struct bench_row {
    uint32_t n_prompt, n_gen, n_depth, n_batch;
    char test_time[32]; /* "2025-01-31T12:00:00Z", when it began */
    uint64_t *samples_ns;
    uint32_t n_samples;
    double avg_ns, stddev_ns;
    double avg_ts, stddev_ts; /* (n_prompt + n_gen) per second, of each sample */
} bench_row;

typedef struct bench_context {
    const cli_options *o;
    const pd_model *model;
    const char *build_commit;
    pd_precision precision;
    uint32_t n_threads;
    char cpu_info[256];
    uint32_t n_printed; /* rows so far */
} bench_context;

double bench_sample_ts(const bench_row *row, uint32_t i);
/* "pp512", "tg128", "pp512+tg128", "pp512 @ d4096"; out: at least 64 bytes. */
void bench_test_name(const bench_row *row, char *out);

/* bench_report.c: in the format of --output. */
void bench_print_begin(bench_context *c);
pd_status bench_print_row(bench_context *c, const bench_row *row, pd_error *err);
void bench_print_end(bench_context *c);

/* bench_head.c: on standard error, nothing without --head. */
pd_status bench_print_head_cost(const bench_context *c, pd_model *model, pd_error *err);

/* bench_profile.c */
pd_status bench_print_profile(pd_session *session, const char *test_name, pd_error *err);

#endif
