/* A comparison as JSON (docs/compare.md), and as a page that draws it.
 * SPDX-License-Identifier: MIT
 */
#include "cli/compare/compare.h"

#include <inttypes.h>
#include <string.h>

#include "cli/compare/report_page.h"

enum { SCHEMA_VERSION = 1 };

static void add_ops(cJSON *device, const pd_compare_ops *ops) {
    cJSON *list = cJSON_AddArrayToObject(device, "operations");
    for (uint32_t i = 0; i < ops->n; i++) {
        const pd_compare_op *op = &ops->list[i];
        const pd_deviation *d = &op->deviation;
        cJSON *j = cli_add_object(list);
        CLI_ADD_TEXTS(j, {"name", op->name}, {"kind", op->kind}, {"part", op->part});
        CLI_ADD_NUMBERS(j, {"layer", op->layer}, {"nmse", d->nmse}, {"row_nmse", d->row_nmse},
                        {"bound", op->bound}, {"worst", d->worst},
                        {"worst_position", op->first + d->worst_row},
                        {"worst_column", d->worst_column}, {"worst_got", (double)d->worst_got},
                        {"worst_expected", (double)d->worst_expected});
        if (op->head_dim > 0) CLI_ADD_NUMBERS(j, {"worst_head", d->worst_column / op->head_dim});
        cJSON_AddBoolToObject(j, "image", op->is_image);
        cJSON_AddBoolToObject(j, "holds", pd_compare_op_holds(op));
    }
}

static void add_forced(cJSON *device, const compare_job *job, const compare_device *d) {
    const pd_compare_summary *s = &d->summary;
    cJSON *j = cJSON_AddObjectToObject(device, "probabilities");
    CLI_ADD_NUMBERS(
        j, {"positions", d->result.forced.n}, {"kl_mean", s->kl_mean}, {"kl_max", s->kl_max},
        {"logits_error", s->error}, {"logits_bound", s->error_bound}, {"same_best", s->same_best},
        {"worst_rank", s->worst_rank + 1}, {"largest_change", s->change},
        {"perplexity", s->perplexity}, {"reference_perplexity", s->reference_perplexity});
    cJSON *list = cJSON_AddArrayToObject(j, "tokens");
    for (uint32_t i = 0; i < d->result.forced.n; i++) {
        const pd_compare_position *p = &d->result.forced.list[i];
        cJSON *t = cli_add_object(list);
        cJSON_AddItemToObject(t, "text", cli_token_json(job->job.reference->model, p->id));
        CLI_ADD_NUMBERS(t, {"id", p->id}, {"best", p->best}, {"rank", p->rank + 1}, {"kl", p->kl},
                        {"log_prob", p->log_prob}, {"reference_log_prob", p->reference_log_prob},
                        {"reference_lead", p->margin}, {"largest_change", p->change},
                        {"largest_change_id", p->change_id});
    }
}

/* Tokens, and their texts. */
static cJSON *add_tokens(cJSON *side, const compare_job *job, const char *key,
                         const pd_compare_answer *a) {
    cJSON *j = cJSON_AddObjectToObject(side, key);
    cli_add_ids(j, "ids", a->ids, a->n);
    cJSON *texts = cJSON_AddArrayToObject(j, "texts");
    for (uint32_t i = 0; i < a->n; i++)
        cJSON_AddItemToArray(texts, cli_token_json(job->job.reference->model, a->ids[i]));
    return j;
}

static void add_answer(cJSON *device, const compare_job *job, const char *key,
                       const pd_compare_answer *got, const pd_compare_answer *expected) {
    if (!got->ids) return;
    cJSON *j = add_tokens(device, job, key, got);
    uint32_t at = pd_compare_parting(got, expected);
    cJSON_AddBoolToObject(j, "equal", at == UINT32_MAX);
    if (at != UINT32_MAX) CLI_ADD_NUMBERS(j, {"parts_at", at});
}

static void add_draws(cJSON *device, const pd_compare_result *r) {
    cJSON *j = cJSON_AddObjectToObject(device, "draws");
    CLI_ADD_NUMBERS(j, {"checked", r->n_draws});
    cJSON_AddBoolToObject(j, "holds", !r->has_wrong_draw);
    if (r->has_wrong_draw) CLI_ADD_NUMBERS(j, {"right_id", r->right_draw});
}

static cJSON *side_json(const compare_device *d, const pd_compare_side *side) {
    cJSON *j = cJSON_CreateObject();
    CLI_ADD_TEXTS(j, {"device", d->info.id[0] ? d->info.id : d->wish}, {"name", d->info.name},
                  {"driver", d->info.driver}, {"uuid", d->info.uuid});
    CLI_ADD_NUMBERS(j, {"load_ms", cli_ms(d->load_ns)}, {"prompt_ms", cli_ms(side->prompt_ns)},
                    {"image_ms", cli_ms(side->image_ns)}, {"answer_ms", cli_ms(side->greedy.ns)},
                    {"memory_bytes", (double)d->peak_bytes});
    if (side->greedy.joules > 0 && side->greedy.n > 1) {
        CLI_ADD_NUMBERS(j, {"joules_per_token", side->greedy.joules / (side->greedy.n - 1)});
        CLI_ADD_TEXTS(j, {"energy_source", side->energy_source});
    }
    char hash[17];
    snprintf(hash, sizeof hash, "%016" PRIx64, side->logits_hash);
    if (side->logits_hash) CLI_ADD_TEXTS(j, {"logits_hash", hash});
    if (d->info.id[0]) cli_add_device(cJSON_AddObjectToObject(j, "info"), &d->info);
    return j;
}

