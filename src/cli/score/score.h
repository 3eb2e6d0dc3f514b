/* Parts of `peridot score`.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_SCORE_H
#define PD_CLI_SCORE_H

#include "base/file.h"
#include "base/thread.h"
#include "cli/commands.h"
#include "peridot_measure.h"

/* The text is read in windows of so many tokens, each from an empty context and beginning with
 * <bos>. A position is scored by what it says of the token behind it. */
typedef struct score_windows {
    uint32_t length, step; /* tokens of a window, and from one window's start to the next one's */
    uint32_t first;        /* the first position of a window that is scored; the last has no next */
    uint32_t n;
} score_windows;

/* A token of the text and what the model, and the reference if there is one, made of it. */
typedef struct score_item {
    uint32_t window, position; /* of the token in its window */
    uint32_t id, best;         /* the token, and the most probable one */
    float log_prob;
    uint32_t reference_best;
    float reference_log_prob;
    double kl; /* KL(reference || model), nats */
} score_item;

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
    score_windows windows;
    score_side side, reference;
    bool has_reference;
    uint32_t *window_ids; /* [windows.length] */
    score_item *items;    /* [n_items], window by window */
    uint32_t n_items;     /* that are computed */
    cli_progress progress;
} score_job;

static inline uint32_t score_per_window(const score_windows *w) {
    return w->length - 1 - w->first;
}

/* score_pair.c: the items of a window by both models; window_ids is filled in. */
pd_status score_pair_window(score_job *job, pd_pool *pool, score_item *items, pd_error *err);

/* score_report.c */
void score_print(const score_job *job);
pd_status score_print_json(const score_job *job, pd_error *err);
/* One JSON object a line. */
pd_status score_write_items(const score_job *job, pd_file_writer *w, pd_error *err);

#endif
