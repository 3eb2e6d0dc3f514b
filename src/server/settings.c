/* See settings.h.  SPDX-License-Identifier: MIT */
#include "server/settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"

enum { MAX_STOPS = 64 };

/* ---- biases --------------------------------------------------------------------------------- */

static pd_status add_bias(const pd_model *m, srv_fields *f, srv_settings *s, double id,
                          const cJSON *bias, pd_error *err) {
    if (!(id >= 0 && id < pd_model_get_info(m)->n_vocab)) {
        srv_blame(f, "logit_bias");
        return PD_RAISE(err, PD_ERR_ARGUMENT, "logit_bias names a token that the model has not");
    }
    if (cJSON_IsFalse(bias)) { /* llama.cpp: never */
        s->biases[s->sampler.n_logit_bias++] = (pd_logit_bias){(uint32_t)id, -(float)HUGE_VAL};
        return PD_OK;
    }
    if (!cJSON_IsNumber(bias)) return srv_refuse(f, "logit_bias", "numbers by token", bias, err);
    s->biases[s->sampler.n_logit_bias++] = (pd_logit_bias){(uint32_t)id, (float)bias->valuedouble};
    return PD_OK;
}

/* {"ID": BIAS}, and llama.cpp's [[ID, BIAS], ...]. */
static pd_status read_biases(const pd_model *m, srv_fields *f, srv_settings *s, pd_error *err) {
    const cJSON *list = srv_get(f, "logit_bias"), *item;
    if (!list) return PD_OK;
    if (!cJSON_IsObject(list) && !cJSON_IsArray(list))
        return srv_refuse(f, "logit_bias", "an object of numbers by token", list, err);
    s->biases = pd_alloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *s->biases);
    if (!s->biases) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a request");
    s->sampler.logit_bias = s->biases;
    cJSON_ArrayForEach(item, list) {
        if (item->string) {
            char *end;
            double id = strtod(item->string, &end);
            PD_TRY(add_bias(m, f, s, *item->string && !*end ? id : -1, item, err));
            continue;
        }
        const cJSON *id = cJSON_GetArrayItem(item, 0), *bias = cJSON_GetArrayItem(item, 1);
        if (!cJSON_IsNumber(id) || !bias)
            return srv_refuse(f, "logit_bias", "a list of [token, bias]", item, err);
        PD_TRY(add_bias(m, f, s, id->valuedouble, bias, err));
    }
    return PD_OK;
}

/* ---- stops ---------------------------------------------------------------------------------- */

static pd_status add_stop(srv_fields *f, const char *name, srv_settings *s, const cJSON *j,
                          pd_error *err) {
    if (!cJSON_IsString(j)) return srv_refuse(f, name, "a string or a list of strings", j, err);
    if (j->valuestring[0] == '\0') return PD_OK; /* clients send it for "none" */
    if (s->n_stops == MAX_STOPS || strlen(j->valuestring) > PD_STOP_MAX_BYTES) {
        srv_blame(f, name);
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s can be at most %d strings of up to %d bytes",
                        name, MAX_STOPS, PD_STOP_MAX_BYTES);
    }
    s->stops[s->n_stops] = pd_strdup(j->valuestring);
    if (!s->stops[s->n_stops++])
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a request");
    return PD_OK;
}

pd_status srv_read_stops(srv_fields *f, const char *name, srv_settings *out, pd_error *err) {
    const cJSON *j = srv_get(f, name), *item;
    if (!j) return PD_OK;
    if (!out->stops) out->stops = pd_alloc(MAX_STOPS, sizeof *out->stops);
    if (!out->stops) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a request");
    if (!cJSON_IsArray(j)) return add_stop(f, name, out, j, err);
    cJSON_ArrayForEach(item, j) PD_TRY(add_stop(f, name, out, item, err));
    return PD_OK;
}

/* ---- numbers -------------------------------------------------------------------------------- */

pd_status srv_read_n_max(srv_fields *f, const char *name, srv_settings *out, pd_error *err) {
    double n = -2;
    PD_TRY(srv_get_whole(f, name, -1, 16777216, &n, err));
    if (n == -2) return PD_OK;
    out->prompt_only = n == 0;
    if (n > 0) out->n_max = (uint32_t)n;
    return PD_OK;
}

