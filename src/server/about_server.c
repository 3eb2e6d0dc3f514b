/* What the server tells of itself and its model.  SPDX-License-Identifier: MIT */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "server/call.h"

/* ---- /health -------------------------------------------------------------------------------- */

void srv_health(const srv_context *c) {
    srv_engine *e = srv_engine_hold(c->server);
    if (e) {
        cJSON *j = cJSON_CreateObject();
        cJSON_AddStringToObject(j, "status", "ok");
        srv_send_json(c->reply, 200, j);
    } else {
        pd_http_send_error(c->reply, 503, "loading_model", "the model is being loaded");
    }
    srv_engine_release(e);
}

/* ---- /v1/models ----------------------------------------------------------------------------- */

static cJSON *model_json(const srv_context *c) {
    const pd_model_info *info = pd_model_get_info(c->engine->model);
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "id", c->server->name);
    cJSON_AddStringToObject(j, "object", "model");
    srv_add_count(j, "created", c->server->started);
    cJSON_AddStringToObject(j, "owned_by", "peridot");
    cJSON *meta = cJSON_AddObjectToObject(j, "meta");
    srv_add_count(meta, "n_vocab", info->n_vocab);
    srv_add_count(meta, "n_ctx", pd_batch_n_ctx(c->engine->batch));
    srv_add_count(meta, "n_ctx_train", info->n_ctx_train);
    srv_add_count(meta, "n_embd", info->n_embd);
    srv_add_count(meta, "n_params", info->n_params);
    srv_add_count(meta, "size", info->file_bytes);
    cJSON *inputs =
        cJSON_AddArrayToObject(cJSON_AddObjectToObject(j, "architecture"), "input_modalities");
    cJSON_AddItemToArray(inputs, cJSON_CreateString("text"));
    if (pd_model_get_vision(c->engine->model))
        cJSON_AddItemToArray(inputs, cJSON_CreateString("image"));
    return j;
}

void srv_models(const srv_context *c) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "object", "list");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(j, "data"), model_json(c));
    srv_send_json(c->reply, 200, j);
}

/* /v1/models/NAME */
void srv_model(const srv_context *c) {
    const char *name = strrchr(c->request->path, '/') + 1;
    if (strcmp(name, c->server->name) == 0)
        srv_send_json(c->reply, 200, model_json(c));
    else
        pd_http_send_error(c->reply, 404, "model_not_found", "there is no model %.64s here", name);
}

/* ---- /props --------------------------------------------------------------------------------- */

static void add_defaults(cJSON *j, const srv_context *c) {
    const pd_sampler_desc *d = &c->server->desc.sampler;
    cJSON *params = cJSON_AddObjectToObject(j, "params");
    srv_add_float(params, "temperature", d->temp);
    srv_add_count(params, "top_k", d->top_k);
    srv_add_float(params, "top_p", d->top_p);
    srv_add_float(params, "min_p", d->min_p);
    srv_add_float(params, "repeat_penalty", d->repeat_penalty > 0 ? d->repeat_penalty : 1);
    srv_add_float(params, "presence_penalty", d->presence_penalty);
    srv_add_float(params, "frequency_penalty", d->frequency_penalty);
    cJSON_AddNumberToObject(params, "n_predict",
                            c->server->desc.n_predict ? (double)c->server->desc.n_predict : -1);
}

void srv_props(const srv_context *c) {
    const pd_model *m = c->engine->model;
    const pd_device_info *device = pd_model_get_device(m);
    cJSON *j = cJSON_CreateObject(), *defaults;
    defaults = cJSON_AddObjectToObject(j, "default_generation_settings");
    srv_add_count(defaults, "n_ctx", pd_batch_n_ctx(c->engine->batch));
    add_defaults(defaults, c);
    srv_add_count(j, "total_slots", pd_batch_n_parallel(c->engine->batch));
    cJSON_AddStringToObject(j, "model_alias", c->server->name);
    const char *path = c->server->desc.path;
    if (path) srv_add_text(j, "model_path", path, strlen(path));
    cJSON *modalities = cJSON_AddObjectToObject(j, "modalities");
    cJSON_AddBoolToObject(modalities, "vision", pd_model_get_vision(m) != NULL);
    cJSON_AddBoolToObject(modalities, "audio", false);
    srv_add_token(j, "bos_token", m, PD_TOKEN_BOS);
    srv_add_token(j, "eos_token", m, PD_TOKEN_EOS);
    cJSON_AddStringToObject(j, "chat_template", srv_template);
    cJSON_AddStringToObject(j, "build_info", "peridot " PD_VERSION_STRING);
    cJSON_AddStringToObject(j, "device", device->id);
    cJSON_AddStringToObject(j, "device_name", device->name);
    cJSON_AddStringToObject(j, "file_type", pd_model_get_info(m)->file_type);
    cJSON_AddBoolToObject(j, "deterministic", c->server->desc.batch.deterministic);
    srv_send_json(c->reply, 200, j);
}

/* ---- /slots --------------------------------------------------------------------------------- */

/* How many places there are, and how many are taken: whose they are changes with every step. */
void srv_slots(const srv_context *c) {
    pd_batch_stats s;
    cJSON *list = cJSON_CreateArray();
    pd_batch_get_stats(c->engine->batch, &s);
    for (uint32_t i = 0; i < pd_batch_n_parallel(c->engine->batch); i++) {
        cJSON *j = cJSON_CreateObject();
        srv_add_count(j, "id", i);
        srv_add_count(j, "n_ctx", pd_batch_n_ctx(c->engine->batch));
        cJSON_AddBoolToObject(j, "is_processing", i < s.n_running);
        cJSON_AddItemToArray(list, j);
    }
    srv_send_json(c->reply, 200, list);
}

