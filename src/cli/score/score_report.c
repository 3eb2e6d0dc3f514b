/* What the scores come to, as text, as JSON, and token by token.  SPDX-License-Identifier: MIT */
#include "cli/score/score.h"

/* ---- as text -------------------------------------------------------------------------------- */

static void print_perplexity(const char *label, const score_side *side, const pd_perplexity *p) {
    printf("%-12s%.4f +- %.4f  (%.5f nats a token; %s on %s, %s)\n", label, p->value, p->error,
           p->nll.mean, pd_model_get_info(side->model)->name, pd_model_get_device(side->model)->id,
           cli_precision_name(side->precision));
}

static void print_comparison(const pd_score_summary *s) {
    printf("%-12s%.5f +- %.5f\n", "ratio", s->ratio.value, s->ratio.error);
    printf("%-12smean %.6f +- %.6f", "KL (nats)", s->kl.mean, s->kl.error);
    const double *quantile = s->kl_quantiles;
#define PRINT_QUANTILE(share, name, key) printf(", %s %.6f", name, *quantile++);
    PD_SCORE_QUANTILES(PRINT_QUANTILE)
#undef PRINT_QUANTILE
    printf("\n%-12s%.2f +- %.2f %% of the positions\n", "same best", 100 * s->same_best.mean,
           100 * s->same_best.error);
    printf("%-12schanges by %+.3f +- %.3f %%, root mean square %.3f %%\n", "probability",
           100 * s->probability_change.mean, 100 * s->probability_change.error,
           100 * s->probability_change.rms);
}

void score_print(const score_job *job) {
    const pd_score_windows *w = &job->windows;
    pd_score_summary s = pd_score_summarise(job->items, job->n_items, job->has_reference);
    printf("%-12s%zu, of which %u are scored in %u window%s of %u\n", "tokens", job->ids.n,
           job->n_items, w->n, w->n == 1 ? "" : "s", w->length);
    print_perplexity("perplexity", &job->side, &s.perplexity);
    if (job->has_reference) print_perplexity("reference", &job->reference, &s.reference);
    printf("%-12s%.2f %% of the scored tokens are the most probable ones\n", "best",
           100 * s.is_best.mean);
    if (job->has_reference) print_comparison(&s);
}

/* ---- as JSON -------------------------------------------------------------------------------- */

void score_add_model(cJSON *j, const pd_model *model, pd_precision precision) {
    CLI_ADD_TEXTS(j, {"model", pd_model_get_info(model)->name},
                  {"device", pd_model_get_device(model)->id},
                  {"precision", cli_precision_name(precision)});
}

static void add_side(cJSON *root, const char *key, const score_side *side, const pd_perplexity *p) {
    cJSON *j = cJSON_AddObjectToObject(root, key);
    score_add_model(j, side->model, side->precision);
    CLI_ADD_NUMBERS(j, {"perplexity", p->value}, {"perplexity_error", p->error},
                    {"nll", p->nll.mean}, {"nll_error", p->nll.error});
}

static void add_comparison(cJSON *root, const pd_score_summary *s) {
    CLI_ADD_NUMBERS(root, {"kl_mean", s->kl.mean}, {"kl_mean_error", s->kl.error});
    const double *quantile = s->kl_quantiles;
#define ADD_QUANTILE(share, name, key) cJSON_AddNumberToObject(root, key, *quantile++);
    PD_SCORE_QUANTILES(ADD_QUANTILE)
#undef ADD_QUANTILE
    CLI_ADD_NUMBERS(root, {"same_best", s->same_best.mean}, {"perplexity_ratio", s->ratio.value},
                    {"probability_change_mean", s->probability_change.mean},
                    {"probability_change_rms", s->probability_change.rms});
}

pd_status score_print_json(const score_job *job, pd_error *err) {
    pd_score_summary s = pd_score_summarise(job->items, job->n_items, job->has_reference);
    cJSON *root = cJSON_CreateObject();
    CLI_ADD_NUMBERS(root, {"tokens", (double)job->ids.n}, {"scored", job->n_items},
                    {"windows", job->windows.n}, {"window", job->windows.length});
    add_side(root, "model", &job->side, &s.perplexity);
    cJSON_AddNumberToObject(root, "best", s.is_best.mean);
    if (job->has_reference) {
        add_side(root, "reference", &job->reference, &s.reference);
        add_comparison(root, &s);
    }
    return cli_print_json(root, err);
}

/* ---- token by token ------------------------------------------------------------------------- */

static cJSON *item_json(const score_job *job, const pd_score_item *item) {
    cJSON *j = cJSON_CreateObject();
    CLI_ADD_NUMBERS(j, {"window", item->window}, {"position", item->position}, {"id", item->id});
    cJSON_AddItemToObject(j, "text", cli_token_json(job->side.model, item->id));
    CLI_ADD_NUMBERS(j, {"log_prob", (double)item->log_prob}, {"best", item->best});
    if (job->has_reference) {
        CLI_ADD_NUMBERS(j, {"reference_log_prob", (double)item->reference_log_prob},
                        {"reference_best", item->reference_best}, {"kl", item->kl});
    }
    return j;
}

pd_status score_write_items(const score_job *job, pd_file_writer *w, pd_error *err) {
    for (uint32_t i = 0; i < job->n_items; i++)
        PD_TRY(cli_write_json_line(w, item_json(job, &job->items[i]), err));
    return PD_OK;
}
