/* How probable a text is to a model, and how far the model is from another one.
 *
 * Windows are those of llama-perplexity, so that figures can be compared: without a stride, windows
 * one behind the other, whose second halves are scored; with a stride S, windows of S / 2 more that
 * begin every S tokens and score their last S. A text that is shorter than a window is one, and is
 * scored as a whole.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MEASURE_SCORE_H
#define PD_MEASURE_SCORE_H

#include "base/thread.h"
#include "measure/stats.h"
#include "peridot_measure.h"

/* The text is read in windows of so many tokens, each from an empty context and beginning with
 * <bos>. A position is scored by what it says of the token behind it. */
typedef struct pd_score_windows {
    uint32_t length, step; /* tokens of a window, and from one window's start to the next one's */
    uint32_t first;        /* the first position of a window that is scored; the last has no next */
    uint32_t n;
} pd_score_windows;

typedef struct pd_score_windows_desc {
    uint32_t length;    /* above 0 */
    uint32_t stride;    /* 0: none */
    uint32_t n_windows; /* at most; 0: all */
    bool whole;         /* score every token of a window but the first */
} pd_score_windows_desc;

/* The windows of a text of n tokens, n > 1. Errors: ARGUMENT (a stride that is no shorter than the
 * window, a text beyond all bounds). */
pd_status pd_score_plan_windows(const pd_score_windows_desc *desc, size_t n, pd_score_windows *out,
                                pd_error *err);

static inline uint32_t pd_score_per_window(const pd_score_windows *w) {
    return w->length - 1 - w->first;
}

/* A token of the text and what the model, and the reference if there is one, made of it. */
typedef struct pd_score_item {
    uint32_t window, position; /* of the token in its window */
    uint32_t id, best;         /* the token, and the most probable one */
    float log_prob;
    uint32_t reference_best;
    float reference_log_prob;
    double kl; /* KL(reference || model), nats */
} pd_score_item;

/* Sessions have room for a window, and all_logits. */
typedef struct pd_score_job {
    const pd_model *model, *reference_model;
    pd_session *session, *reference; /* reference NULL: none */
    const uint32_t *ids;             /* of the text: [enough for the windows] */
    pd_score_windows windows;
    uint32_t n_threads; /* for comparing; 0: one per core */
    /* Called behind every window. Return false to stop (CANCELLED). */
    pd_prompt_progress_fn progress;
    void *progress_ctx;
} pd_score_job;

/* items: [windows.n * pd_score_per_window], window by window. Errors: those of the sessions,
 * MEMORY_HOST, CANCELLED. */
pd_status pd_score_run(const pd_score_job *job, pd_score_item *items, pd_error *err);

/* score_pair.c: the items of a window by both models; ids: [windows.length] */
pd_status pd_score_pair_window(const pd_score_job *job, const uint32_t *ids, pd_pool *pool,
                               pd_score_item *items, pd_error *err);

/* ---- what it comes to ----------------------------------------------------------------------- */

/* X(share, name, key) of the divergences' quantiles */
#define PD_SCORE_QUANTILES(X)                                                                      \
    X(0.5, "median", "kl_median")                                                                  \
    X(0.9, "90 %", "kl_p90")                                                                       \
    X(0.99, "99 %", "kl_p99")                                                                      \
    X(1.0, "largest", "kl_max")
enum { PD_SCORE_N_QUANTILES = 4 };

typedef struct pd_perplexity {
    double value; /* exp(mean negative log-probability) */
    double error; /* by the law of propagation from the standard error of that mean */
    pd_stats nll; /* nats a token */
} pd_perplexity;

/* What stands behind is_best is of two models, and else 0. */
typedef struct pd_score_summary {
    pd_perplexity perplexity;
    pd_stats is_best; /* the token is the most probable one: 1, else 0 */
    pd_perplexity reference;
    pd_perplexity ratio; /* the model's over the reference's, from the differences a token */
    pd_stats same_best, kl, probability_change;
    double kl_quantiles[PD_SCORE_N_QUANTILES]; /* NaN when there was no memory */
} pd_score_summary;

pd_score_summary pd_score_summarise(const pd_score_item *items, uint32_t n, bool has_reference);

#endif
