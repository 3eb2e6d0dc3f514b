/* One row of `peridot bench`, measured and printed.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_BENCH_H
#define PD_CLI_BENCH_H

#include "cli/profile.h"

/* Field names and their meaning are llama-bench's, so that its readers read ours. */
typedef struct bench_row {
    uint32_t n_prompt, n_gen, n_depth;
    uint32_t n_batch;   /* prompt tokens handed over at once */
    uint32_t n_ubatch;  /* prompt tokens of a step */
    char test_time[32]; /* "2025-01-31T12:00:00Z", when it began */
    uint64_t *samples_ns;
    uint32_t n_samples;
    double avg_ns, stddev_ns;
    double avg_ts, stddev_ts; /* (n_prompt + n_gen) per second, of each sample */
    pd_step_counts step;      /* of the steps it consists of, or ends with */
    cli_profile profile;      /* of its last step; n = 0: none was asked for */
} bench_row;

typedef struct bench_trace bench_trace;

typedef struct bench_context {
    const cli_options *o;
    pd_model *model;
    const char *build_commit;
    pd_precision precision;
    uint32_t n_threads;
    char cpu_info[256];
    pd_device_speed speed;                   /* for profiles */
    bench_trace *trace;                      /* NULL: none */
    pd_step_counts decode_step, prompt_step; /* of the last test that had such */
    uint32_t n_printed;                      /* rows so far */
    bool started; /* the first prompt is computed: what follows is known */
    uint64_t pipelines_ns, prompt_ns, token_ns; /* of the first session, its prompt and token */
    pd_build_stats build;
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

/* bench_profile.c: the session's last step, into row->profile and the trace. */
pd_status bench_take_profile(bench_context *c, pd_session *session, bench_row *row, pd_error *err);
/* As a table on standard error. */
void bench_print_profile(const bench_context *c, const bench_row *row);

/* bench_trace.c: a file for Perfetto and chrome://tracing. */
pd_status bench_trace_open(const char *path, bench_trace **out, pd_error *err);
/* What follows belongs to this test. */
void bench_trace_begin(bench_trace *t, const char *test_name);
void bench_trace_add(bench_trace *t, const pd_profile_op *op);
/* Frees the trace; the file appears only when `keep` and nothing failed. */
pd_status bench_trace_close(bench_trace *t, bool keep, pd_error *err);

#endif