static void add_profile(cJSON *device, const char *key, const compare_device *d,
                        const pd_kind_profile *p) {
    if (p->n == 0) return;
    cJSON *list = cJSON_AddArrayToObject(device, key);
    for (uint32_t i = 0; i < p->n; i++) {
        const pd_profile_kind *k = &p->kinds[i];
        cJSON *j = cli_add_object(list);
        CLI_ADD_TEXTS(j, {"kind", k->name});
        CLI_ADD_NUMBERS(j, {"ops", k->n_ops}, {"ms", cli_ms(k->ns)}, {"bytes", (double)k->bytes},
                        {"flops", k->flops});
        if (d->speed.copy_gb_s > 0)
            CLI_ADD_NUMBERS(j, {"copy_percent", pd_profile_copy_percent(&d->speed, k)},
                            {"read_percent", pd_profile_read_percent(&d->speed, k)},
                            {"peak_percent", pd_profile_peak_percent(&d->speed, k)});
    }
}

static void add_speed(cJSON *device, const pd_device_speed *s) {
    if (s->copy_gb_s <= 0) return;
    cJSON *j = cJSON_AddObjectToObject(device, "speed");
    CLI_ADD_NUMBERS(j, {"copy_gb_s", s->copy_gb_s}, {"read_gb_s", s->read_gb_s},
                    {"dispatch_us", s->dispatch_us}, {"barrier_us", s->barrier_us});
    for (int i = 0; i < PD_PEAK_COUNT; i++)
        if (s->gflop_s[i] > 0) cJSON_AddNumberToObject(j, pd_peak_name((pd_peak)i), s->gflop_s[i]);
}

static void add_depths(cJSON *device, const compare_device *d) {
    if (d->n_depths == 0) return;
    cJSON *list = cJSON_AddArrayToObject(device, "depths");
    for (uint32_t i = 0; i < d->n_depths; i++)
        CLI_ADD_NUMBERS(cli_add_object(list), {"n_depth", d->depths[i].n_depth},
                        {"prompt_per_second", d->depths[i].prompt},
                        {"answer_per_second", d->depths[i].answer});
}

static void add_device(cJSON *list, const compare_job *job, const compare_device *d) {
    const pd_compare_side *reference = job->job.reference;
    char verdict[512];
    cJSON *j = side_json(d, &d->result.side);
    cJSON_AddItemToArray(list, j);
    add_ops(j, &d->result.ops);
    add_forced(j, job, d);
    add_answer(j, job, "greedy", &d->result.side.greedy, &reference->greedy);
    add_answer(j, job, "drawn", &d->result.side.drawn, &reference->drawn);
    if (d->result.n_draws > 0) add_draws(j, &d->result);
    add_speed(j, &d->speed);
    add_depths(j, d);
    add_profile(j, "image_profile", d, &d->result.image_profile);
    add_profile(j, "prompt_profile", d, &d->result.prompt_profile);
    add_profile(j, "steps_profile", d, &d->result.step_profile);
    cJSON_AddBoolToObject(j, "complete", d->failure.status == PD_OK);
    cJSON_AddBoolToObject(j, "holds", compare_holds(d));
    if (d->failure.status != PD_OK) CLI_ADD_TEXTS(j, {"failure", d->failure.message});
    compare_verdict(job, d, verdict, sizeof verdict);
    CLI_ADD_TEXTS(j, {"verdict", verdict});
}

/* ---- all of it ------------------------------------------------------------------------------ */

static cJSON *report_json(const compare_job *job) {
    const pd_model_info *info = pd_model_get_info(job->job.reference->model);
    const pd_compare_side *side = job->job.reference;
    cJSON *root = cJSON_CreateObject();
    CLI_ADD_NUMBERS(root, {"schema", SCHEMA_VERSION});
    CLI_ADD_TEXTS(root, {"peridot", PD_VERSION_STRING}, {"commit", PERIDOT_COMMIT},
                  {"model", info->name}, {"file_type", info->file_type},
                  {"precision", cli_precision_name(job->job.precision)});
    CLI_ADD_NUMBERS(root, {"prompt_positions", job->job.n_prompt},
                    {"answer_tokens", side->greedy.n});
    cli_add_provenance(root, job->o);
    cJSON *reference = side_json(&job->reference, side);
    cJSON_AddItemToObject(root, "reference", reference);
    add_tokens(reference, job, "greedy", &side->greedy);
    if (side->drawn.ids) add_tokens(reference, job, "drawn", &side->drawn);
    cJSON *list = cJSON_AddArrayToObject(root, "devices");
    for (uint32_t i = 0; i < job->n_devices; i++) add_device(list, job, &job->devices[i]);
    return root;
}

pd_status compare_print_json(const compare_job *job, pd_error *err) {
    return cli_print_json(report_json(job), err);
}

/* ---- the page ------------------------------------------------------------------------------- */

/* In a script element nothing may look like its end. */
static void write_escaped(pd_file_writer *w, const char *text) {
    for (size_t n; *text; text += n) {
        n = strcspn(text, "<");
        pd_file_writer_write(w, text, n);
        if (text[n] == '<') {
            pd_file_writer_write(w, "\\u003c", 6);
            n++;
        }
    }
}

pd_status compare_write_page(void *ctx, pd_file_writer *w, pd_error *err) {
    static const char mark[] = "{{REPORT}}</script>";
    const compare_job *job = ctx;
    if (!w) return PD_OK;
    cJSON *root = report_json(job);
    char *text = root ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    if (!text) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a report");
    const char *at = strstr(compare_report_page, mark);
    pd_file_writer_write(w, compare_report_page, (size_t)(at - compare_report_page));
    write_escaped(w, text);
    at += strlen("{{REPORT}}");
    pd_file_writer_write(w, at, strlen(at));
    cJSON_free(text);
    return PD_OK;
}
