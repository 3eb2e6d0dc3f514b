/* See tools.h.  SPDX-License-Identifier: MIT */
#include "grammar/tools.h"

#include <string.h>

#include "base/bytes.h"
#include "file/json.h"
#include "grammar/json_text.h"
#include "grammar/node_list.h"
#include "grammar/schema.h"

static pd_node word(pd_rules *r, const char *text) {
    return pd_rules_text(r, text, strlen(text));
}

static uint32_t give_new(pd_rules *r, pd_node node) {
    uint32_t rule = pd_rules_new(r);
    pd_rules_give(r, rule, node);
    return rule;
}

static const cJSON *get(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* ---- arguments ------------------------------------------------------------------------------ */

static pd_status refuse(const char *tool, const char *what, pd_error *err) {
    return PD_RAISE(err, PD_ERR_ARGUMENT, "the parameters of tool %.64s%.400s", tool, what);
}

/* Arguments are an object, which many schemas leave unsaid. */
static pd_status need_object(cJSON *schema, const char *tool, pd_error *err) {
    const cJSON *type = get(schema, "type");
    if (!type) {
        if (cJSON_AddStringToObject(schema, "type", "object")) return PD_OK;
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a JSON schema");
    }
    if (cJSON_IsString(type) && strcmp(type->valuestring, "object") == 0) return PD_OK;
    return refuse(tool, " have to be of type object", err);
}

/* A list of properties that is empty is how tools without arguments are told of: any object would
 * meet it, but {} is what is meant. */
static void close_empty(cJSON *schema) {
    static const char *const open[] = {"additionalProperties", "allOf", "anyOf", "oneOf", "$ref"};
    const cJSON *properties = get(schema, "properties");
    if (!cJSON_IsObject(properties) || properties->child) return;
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        if (get(schema, open[i])) return;
    cJSON_AddFalseToObject(schema, "additionalProperties");
}

static pd_status read_arguments(pd_rules *r, cJSON *schema, const char *tool, uint32_t any,
                                pd_node *out, pd_error *err) {
    *out = pd_rules_use(r, any);
    if (!schema || cJSON_IsNull(schema)) return PD_OK;
    if (!cJSON_IsObject(schema)) return refuse(tool, " have to be a JSON schema", err);
    if (!schema->child) return PD_OK;
    PD_TRY(need_object(schema, tool, err));
    close_empty(schema);
    pd_status status = pd_schema_read(r, schema, out, err);
    if (status != PD_ERR_ARGUMENT) return status;
    return pd_error_before(err, status, "the parameters of tool %.64s: ", tool);
}

/* ---- calls ---------------------------------------------------------------------------------- */

/* A call behind its opening: NAME", "parameters": ARGUMENTS} */
static pd_status read_tool(pd_rules *r, const cJSON *tool, uint32_t any, pd_node *out,
                           pd_error *err) {
    const cJSON *name = get(tool, "name");
    pd_node arguments;
    if (!cJSON_IsString(name) || !name->valuestring[0])
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a tool has no name");
    const char *text = name->valuestring;
    PD_TRY(read_arguments(r, cJSON_GetObjectItemCaseSensitive(tool, "parameters"), text, any,
                          &arguments, err));
    const pd_node parts[] = {pd_json_text(r, text, strlen(text)), word(r, "\", \"parameters\": "),
                             arguments, word(r, "}")};
    *out = pd_rules_seq(r, parts, 4);
    return PD_OK;
}

static pd_status read_call(pd_rules *r, const cJSON *tools, pd_node *out, pd_error *err) {
    const cJSON *tool;
    pd_node_list list = {0};
    pd_status status = PD_OK;
    uint32_t any = give_new(r, pd_schema_any_object(r));
    cJSON_ArrayForEach(tool, tools) {
        pd_node node = 0;
        if (status == PD_OK) status = read_tool(r, tool, any, &node, err);
        if (status == PD_OK) pd_node_list_add(&list, node);
    }
    const pd_node parts[] = {word(r, "{\"name\": \""), pd_node_list_end(r, &list, true)};
    *out = pd_rules_seq(r, parts, 2);
    return status;
}

/* ---- answers -------------------------------------------------------------------------------- */

static pd_node several(pd_rules *r, pd_node call) {
    uint32_t rule = give_new(r, call);
    const pd_node next[] = {word(r, ", "), pd_rules_use(r, rule)};
    const pd_node list[] = {word(r, "["), pd_rules_use(r, rule),
                            pd_rules_repeat(r, pd_rules_seq(r, next, 2), 0, PD_TOOLS_MAX_CALLS - 1),
                            word(r, "]")};
    const pd_node kinds[] = {pd_rules_use(r, rule), pd_rules_seq(r, list, 4)};
    return pd_rules_alt(r, kinds, 2);
}

static pd_node words(pd_rules *r) {
    static const pd_char_range openings[] = {{'[', '['}, {'{', '{'}};
    const pd_node any = pd_rules_set(r, NULL, 0, true);
    const pd_node text[] = {pd_rules_set(r, openings, 2, true),
                            pd_rules_repeat(r, any, 0, PD_REPEAT_ANY)};
    return pd_rules_optional(r, pd_rules_seq(r, text, 2));
}

static pd_status read_tools(pd_rules *r, const cJSON *j, pd_node *root, pd_error *err) {
    const cJSON *tools = get(j, "tools");
    if (!cJSON_IsArray(tools) || !tools->child)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "tools are a JSON list of one or more");
    PD_TRY(read_call(r, tools, root, err));
    if (cJSON_IsTrue(get(j, "parallel"))) *root = several(r, *root);
    if (cJSON_IsTrue(get(j, "required"))) return PD_OK;
    const pd_node kinds[] = {*root, words(r)};
    *root = pd_rules_alt(r, kinds, 2);
    return PD_OK;
}

pd_status pd_tools_parse(pd_rules *r, const char *text, size_t n, pd_node *root, pd_error *err) {
    if (pd_utf8_valid_bytes(text, n) < n)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the tools are not UTF-8");
    cJSON *j = pd_json_parse(text, n);
    pd_status status = read_tools(r, j, root, err);
    cJSON_Delete(j);
    return status;
}
