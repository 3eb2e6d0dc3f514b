/* One `peridot run` from prompt to timings.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_RUN_H
#define PD_CLI_RUN_H

#include "cli/json.h"
#include "cli/prompt.h"
#include "measure/run_figures.h"

typedef struct run_job {
    const cli_options *o;
    cli_prompt prompt;
    pd_model *model;
    pd_session *session;
    cli_progress progress; /* of computing the prompt */
    pd_precision precision;
    pd_run_times times;
    uint64_t n_max;          /* tokens to generate at most */
    bool limited_by_context; /* n_max is what the context leaves, not what -n says */
    bool context_full;       /* generation ended there */
    bool stopped;            /* ... by a token that ends a turn, or a stop string */
    pd_sampler sampler;
    cli_sampling sampling; /* the sampler's settings */
    pd_stop *stop;
    pd_detokenizer detokenizer;
    pd_bytes answer, answer_ids; /* for --json: text, and uint32_t */
    cJSON *log_probs;            /* for --logprobs */
    char last_byte;              /* written to standard output */
} run_job;

/* timings.c. On standard error: everything, one line, or nothing, as the options and the terminal
 * have it. */
void run_print_timings(const run_job *job);

/* run_json.c: the whole run as one object. Errors: MEMORY_HOST. */
pd_status run_print_json(run_job *job, pd_status ended, pd_error *err);
/* One token more in job->log_probs. */
void run_add_log_probs(run_job *job, pd_log_prob drawn, const pd_log_prob *top, uint32_t n_top);

#endif
