/* `peridot run --json`: the answer and all that belongs to it. Times are in milliseconds, under the
 * names that llama.cpp's server gives them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>

#include "cli/run/run.h"

/* ---- log-probabilities ---------------------------------------------------------------------- */

static void add_log_prob(cJSON *j, const pd_model *model, pd_log_prob p) {
    cJSON_AddNumberToObject(j, "id", p.id);
    cJSON_AddItemToObject(j, "text", cli_token_json(model, p.id));
    cJSON_AddNumberToObject(j, "log_prob", (double)p.log_prob);
}

void run_add_log_probs(run_job *job, pd_log_prob drawn, const pd_log_prob *top, uint32_t n_top) {
    if (!job->log_probs) job->log_probs = cJSON_CreateArray();
    cJSON *j = cli_add_object(job->log_probs);
    add_log_prob(j, job->model, drawn);
    cJSON *list = cJSON_AddArrayToObject(j, "top");
    for (uint32_t i = 0; i < n_top; i++) add_log_prob(cli_add_object(list), job->model, top[i]);
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
    CLI_ADD_TEXTS(model, {"path", cli_text(job->o, OPT_MODEL)}, {"name", info->name},
                  {"size_label", info->size_label}, {"type", info->file_type});
    cJSON_AddNumberToObject(model, "n_params", (double)info->n_params);
    CLI_ADD_TEXTS(cJSON_AddObjectToObject(root, "device"), {"id", device->id},
                  {"name", device->name});
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

static void add_timings(cJSON *root, const run_job *job, const pd_run_figures *f) {
    const pd_vision_stats *images = pd_model_get_vision_stats(job->model);
    CLI_ADD_NUMBERS(cJSON_AddObjectToObject(root, "timings"),
                    {"load_ms", cli_ms(pd_model_get_load_stats(job->model)->total_ns)},
                    {"pipelines_ms", cli_ms(pd_session_get_stats(job->session)->compile_ns)},
                    {"images_ms", cli_ms(images->encode_ns + images->compile_ns)},
                    {"prompt_n", (double)f->n_prompt}, {"prompt_ms", cli_ms(f->prompt_ns)},
                    {"prompt_per_second", f->prompt_speed}, {"predicted_n", (double)f->n_generated},
                    {"predicted_ms", cli_ms(f->generated_ns)},
                    {"predicted_per_second", f->generated_speed});
}

pd_status run_print_json(run_job *job, pd_status ended, pd_error *err) {
    pd_run_figures f = pd_run_figures_of(&job->times, job->model, job->session);
    char hash[17];
    cJSON *root = cJSON_CreateObject(),
          *text = job->answer.failed ? NULL : cli_text_json(job->answer.data, job->answer.n);
    if (!text || job->answer_ids.failed) {
        cJSON_Delete(text);
        cJSON_Delete(root);
        return cli_print_json(NULL, err);
    }
    cJSON_AddItemToObject(root, "text", text);
    cli_add_ids(root, "ids", (const uint32_t *)(const void *)job->answer_ids.data,
                job->answer_ids.n / sizeof(uint32_t));
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
