/* What an answer has to be: JSON, JSON of a schema, a text of a grammar or of a regular expression,
 * one of some choices. OpenAI names the first two, llama.cpp `grammar` and `json_schema`.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "server/settings.h"

pd_status srv_set_grammar(pd_model *m, srv_fields *f, const char *field, pd_grammar_kind kind,
                          const char *text, srv_settings *out, pd_error *err) {
    srv_blame(f, field);
    if (out->sampler.grammar)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s: an answer can follow one grammar or schema only",
                        field);
    PD_TRY(pd_grammar_create(m, kind, text, text ? strlen(text) : 0, &out->sampler.grammar, err));
    srv_blame(f, "");
    return PD_OK;
}

pd_status srv_set_schema(pd_model *m, srv_fields *f, const char *field, const cJSON *schema,
                         srv_settings *out, pd_error *err) {
    char *text = cJSON_PrintUnformatted(schema);
    if (!text) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a schema");
    pd_status status = srv_set_grammar(m, f, field, PD_GRAMMAR_JSON_SCHEMA, text, out, err);
    cJSON_free(text);
    return status;
}

/* ---- formats -------------------------------------------------------------------------------- */

/* {"type": "json_schema", "json_schema": {"schema": ...}}, and with the schema beside the type. */
static pd_status read_schema(pd_model *m, srv_fields *f, const char *field, const cJSON *format,
                             srv_settings *out, pd_error *err) {
    const cJSON *named = cJSON_GetObjectItemCaseSensitive(format, "json_schema");
    const cJSON *schema = cJSON_GetObjectItemCaseSensitive(named ? named : format, "schema");
    if (schema) return srv_set_schema(m, f, field, schema, out, err);
    srv_blame(f, field);
    return PD_RAISE(err, PD_ERR_ARGUMENT, "%s of type json_schema has no schema", field);
}

static pd_status read_object(pd_model *m, srv_fields *f, const char *field, const cJSON *format,
                             srv_settings *out, pd_error *err) {
    const cJSON *schema = cJSON_GetObjectItemCaseSensitive(format, "schema");
    if (schema) return srv_set_schema(m, f, field, schema, out, err);
    return srv_set_grammar(m, f, field, PD_GRAMMAR_JSON, NULL, out, err);
}

static pd_status read_format(pd_model *m, srv_fields *f, const char *field, const cJSON *format,
                             srv_settings *out, pd_error *err) {
    const char *type = "text";
    srv_fields inside = {.object = format};
    if (!cJSON_IsObject(format)) return srv_refuse(f, field, "an object", format, err);
    srv_blame(f, field);
    PD_TRY(srv_get_string(&inside, "type", &type, err));
    if (strcmp(type, "json_schema") == 0) return read_schema(m, f, field, format, out, err);
    if (strcmp(type, "json_object") == 0) return read_object(m, f, field, format, out, err);
    if (strcmp(type, "text") != 0)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "%s %.40s is not known here (known: text, json_object, json_schema)", field,
                        type);
    srv_blame(f, "");
    return PD_OK;
}

pd_status srv_read_format(pd_model *m, srv_fields *f, const char *group, const char *name,
                          srv_settings *out, pd_error *err) {
    char field[64];
    srv_fields inside = {.object = group ? srv_get(f, group) : f->object};
    if (!inside.object) return PD_OK;
    if (!cJSON_IsObject(inside.object))
        return srv_refuse(f, group, "an object", inside.object, err);
    snprintf(field, sizeof field, "%s%s%s", group ? group : "", group ? "." : "", name);
    const cJSON *format = srv_get(&inside, name);
    return format ? read_format(m, f, field, format, out, err) : PD_OK;
}

/* ---- grammars ------------------------------------------------------------------------------- */

static pd_status read_text(pd_model *m, srv_fields *f, const char *name, pd_grammar_kind kind,
                           srv_settings *out, pd_error *err) {
    const char *text = NULL;
    PD_TRY(srv_get_string(f, name, &text, err));
    if (!text || !*text) return PD_OK; /* clients send "" for none */
    return srv_set_grammar(m, f, name, kind, text, out, err);
}

static pd_status read_choices(pd_model *m, srv_fields *f, srv_settings *out, pd_error *err) {
    const cJSON *list = srv_get(f, "choices");
    if (!list) return PD_OK;
    char *text = cJSON_PrintUnformatted(list);
    if (!text) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a request");
    pd_status status = srv_set_grammar(m, f, "choices", PD_GRAMMAR_CHOICES, text, out, err);
    cJSON_free(text);
    return status;
}

pd_status srv_read_grammar(pd_model *m, srv_fields *f, srv_settings *out, pd_error *err) {
    const cJSON *schema = srv_get(f, "json_schema");
    PD_TRY(read_text(m, f, "grammar", PD_GRAMMAR_GBNF, out, err));
    if (schema) PD_TRY(srv_set_schema(m, f, "json_schema", schema, out, err));
    PD_TRY(read_text(m, f, "regex", PD_GRAMMAR_REGEX, out, err));
    return read_choices(m, f, out, err);
}

/* ---- tools ---------------------------------------------------------------------------------- */

pd_status srv_read_tools(pd_model *m, srv_fields *f, srv_tool_dialect dialect, srv_settings *out,
                         pd_error *err) {
    PD_TRY(srv_tools_read(dialect, f, &out->tools, err));
    if (!out->tools.list) return PD_OK;
    if (out->sampler.grammar) {
        srv_blame(f, "tools");
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "tools cannot be together with a format, schema or grammar of the answer, "
                        "unless tool_choice is none");
    }
    char *text = srv_tools_grammar(&out->tools);
    if (!text) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a request");
    pd_status status = srv_set_grammar(m, f, "tools", PD_GRAMMAR_TOOLS, text, out, err);
    cJSON_free(text);
    return status;
}
