/* How a request wants its tokens, as OpenAI's interfaces and llama.cpp's name it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_SETTINGS_H
#define PD_SERVER_SETTINGS_H

#include "server/fields.h"
#include "server/parts.h"

typedef struct srv_settings {
    pd_sampler_desc sampler;
    pd_logit_bias *biases; /* the sampler's */
    char **stops;          /* [n_stops] */
    size_t n_stops;
    uint32_t n_choices, n_max, n_top;
    bool prompt_only, ignore_stop, log_probs, no_cache;
    bool echo;                  /* completions: the prompt comes first, with log_probs too */
    bool stream, include_usage; /* usage at the end of a stream */
    bool timings_per_token;
    cJSON *repeated; /* fields that the answer has too; NULL: none */
} srv_settings;

/* What every interface has: temperature, top_p, seed, stop, stream, ... Errors: ARGUMENT,
 * UNSUPPORTED, MEMORY_HOST. To be freed in any case. */
pd_status srv_settings_read(const pd_server *s, const pd_model *model, srv_fields *f,
                            srv_settings *out, pd_error *err);
void srv_settings_free(srv_settings *s);
/* A string or a list of them becomes the stop strings. */
pd_status srv_read_stops(srv_fields *f, const char *name, srv_settings *out, pd_error *err);
/* What an answer has to be: an object whose type is "text" is taken; others are refused. group: the
 * object that the field is in; NULL: it is the request's. */
pd_status srv_read_format(srv_fields *f, const char *group, const char *name, pd_error *err);
/* The most tokens of an answer. Zero: none, the prompt alone; -1: what there is room for. */
pd_status srv_read_n_max(srv_fields *f, const char *name, srv_settings *out, pd_error *err);

#endif
