/* One `peridot run` from prompt to timings.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_RUN_H
#define PD_CLI_RUN_H

#include "cli/images.h"

typedef struct run_job {
    const cli_options *o;
    char *text; /* the prompt */
    size_t n_text;
    cli_images images;
    pd_model *model;
    pd_session *session;
    pd_precision precision;
    uint32_t *ids; /* [n_ids] */
    size_t n_ids;
    uint64_t n_prompt;           /* positions: an image has many */
    uint64_t n_max, n_generated; /* tokens to generate at most; generated so far */
    bool limited_by_context;     /* n_max is what the context leaves, not what -n says */
    bool context_full;           /* generation ended there */
    pd_sampler sampler;
    pd_detokenizer detokenizer;
    char last_byte;                       /* written to standard output */
    uint64_t start_ns, first_ns, last_ns; /* prompt handed over; first and last token drawn */
    uint64_t prompt_ns;                   /* prompt computed */
} run_job;

/* timings.c: the block on standard error. */
void run_print_timings(const run_job *job);

#endif
