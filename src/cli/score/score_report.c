/* What the scores come to, as text, as JSON, and token by token.
 *
 *     perplexity = exp(mean of -log_prob), its error by the law of propagation from the standard
 *     error of that mean
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/score/score.h"

/* ---- statistics ----------------------------------------------------------------------------- */

typedef struct score_mean {
    double mean, error, rms; /* error: standard error of the mean */
} score_mean;

typedef double (*score_value_fn)(const score_item *item);

static score_mean mean_of(const score_job *job, score_value_fn value) {
    double sum = 0, squares = 0, n = job->n_items;
    for (uint32_t i = 0; i < job->n_items; i++) {
        double v = value(&job->items[i]);
        sum += v;
        squares += v * v;
    }
    double mean = sum / n, variance = fmax(squares / n - mean * mean, 0);
    return (score_mean){mean, n > 1 ? sqrt(variance / (n - 1)) : 0, sqrt(squares / n)};
}

static double nll(const score_item *item) {
    return -(double)item->log_prob;
}
static double reference_nll(const score_item *item) {
    return -(double)item->reference_log_prob;
}
static double is_best(const score_item *item) {
    return item->id == item->best;
}
static double same_best(const score_item *item) {
    return item->best == item->reference_best;
}
static double kl(const score_item *item) {
    return item->kl;
}
static double nll_change(const score_item *item) {
    return nll(item) - reference_nll(item);
}
static double probability_change(const score_item *item) {
    return exp((double)item->log_prob) - exp((double)item->reference_log_prob);
}

typedef struct score_summary {
    score_mean nll, reference_nll, nll_change, is_best, same_best, kl, probability_change;
    double kl_quantiles[4]; /* those of `quantiles` */
} score_summary;

static const double quantiles[4] = {0.5, 0.9, 0.99, 1};
static const char *const quantile_names[4] = {"median", "90 %", "99 %", "largest"};

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest value that such a share of the items does not exceed. */
static void find_quantiles(const score_job *job, double *out) {
    double *sorted = pd_alloc(job->n_items, sizeof *sorted);
    for (uint32_t q = 0; q < 4; q++) out[q] = NAN;
    if (!sorted) return;
    for (uint32_t i = 0; i < job->n_items; i++) sorted[i] = job->items[i].kl;
    qsort(sorted, job->n_items, sizeof *sorted, compare_doubles);
    for (uint32_t q = 0; q < 4; q++) {
        uint32_t rank = (uint32_t)ceil(quantiles[q] * job->n_items);
        out[q] = sorted[rank > 0 ? rank - 1 : 0];
    }
    pd_free(sorted);
}

static score_summary summarise(const score_job *job) {
    score_summary s = {.nll = mean_of(job, nll), .is_best = mean_of(job, is_best)};
    if (!job->has_reference) return s;
    s.reference_nll = mean_of(job, reference_nll);
    s.nll_change = mean_of(job, nll_change);
    s.same_best = mean_of(job, same_best);
    s.kl = mean_of(job, kl);
    s.probability_change = mean_of(job, probability_change);
    find_quantiles(job, s.kl_quantiles);
    return s;
}

/* ---- as text -------------------------------------------------------------------------------- */

static void print_perplexity(const char *label, const score_side *side, const score_mean *m) {
    printf("%-12s%.4f +- %.4f  (%.5f nats a token; %s on %s, %s)\n", label, exp(m->mean),
           exp(m->mean) * m->error, m->mean, pd_model_get_info(side->model)->name,
           pd_model_get_device(side->model)->id, cli_precision_name(side->precision));
}

static void print_comparison(const score_summary *s) {
    printf("%-12s%.5f +- %.5f\n", "ratio", exp(s->nll_change.mean),
           exp(s->nll_change.mean) * s->nll_change.error);
    printf("%-12smean %.6f +- %.6f", "KL (nats)", s->kl.mean, s->kl.error);
    for (uint32_t q = 0; q < 4; q++) printf(", %s %.6f", quantile_names[q], s->kl_quantiles[q]);
    printf("\n%-12s%.2f +- %.2f %% of the positions\n", "same best", 100 * s->same_best.mean,
           100 * s->same_best.error);
    printf("%-12schanges by %+.3f +- %.3f %%, root mean square %.3f %%\n", "probability",
           100 * s->probability_change.mean, 100 * s->probability_change.error,
           100 * s->probability_change.rms);
}

