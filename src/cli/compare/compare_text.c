/* A comparison as tables for people.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "cli/compare/compare.h"

/* ---- operations ----------------------------------------------------------------------------- */

/* The worst, by its bound, of all layers' operations of a kind. */
static const pd_compare_op *worst_of(const pd_compare_ops *ops, const pd_compare_op *like) {
    const pd_compare_op *worst = NULL;
    for (uint32_t i = 0; i < ops->n; i++) {
        const pd_compare_op *op = &ops->list[i];
        bool alike = op->is_image == like->is_image && !strcmp(op->kind, like->kind) &&
                     !strcmp(op->part, like->part);
        if (!alike) continue;
        if (!worst || op->deviation.row_nmse / op->bound > worst->deviation.row_nmse / worst->bound)
            worst = op;
    }
    return worst;
}

/* Whether it is the first of its kind. */
static bool begins_kind(const pd_compare_ops *ops, uint32_t i) {
    const pd_compare_op *op = &ops->list[i];
    for (uint32_t k = 0; k < i; k++)
        if (ops->list[k].is_image == op->is_image && !strcmp(ops->list[k].kind, op->kind) &&
            !strcmp(ops->list[k].part, op->part))
            return false;
    return true;
}

static void print_op(const pd_compare_op *op) {
    const pd_deviation *d = &op->deviation;
    char kind[64], where[96] = "";
    snprintf(kind, sizeof kind, "%s%s %s", op->is_image ? "image " : "", op->kind, op->part);
    int n =
        snprintf(where, sizeof where, "%s, %s %u, column %u", op->name,
                 op->is_image ? "patch" : "position", op->first + d->worst_row, d->worst_column);
    if (op->head_dim > 0 && n > 0)
        snprintf(where + n, sizeof where - (size_t)n, " (head %u)", d->worst_column / op->head_dim);
    printf("  %-24s %8.1e  %8.1e  %8.1e  %s%s\n", kind, d->row_nmse, op->bound, d->worst,
           d->row_nmse > 0 ? where : "", pd_compare_op_holds(op) ? "" : "  <- beyond its bound");
}

static void print_ops(const pd_compare_ops *ops) {
    uint32_t n_within = 0;
    if (ops->n == 0) return;
    for (uint32_t i = 0; i < ops->n; i++) n_within += pd_compare_op_holds(&ops->list[i]);
    printf("  %u of %u results of operations are within their bounds\n\n", n_within, ops->n);
    printf("  %-24s %8s  %8s  %8s  %s\n", "operation", "NMSE", "bound", "worst",
           "where the worst value is");
    for (uint32_t i = 0; i < ops->n; i++)
        if (begins_kind(ops, i)) print_op(worst_of(ops, &ops->list[i]));
    printf("\n");
}

/* ---- probabilities and answers -------------------------------------------------------------- */

static void print_probabilities(const compare_device *d) {
    const pd_compare_summary *s = &d->summary;
    if (d->result.forced.n == 0) return;
    printf("  logits         off by %.2e (bound %.1e) over %u positions\n", s->error,
           s->error_bound, d->result.forced.n);
    printf("  probabilities  KL %.2e nats on average, at most %.2e; same best token %.0f of %u, "
           "worst rank %u; largest change %.3f %%\n",
           s->kl_mean, s->kl_max, s->same_best * d->result.forced.n, d->result.forced.n,
           s->worst_rank + 1, 100 * s->change);
    printf("  perplexity     %.5f of the reference's answer, the reference's own %.5f\n",
           s->perplexity, s->reference_perplexity);
}

/* In quotes, with control characters escaped; "the end" behind the last one. */
static void print_token(const compare_job *job, const pd_compare_answer *a, uint32_t i) {
    cJSON *text = i < a->n ? cli_token_json(job->job.reference->model, a->ids[i]) : NULL;
    char *quoted = text ? cJSON_PrintUnformatted(text) : NULL;
    printf("%s", quoted ? quoted : "the end");
    cJSON_free(quoted);
    cJSON_Delete(text);
}

