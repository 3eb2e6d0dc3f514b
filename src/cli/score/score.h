/* Parts of `peridot score`.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_SCORE_H
#define PD_CLI_SCORE_H

#include "cli/json.h"
#include "measure/score.h"

typedef struct score_side {
    pd_model *model;
    pd_session *session;
    pd_precision precision;
} score_side;

typedef struct score_job {
    const cli_options *o;
    char *text; /* NULL when token ids were given */
    size_t n_text_bytes;
    cli_ids ids;
    pd_score_windows windows;
    score_side side, reference;
    bool has_reference;
    pd_score_item *items; /* [n_items], window by window */
    uint32_t n_items;     /* that are computed */
    cli_progress progress;
} score_job;

/* choices.c: `peridot score --choices`. Errors: FORMAT naming the first line that is not an item,
 * CONTEXT (an item is longer than --ctx-size), those of opening a model and computing. */
pd_status score_choices(const cli_options *o, pd_error *err);

/* score_report.c */
void score_add_model(cJSON *j, const pd_model *model, pd_precision precision);
void score_print(const score_job *job);
pd_status score_print_json(const score_job *job, pd_error *err);
/* One JSON object a line. */
pd_status score_write_items(const score_job *job, pd_file_writer *w, pd_error *err);

#endif