/* Clients send any integer; a fraction or something else is no seed. */
static pd_status read_seed(const pd_server *server, srv_fields *f, srv_settings *s, pd_error *err) {
    double seed = -1;
    PD_TRY(srv_get_whole(f, "seed", -9223372036854775808.0, 9223372036854774784.0, &seed, err));
    if (srv_get(f, "seed") && seed != -1)
        s->sampler.seed = (uint64_t)(int64_t)seed;
    else if (server->desc.random_seed)
        s->sampler.seed = pd_random_seed();
    return PD_OK;
}

static pd_status read_sampler(const pd_server *server, const pd_model *m, srv_fields *f,
                              srv_settings *s, pd_error *err) {
    pd_sampler_desc *d = &s->sampler;
    *d = server->desc.sampler;
    PD_TRY(srv_get_float(f, "temperature", 0, 100, &d->temp, err));
    PD_TRY(srv_get_float(f, "top_p", 0, 1, &d->top_p, err));
    if (srv_get(f, "top_p") && d->top_p == 0) d->top_p = 1e-6f; /* the best one; 0 is off here */
    PD_TRY(srv_get_float(f, "min_p", 0, 1, &d->min_p, err));
    double top_k = d->top_k; /* llama.cpp: 0 or below is off */
    PD_TRY(srv_get_whole(f, "top_k", -1, 1e9, &top_k, err));
    d->top_k = top_k > 0 ? (uint32_t)top_k : 0;
    PD_TRY(srv_get_float(f, "presence_penalty", -2, 2, &d->presence_penalty, err));
    PD_TRY(srv_get_float(f, "frequency_penalty", -2, 2, &d->frequency_penalty, err));
    PD_TRY(srv_get_float(f, "repeat_penalty", 0, 100, &d->repeat_penalty, err));
    PD_TRY(srv_get_float(f, "repetition_penalty", 0, 100, &d->repeat_penalty, err));
    double last = d->repeat_last_n;
    PD_TRY(srv_get_whole(f, "repeat_last_n", -1, 16777216, &last, err));
    d->repeat_last_n = last < 0 ? UINT32_MAX : (uint32_t)last;
    if (srv_get(f, "repeat_last_n") && last == 0) d->repeat_penalty = 1; /* of no token */
    PD_TRY(read_seed(server, f, s, err));
    return read_biases(m, f, s, err);
}

/* ---- the rest ------------------------------------------------------------------------------- */

static pd_status read_stream(srv_fields *f, srv_settings *s, pd_error *err) {
    PD_TRY(srv_get_bool(f, "stream", &s->stream, err));
    const cJSON *options = srv_get(f, "stream_options");
    if (!options) return PD_OK;
    if (!cJSON_IsObject(options)) return srv_refuse(f, "stream_options", "an object", options, err);
    srv_fields inside = {.object = options};
    pd_status status = srv_get_bool(&inside, "include_usage", &s->include_usage, err);
    if (status != PD_OK) srv_blame(f, "stream_options.include_usage");
    return status;
}

pd_status srv_settings_read(const pd_server *server, pd_model *m, srv_fields *f, srv_settings *s,
                            pd_error *err) {
    bool cache = true;
    *s = (srv_settings){.n_choices = 1, .n_max = server->desc.n_predict};
    PD_TRY(read_sampler(server, m, f, s, err));
    PD_TRY(srv_read_format(m, f, NULL, "response_format", s, err));
    PD_TRY(srv_read_grammar(m, f, s, err));
    PD_TRY(read_stream(f, s, err));
    PD_TRY(srv_get_u32(f, "n", 1, PD_MAX_CHOICES, &s->n_choices, err));
    PD_TRY(srv_get_bool(f, "cache_prompt", &cache, err));
    PD_TRY(srv_get_bool(f, "ignore_eos", &s->ignore_stop, err));
    PD_TRY(srv_get_bool(f, "timings_per_token", &s->timings_per_token, err));
    s->no_cache = !cache;
    return srv_read_stops(f, "stop", s, err);
}

void srv_settings_free(srv_settings *s) {
    for (size_t i = 0; i < s->n_stops; i++) pd_free(s->stops[i]);
    pd_free(s->stops);
    pd_free(s->biases);
    pd_grammar_destroy(s->sampler.grammar);
    srv_tools_free(&s->tools);
    cJSON_Delete(s->repeated);
    *s = (srv_settings){0};
}
