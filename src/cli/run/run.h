/* One `peridot run` from prompt to timings.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_RUN_H
#define PD_CLI_RUN_H

#include "cli/images.h"
#include "cli/json.h"

typedef struct run_job {
    const cli_options *o;
    char *text; /* the prompt */
    size_t n_text;
    char *system; /* instructions put in front of it, or NULL */
    size_t n_system;
    cli_images images;
    pd_model *model;
    pd_session *session;
    cli_progress progress; /* of the prompt */
    pd_precision precision;
    uint32_t *ids; /* [n_ids] */
    size_t n_ids;
    uint64_t n_prompt;           /* positions: an image has many */
    uint64_t n_max, n_generated; /* tokens to generate at most; generated so far */
    bool limited_by_context;     /* n_max is what the context leaves, not what -n says */
    bool context_full;           /* generation ended there */
    bool stopped;                /* ... by a token that ends a turn, or a stop string */
    pd_sampler sampler;
    cli_sampling sampling; /* the sampler's settings */
    pd_stop *stop;
    pd_detokenizer detokenizer;
    pd_bytes answer, answer_ids;          /* for --json: text, and uint32_t */
    cJSON *log_probs;                     /* for --logprobs */
    char last_byte;                       /* written to standard output */
    uint64_t start_ns, first_ns, last_ns; /* prompt handed over; first and last token drawn */
    uint64_t prompt_ns;                   /* prompt computed */
} run_job;

/* What a run comes to. Speeds are by the clock on the wall: the prompt's until the first token is
 * drawn, without the time of its images; generation's from there on. */
typedef struct run_figures {
    uint64_t n_prompt, n_generated;
    uint64_t prompt_ns, generated_ns;
    double prompt_speed, generated_speed; /* tokens a second; 0: no figure */
    bool has_logits;
    uint64_t logits_hash; /* of the last ones: by it two builds or devices can be compared */
} run_figures;

/* timings.c. Resumes a session that was cancelled. */
run_figures run_get_figures(const run_job *job);
/* On standard error: everything, one line, or nothing, as the options and the terminal have it. */
void run_print_timings(const run_job *job);

/* run_json.c: the whole run as one object. Errors: MEMORY_HOST. */
pd_status run_print_json(run_job *job, pd_status ended, pd_error *err);
/* One token more in job->log_probs. */
void run_add_log_probs(run_job *job, pd_log_prob drawn, const pd_log_prob *top, uint32_t n_top);

#endif