void srv_clear_cache(const srv_context *c) {
    cJSON *j = cJSON_CreateObject();
    pd_batch_clear(c->engine->batch);
    cJSON_AddBoolToObject(j, "success", true);
    srv_send_json(c->reply, 200, j);
}

void srv_embeddings(const srv_context *c) {
    pd_http_send_error(c->reply, 501, "unsupported",
                       "Gemma 3 generates text: it defines no embeddings of texts");
}

/* ---- /metrics ------------------------------------------------------------------------------- */

static void metric(pd_bytes *out, const char *kind, const char *name, const char *help,
                   double value) {
    pd_bytes_printf(out, "# HELP peridot:%s %s\n# TYPE peridot:%s %s\nperidot:%s %.17g\n", name,
                    help, name, kind, name, value);
}

static double per_second(uint64_t n, uint64_t ns) {
    return ns ? 1e9 * (double)n / (double)ns : 0;
}

static void tell_batch(pd_bytes *out, const pd_batch_stats *s) {
    static const char counter[] = "counter", gauge[] = "gauge";
    metric(out, counter, "prompt_tokens_total", "Prompt tokens computed", (double)s->n_prompt);
    metric(out, counter, "prompt_tokens_cached_total", "Prompt tokens that were known",
           (double)s->n_cached);
    metric(out, counter, "prompt_seconds_total", "Time of steps with prompts",
           (double)s->prompt_ns / 1e9);
    metric(out, counter, "tokens_predicted_total", "Tokens drawn", (double)s->n_drawn);
    metric(out, counter, "tokens_predicted_seconds_total", "Time of steps of answers alone",
           (double)s->decode_ns / 1e9);
    metric(out, counter, "n_decode_total", "Steps", (double)s->n_steps);
    metric(out, counter, "scored_tokens_total", "Prompt tokens with log-probabilities",
           (double)s->n_scored);
    metric(out, counter, "preempted_total", "Sequences that gave up their pages for another",
           (double)s->n_preempted);
    metric(out, gauge, "prompt_tokens_seconds", "Prompt tokens a second",
           per_second(s->n_prompt, s->prompt_ns));
    metric(out, gauge, "predicted_tokens_seconds", "Drawn tokens a second",
           per_second(s->n_drawn, s->decode_ns + s->prompt_ns));
    metric(out, gauge, "n_busy_slots_per_decode", "Answers in a step, on average",
           s->n_steps ? (double)s->n_step_rows / (double)s->n_steps : 0);
    metric(out, gauge, "requests_processing", "Sequences being computed", s->n_running);
    metric(out, gauge, "requests_deferred", "Requests waiting", s->n_waiting);
    metric(out, gauge, "sequences_kept", "Sequences kept of requests that have ended",
           s->n_sequences_kept);
    metric(out, gauge, "kv_cache_usage_ratio", "Share of the KV pages that is in use",
           s->kv_bytes ? (double)s->kv_bytes_used / (double)s->kv_bytes : 0);
    metric(out, gauge, "kv_bytes", "Memory of the KV pages", (double)s->kv_bytes);
}

static void tell_pages(pd_bytes *out, const pd_batch_stats *s) {
    pd_bytes_printf(out,
                    "# HELP peridot:kv_pages KV pages\n# TYPE peridot:kv_pages gauge\n"
                    "peridot:kv_pages{kind=\"global\"} %u\nperidot:kv_pages{kind=\"local\"} %u\n"
                    "# HELP peridot:kv_pages_used KV pages in use\n"
                    "# TYPE peridot:kv_pages_used gauge\n"
                    "peridot:kv_pages_used{kind=\"global\"} %u\n"
                    "peridot:kv_pages_used{kind=\"local\"} %u\n",
                    s->n_global_pages, s->n_local_pages, s->n_global_pages_used,
                    s->n_local_pages_used);
}

static void tell_server(pd_bytes *out, pd_server *s) {
    metric(out, "counter", "requests_total", "Requests to generate",
           (double)atomic_load(&s->n_calls));
    metric(out, "counter", "requests_failed_total", "... that failed or were given up",
           (double)atomic_load(&s->n_failed));
    metric(out, "counter", "queue_seconds_total", "Time that prompts waited for a place",
           (double)atomic_load(&s->queue_ns) / 1e9);
    metric(out, "counter", "first_token_seconds_total", "Time from asking to the first token",
           (double)atomic_load(&s->first_token_ns) / 1e9);
    metric(out, "counter", "first_tokens_total", "Prompts whose answer began",
           (double)atomic_load(&s->n_first_tokens));
    metric(out, "gauge", "connections_open", "Requests that are not answered whole",
           pd_http_n_open(s->http));
    metric(out, "gauge", "process_peak_bytes", "Most memory that the process has held",
           (double)pd_process_peak_bytes());
}

void srv_metrics(const srv_context *c) {
    pd_batch_stats s;
    pd_bytes out = {0};
    pd_batch_get_stats(c->engine->batch, &s);
    tell_batch(&out, &s);
    tell_pages(&out, &s);
    tell_server(&out, c->server);
    pd_http_send(c->reply, 200, "text/plain; version=0.0.4; charset=utf-8", out.data, out.n);
    pd_bytes_free(&out);
}