static void print_answer(const compare_job *job, const compare_device *d, const char *label,
                         const pd_compare_answer *got, const pd_compare_answer *expected) {
    if (!got->ids) return;
    uint32_t at = pd_compare_parting(got, expected);
    printf("  %-14s ", label);
    if (at == UINT32_MAX) {
        printf("equal, %u tokens\n", got->n);
        return;
    }
    printf("parts at token %u of %u: ", at + 1, expected->n);
    print_token(job, got, at);
    printf(" instead of ");
    print_token(job, expected, at);
    if (expected == &job->job.reference->greedy && at < d->result.forced.n)
        printf(", whose lead was %.3f %%", 100 * d->result.forced.list[at].margin);
    printf("\n");
}

static void print_draws(const compare_device *d) {
    const pd_compare_result *r = &d->result;
    if (r->n_draws == 0) return;
    if (r->has_wrong_draw)
        printf("  draws          the %u. of %u is not what the host draws from the same logits\n",
               r->n_draws, r->side.drawn.n);
    else
        printf("  draws          all %u are what the host draws from the same logits\n",
               r->n_draws);
}

static double per_second(uint64_t n, uint64_t ns) {
    return ns > 0 ? (double)n * 1e9 / (double)ns : 0;
}

static void print_speed(const compare_job *job, const compare_device *d,
                        const pd_compare_side *side) {
    char size[32];
    printf("  speed          loaded in %.2f s, prompt %.1f tokens/s", cli_ms(d->load_ns) / 1e3,
           per_second(job->job.n_prompt, side->prompt_ns));
    if (side->image_ns > 0) printf(", image %.2f s", cli_ms(side->image_ns) / 1e3);
    if (side->greedy.n > 1)
        printf(", answer %.1f tokens/s", per_second(side->greedy.n - 1, side->greedy.ns));
    if (side->greedy.joules > 0 && side->greedy.n > 1)
        printf(", %.3f J a token (%s)", side->greedy.joules / (side->greedy.n - 1),
               side->energy_source);
    if (d->peak_bytes > 0) printf(", memory %s", pd_size_text(d->peak_bytes, size));
    printf("\n");
}

static void print_depths(const compare_device *d) {
    for (uint32_t i = 0; i < d->n_depths; i++)
        printf("  %-14s prompt %.1f tokens/s, answer %.1f tokens/s behind %u tokens\n",
               i ? "" : "depths", d->depths[i].prompt, d->depths[i].answer, d->depths[i].n_depth);
}

static void print_shares(const compare_device *d, const char *label, const pd_kind_profile *p) {
    if (p->n == 0 || d->speed.copy_gb_s <= 0) return;
    pd_profile_kind all = pd_profile_sum(p);
    double read = pd_profile_read_percent(&d->speed, &all);
    printf("  %-14s %.1f ms of operations one at a time, %.1f %% of the device's %s bandwidth, "
           "%.1f %% of its arithmetic\n",
           label, cli_ms(all.ns), read > 0 ? read : pd_profile_copy_percent(&d->speed, &all),
           read > 0 ? "read" : "copy", pd_profile_peak_percent(&d->speed, &all));
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void print_device(const compare_job *job, const compare_device *d) {
    const pd_compare_side *side = &d->result.side, *reference = job->job.reference;
    char text[512];
    printf("\n%s: %s", d->info.id[0] ? d->info.id : d->wish, d->info.name);
    if (d->info.driver[0]) printf(", %s", d->info.driver);
    printf("\n");
    print_ops(&d->result.ops);
    print_probabilities(d);
    print_answer(job, d, "greedy answer", &side->greedy, &reference->greedy);
    print_answer(job, d, "drawn answer", &side->drawn, &reference->drawn);
    print_draws(d);
    print_speed(job, d, side);
    print_depths(d);
    print_shares(d, "image", &d->result.image_profile);
    print_shares(d, "prompt", &d->result.prompt_profile);
    print_shares(d, "steps behind", &d->result.step_profile);
    compare_verdict(job, d, text, sizeof text);
    printf("  %s.\n", text);
}

void compare_print(const compare_job *job) {
    const pd_model_info *info = pd_model_get_info(job->job.reference->model);
    printf("%s %s, a prompt of %u positions and %u tokens behind it, precision %s\n", info->name,
           info->file_type, job->job.n_prompt, job->job.reference->greedy.n,
           cli_precision_name(job->job.precision));
    printf("reference %s: %s\n", job->reference.info.id, job->reference.info.name);
    print_speed(job, &job->reference, job->job.reference);
    for (uint32_t i = 0; i < job->n_devices; i++) print_device(job, &job->devices[i]);
}
