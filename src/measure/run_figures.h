/* What one generation comes to.  SPDX-License-Identifier: MIT */
#ifndef PD_MEASURE_RUN_FIGURES_H
#define PD_MEASURE_RUN_FIGURES_H

#include "peridot.h"

/* Taken down while it goes on. */
typedef struct pd_run_times {
    uint64_t n_prompt;          /* positions: an image has many */
    uint64_t n_generated;       /* tokens so far */
    uint64_t start_ns;          /* the prompt is handed over */
    uint64_t prompt_ns;         /* ... and computed */
    uint64_t first_ns, last_ns; /* first and last token drawn; prompt_ns while there is none */
} pd_run_times;

/* Speeds are by the clock on the wall: the prompt's until the first token is drawn, without the
 * time of its images; generation's from there on. */
typedef struct pd_run_figures {
    uint64_t n_prompt, n_generated;
    uint64_t prompt_ns, generated_ns;
    double prompt_speed, generated_speed; /* tokens a second; 0: no figure */
    bool has_logits;
    uint64_t logits_hash; /* of the last ones: by it two builds or devices can be compared */
} pd_run_figures;

/* Resumes a session that was cancelled. */
pd_run_figures pd_run_figures_of(const pd_run_times *t, const pd_model *model, pd_session *session);

#endif
