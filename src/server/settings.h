/* How a request wants its tokens, as OpenAI's interfaces and llama.cpp's name it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_SETTINGS_H
#define PD_SERVER_SETTINGS_H

#include "server/fields.h"
#include "peridot_grammar.h"
#include "server/parts.h"
#include "server/tools.h"

typedef struct srv_settings {
    pd_sampler_desc sampler; /* its grammar is the settings' own */
    pd_logit_bias *biases;   /* the sampler's */
    char **stops;            /* [n_stops] */
    size_t n_stops;
    uint32_t n_choices, n_max, n_top;
    bool prompt_only, ignore_stop, log_probs, no_cache;
    bool echo;                  /* completions: the prompt comes first, with log_probs too */
    bool stream, include_usage; /* usage at the end of a stream */
    bool timings_per_token;
    srv_tools tools; /* that the answer may call */
    cJSON *repeated; /* fields that the answer has too; NULL: none */
} srv_settings;

/* What every interface has: temperature, top_p, seed, stop, stream, ... Errors: ARGUMENT,
 * UNSUPPORTED, MEMORY_HOST. To be freed in any case. */
pd_status srv_settings_read(const pd_server *s, pd_model *model, srv_fields *f, srv_settings *out,
                            pd_error *err);
void srv_settings_free(srv_settings *s);
/* A string or a list of them becomes the stop strings. */
pd_status srv_read_stops(srv_fields *f, const char *name, srv_settings *out, pd_error *err);
/* ---- format.c: what an answer has to be ------------------------------------------------------ */

/* An object with a type: "text", "json_object" (with a schema, if there is one), or "json_schema"
 * with a schema, in it or in its member of that name. group: the object that the field is in; NULL:
 * it is the request's. Errors: ARGUMENT (also of a schema that is not understood), UNSUPPORTED,
 * MEMORY_HOST. */
pd_status srv_read_format(pd_model *m, srv_fields *f, const char *group, const char *name,
                          srv_settings *out, pd_error *err);
/* llama.cpp's grammar and json_schema; regex, choices. Errors: the same. */
pd_status srv_read_grammar(pd_model *m, srv_fields *f, srv_settings *out, pd_error *err);
/* tools and what belongs to them; the answer's grammar follows, so that this is read behind other
 * formats. Errors: ARGUMENT: the answer has to be something else already; the same. */
pd_status srv_read_tools(pd_model *m, srv_fields *f, srv_tool_dialect dialect, srv_settings *out,
                         pd_error *err);
/* The grammar of an answer. field: to be blamed. Errors: ARGUMENT: it has one already; the same. */
pd_status srv_set_grammar(pd_model *m, srv_fields *f, const char *field, pd_grammar_kind kind,
                          const char *text, srv_settings *out, pd_error *err);
pd_status srv_set_schema(pd_model *m, srv_fields *f, const char *field, const cJSON *schema,
                         srv_settings *out, pd_error *err);

/* ---- settings.c, again ---------------------------------------------------------------------- */

/* The most tokens of an answer. Zero: none, the prompt alone; -1: what there is room for. */
pd_status srv_read_n_max(srv_fields *f, const char *name, srv_settings *out, pd_error *err);

#endif