void score_print(const score_job *job) {
    const score_windows *w = &job->windows;
    score_summary s = summarise(job);
    printf("%-12s%zu, of which %u are scored in %u window%s of %u\n", "tokens", job->ids.n,
           job->n_items, w->n, w->n == 1 ? "" : "s", w->length);
    print_perplexity("perplexity", &job->side, &s.nll);
    if (job->has_reference) print_perplexity("reference", &job->reference, &s.reference_nll);
    printf("%-12s%.2f %% of the scored tokens are the most probable ones\n", "best",
           100 * s.is_best.mean);
    if (job->has_reference) print_comparison(&s);
}

/* ---- as JSON -------------------------------------------------------------------------------- */

static void add_side(cJSON *root, const char *key, const score_side *side, const score_mean *m) {
    cJSON *j = cJSON_AddObjectToObject(root, key);
    cJSON_AddStringToObject(j, "model", pd_model_get_info(side->model)->name);
    cJSON_AddStringToObject(j, "device", pd_model_get_device(side->model)->id);
    cJSON_AddStringToObject(j, "precision", cli_precision_name(side->precision));
    cJSON_AddNumberToObject(j, "perplexity", exp(m->mean));
    cJSON_AddNumberToObject(j, "perplexity_error", exp(m->mean) * m->error);
    cJSON_AddNumberToObject(j, "nll", m->mean);
    cJSON_AddNumberToObject(j, "nll_error", m->error);
}

static void add_comparison(cJSON *root, const score_summary *s) {
    static const char *const keys[4] = {"kl_median", "kl_p90", "kl_p99", "kl_max"};
    cJSON_AddNumberToObject(root, "kl_mean", s->kl.mean);
    cJSON_AddNumberToObject(root, "kl_mean_error", s->kl.error);
    for (uint32_t q = 0; q < 4; q++) cJSON_AddNumberToObject(root, keys[q], s->kl_quantiles[q]);
    cJSON_AddNumberToObject(root, "same_best", s->same_best.mean);
    cJSON_AddNumberToObject(root, "perplexity_ratio", exp(s->nll_change.mean));
    cJSON_AddNumberToObject(root, "probability_change_mean", s->probability_change.mean);
    cJSON_AddNumberToObject(root, "probability_change_rms", s->probability_change.rms);
}

pd_status score_print_json(const score_job *job, pd_error *err) {
    score_summary s = summarise(job);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "tokens", (double)job->ids.n);
    cJSON_AddNumberToObject(root, "scored", job->n_items);
    cJSON_AddNumberToObject(root, "windows", job->windows.n);
    cJSON_AddNumberToObject(root, "window", job->windows.length);
    add_side(root, "model", &job->side, &s.nll);
    cJSON_AddNumberToObject(root, "best", s.is_best.mean);
    if (job->has_reference) {
        add_side(root, "reference", &job->reference, &s.reference_nll);
        add_comparison(root, &s);
    }
    return cli_print_json(root, err);
}

/* ---- token by token ------------------------------------------------------------------------- */

static cJSON *item_json(const score_job *job, const score_item *item) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddNumberToObject(j, "window", item->window);
    cJSON_AddNumberToObject(j, "position", item->position);
    cJSON_AddNumberToObject(j, "id", item->id);
    cJSON_AddItemToObject(j, "text", cli_token_json(job->side.model, item->id));
    cJSON_AddNumberToObject(j, "log_prob", (double)item->log_prob);
    cJSON_AddNumberToObject(j, "best", item->best);
    if (job->has_reference) {
        cJSON_AddNumberToObject(j, "reference_log_prob", (double)item->reference_log_prob);
        cJSON_AddNumberToObject(j, "reference_best", item->reference_best);
        cJSON_AddNumberToObject(j, "kl", item->kl);
    }
    return j;
}

pd_status score_write_items(const score_job *job, pd_file_writer *w, pd_error *err) {
    for (uint32_t i = 0; i < job->n_items; i++)
        PD_TRY(cli_write_json_line(w, item_json(job, &job->items[i]), err));
    return PD_OK;
}
