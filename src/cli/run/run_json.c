/* `peridot run --json`: the answer and all that belongs to it. Times are in milliseconds, under the
 * names that llama.cpp's server gives them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <string.h>

#include "cli/run/run.h"

static cJSON *ids_json(const pd_bytes *ids) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < ids->n; i += sizeof(uint32_t)) {
        uint32_t id;
        memcpy(&id, ids->data + i, sizeof id);
        cJSON_AddItemToArray(list, cJSON_CreateNumber(id));
    }
    return list;
}

/* ---- log-probabilities ---------------------------------------------------------------------- */

static cJSON *log_prob_json(const pd_model *model, pd_log_prob p) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddNumberToObject(j, "id", p.id);
    cJSON_AddItemToObject(j, "text", cli_token_json(model, p.id));
    cJSON_AddNumberToObject(j, "log_prob", (double)p.log_prob);
    return j;
}

void run_add_log_probs(run_job *job, pd_log_prob drawn, const pd_log_prob *top, uint32_t n_top) {
    if (!job->log_probs) job->log_probs = cJSON_CreateArray();
    cJSON *j = log_prob_json(job->model, drawn), *list = cJSON_AddArrayToObject(j, "top");
    for (uint32_t i = 0; i < n_top; i++)
        cJSON_AddItemToArray(list, log_prob_json(job->model, top[i]));
    cJSON_AddItemToArray(job->log_probs, j);
}

/* The list belongs to `root` afterwards; of no tokens there is an empty one. */
static void move_log_probs(cJSON *root, run_job *job) {
    if (!cli_given(job->o, OPT_LOG_PROBS)) return;
    cJSON_AddItemToObject(root, "log_probs", job->log_probs ? job->log_probs : cJSON_CreateArray());
    job->log_probs = NULL;
}

/* ---- the object ----------------------------------------------------------------------------- */

static void add_model(cJSON *root, const run_job *job) {
    const pd_model_info *info = pd_model_get_info(job->model);
    const pd_device_info *device = pd_model_get_device(job->model);
    cJSON *model = cJSON_AddObjectToObject(root, "model");
    cJSON_AddStringToObject(model, "path", cli_text(job->o, OPT_MODEL));
    cJSON_AddStringToObject(model, "name", info->name);
    cJSON_AddStringToObject(model, "size_label", info->size_label);
    cJSON_AddStringToObject(model, "type", info->file_type);
    cJSON_AddNumberToObject(model, "n_params", (double)info->n_params);
    cJSON *j = cJSON_AddObjectToObject(root, "device");
    cJSON_AddStringToObject(j, "id", device->id);
    cJSON_AddStringToObject(j, "name", device->name);
}

static void add_settings(cJSON *root, const run_job *job) {
    const pd_sampler_desc *d = &job->sampler.desc;
    cJSON *j = cJSON_AddObjectToObject(root, "settings");
#define ADD_SETTING(option, field)                                                                 \
    cJSON_AddNumberToObject(j, #field, cli_real(job->o, OPT_##option));
    CLI_SAMPLER_LIST(ADD_SETTING)
    CLI_PENALTY_LIST(ADD_SETTING)
#undef ADD_SETTING
    cJSON_AddNumberToObject(j, "repeat_last_n", (double)cli_int(job->o, OPT_REPEAT_LAST_N));
    cJSON_AddNumberToObject(j, "seed", (double)d->seed);
    cJSON_AddNumberToObject(j, "n_ctx", pd_session_n_ctx(job->session));
    cJSON_AddStringToObject(j, "precision", cli_precision_name(job->precision));
}

static void add_timings(cJSON *root, const run_job *job, const run_figures *f) {
    const pd_vision_stats *images = pd_model_get_vision_stats(job->model);
    const cli_number rows[] = {
        {"load_ms", (double)pd_model_get_load_stats(job->model)->total_ns / 1e6},
        {"pipelines_ms", (double)pd_session_get_stats(job->session)->compile_ns / 1e6},
        {"images_ms", (double)(images->encode_ns + images->compile_ns) / 1e6},
        {"prompt_n", (double)f->n_prompt},
        {"prompt_ms", (double)f->prompt_ns / 1e6},
        {"prompt_per_second", f->prompt_speed},
        {"predicted_n", (double)f->n_generated},
        {"predicted_ms", (double)f->generated_ns / 1e6},
        {"predicted_per_second", f->generated_speed}};
    cJSON *j = cJSON_AddObjectToObject(root, "timings");
    cli_add_numbers(j, rows, sizeof rows / sizeof *rows);
}

pd_status run_print_json(run_job *job, pd_status ended, pd_error *err) {
    run_figures f = run_get_figures(job);
    char hash[17];
    cJSON *root = cJSON_CreateObject(),
          *text = job->answer.failed ? NULL : cli_text_json(job->answer.data, job->answer.n);
    if (!text || job->answer_ids.failed) {
        cJSON_Delete(text);
        cJSON_Delete(root);
        return cli_print_json(NULL, err);
    }
    cJSON_AddItemToObject(root, "text", text);
    cJSON_AddItemToObject(root, "ids", ids_json(&job->answer_ids));
    move_log_probs(root, job);
    cJSON_AddStringToObject(root, "finish_reason",
                            ended != PD_OK ? "cancelled"
                            : job->stopped ? "stop"
                                           : "length");
    cJSON_AddBoolToObject(root, "context_full", job->context_full);
    add_model(root, job);
    add_settings(root, job);
    add_timings(root, job, &f);
    snprintf(hash, sizeof hash, "%016" PRIx64, f.logits_hash);
    if (f.has_logits) cJSON_AddStringToObject(root, "logits_hash", hash);
    return cli_print_json(root, err);
}
