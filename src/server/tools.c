/* See tools.h.  SPDX-License-Identifier: MIT */
#include "server/tools.h"

#include <stdio.h>
#include <string.h>

#include "server/tool_calls.h"

enum { MAX_TOOLS = 128 };

/* How an interface writes a tool. */
typedef struct dialect {
    const char *type;   /* of functions */
    const char *inside; /* the member that tells of it; NULL: the tool itself does */
    const char *schema;
} dialect;

static const dialect dialects[] = {
    [SRV_TOOLS_CHAT] = {"function", "function", "parameters"},
    [SRV_TOOLS_RESPONSES] = {"function", NULL, "parameters"},
    [SRV_TOOLS_MESSAGES] = {"custom", NULL, "input_schema"},
};

static pd_status raise_no_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a request");
}

bool srv_is_tool_name(const char *name) {
    static const char known[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    size_t n = strlen(name);
    return n > 0 && n <= SRV_TOOL_NAME_MAX && strspn(name, known) == n;
}

static const cJSON *find(const srv_tools *t, const char *name) {
    const cJSON *tool;
    cJSON_ArrayForEach(tool, t->list) {
        if (strcmp(cJSON_GetObjectItemCaseSensitive(tool, "name")->valuestring, name) == 0)
            return tool;
    }
    return NULL;
}

/* ---- tools ---------------------------------------------------------------------------------- */

static pd_status check_name(const srv_tools *t, const char *name, const char *place,
                            pd_error *err) {
    if (!name) return PD_RAISE(err, PD_ERR_ARGUMENT, "%s: a tool has no name", place);
    if (!srv_is_tool_name(name))
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "%s: a tool's name is up to %d of letters, digits, _, - and ., not %.80s",
                        place, SRV_TOOL_NAME_MAX, name);
    if (!find(t, name)) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "%s: there are two tools with the name %s", place, name);
}

static pd_status add_tool(srv_tools *t, const char *name, const char *description,
                          const cJSON *schema, pd_error *err) {
    cJSON *tool = cJSON_CreateObject();
    cJSON *copy = schema ? cJSON_Duplicate(schema, true) : cJSON_CreateObject();
    bool made = tool && copy && cJSON_AddStringToObject(tool, "name", name) &&
                (!description || cJSON_AddStringToObject(tool, "description", description));
    if (made && cJSON_AddItemToObject(tool, "parameters", copy)) {
        cJSON_AddItemToArray(t->list, tool);
        return PD_OK;
    }
    cJSON_Delete(tool);
    cJSON_Delete(copy);
    return raise_no_memory(err);
}

static pd_status read_function(const dialect *d, srv_fields *f, const char *place, srv_tools *t,
                               pd_error *err) {
    const char *name = NULL, *description = NULL;
    PD_TRY(srv_get_string(f, "name", &name, err));
    PD_TRY(srv_get_string(f, "description", &description, err));
    PD_TRY(check_name(t, name, place, err));
    const cJSON *schema = srv_get(f, d->schema);
    if (schema && !cJSON_IsObject(schema))
        return srv_refuse(f, d->schema, "an object", schema, err);
    return add_tool(t, name, description, schema, err);
}

static pd_status read_tool(const dialect *d, const cJSON *tool, const char *place, srv_tools *t,
                           pd_error *err) {
    srv_fields inside = {.object = tool};
    const char *type = d->type;
    if (!cJSON_IsObject(tool)) return srv_refuse(&inside, place, "an object", tool, err);
    PD_TRY(srv_get_string(&inside, "type", &type, err));
    if (strcmp(type, d->type) != 0)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "%s: tools of type %.40s are not known here: %s",
                        place, type, "only functions are");
    if (d->inside) inside.object = srv_get(&inside, d->inside);
    if (!cJSON_IsObject(inside.object))
        return srv_refuse(&inside, d->inside, "an object", inside.object, err);
    return read_function(d, &inside, place, t, err);
}

static pd_status read_list(const dialect *d, srv_fields *f, srv_tools *t, pd_error *err) {
    const cJSON *list = srv_get(f, "tools"), *tool;
    char place[32];
    int i = 0;
    if (!list) return PD_OK;
    if (!cJSON_IsArray(list)) return srv_refuse(f, "tools", "a list", list, err);
    srv_blame(f, "tools");
    if (cJSON_GetArraySize(list) > MAX_TOOLS)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "tools can be at most %d", MAX_TOOLS);
    cJSON_ArrayForEach(tool, list) {
        snprintf(place, sizeof place, "tools[%d]", i++);
        srv_blame(f, place);
        PD_TRY(read_tool(d, tool, place, t, err));
    }
    srv_blame(f, "");
    return PD_OK;
}

/* ---- choices -------------------------------------------------------------------------------- */

static pd_status refuse_choice(const char *known, pd_error *err) {
    return PD_RAISE(err, PD_ERR_UNSUPPORTED, "a tool_choice is one of %s", known);
}

static pd_status choose_one(srv_tools *t, const char *name, pd_error *err) {
    t->required = true;
    t->parallel = false;
    t->only = name ? find(t, name) : NULL;
    if (t->only) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "tool_choice names no tool: %.80s", name ? name : "null");
}

/* "auto", "none", "required", or an object that names a function. */
static pd_status read_openai_choice(const dialect *d, const cJSON *choice, srv_tools *t, bool *none,
                                    pd_error *err) {
    static const char known[] = "auto, none, required, and a function";
    const char *text = cJSON_IsString(choice) ? choice->valuestring : NULL, *type = "",
               *name = NULL;
    srv_fields inside = {.object = choice};
    *none = text && strcmp(text, "none") == 0;
    t->required = text && strcmp(text, "required") == 0;
    if (*none || t->required || (text && strcmp(text, "auto") == 0)) return PD_OK;
    if (!cJSON_IsObject(choice)) return refuse_choice(known, err);
    PD_TRY(srv_get_string(&inside, "type", &type, err));
    if (strcmp(type, d->type) != 0) return refuse_choice(known, err);
    if (d->inside) inside.object = srv_get(&inside, d->inside);
    PD_TRY(srv_get_string(&inside, "name", &name, err));
    return choose_one(t, name, err);
}

/* {"type": "auto", "any", "tool" with a name, or "none"}. */
static pd_status read_anthropic_choice(const cJSON *choice, srv_tools *t, bool *none,
                                       pd_error *err) {
    const char *type = "", *name = NULL;
    bool one = false;
    srv_fields inside = {.object = choice};
    if (!cJSON_IsObject(choice)) return refuse_choice("auto, any, tool and none, as a type", err);
    PD_TRY(srv_get_string(&inside, "type", &type, err));
    PD_TRY(srv_get_string(&inside, "name", &name, err));
    PD_TRY(srv_get_bool(&inside, "disable_parallel_tool_use", &one, err));
    *none = strcmp(type, "none") == 0;
    t->required = strcmp(type, "any") == 0;
    if (one) t->parallel = false;
    if (*none || t->required || strcmp(type, "auto") == 0) return PD_OK;
    if (strcmp(type, "tool") == 0) return choose_one(t, name, err);
    return refuse_choice("auto, any, tool and none, as a type", err);
}

static pd_status read_choice(srv_tool_dialect which, srv_fields *f, srv_tools *t, pd_error *err) {
    const cJSON *choice = srv_get(f, "tool_choice");
    bool none = false;
    if (choice) {
        srv_blame(f, "tool_choice");
        PD_TRY(which == SRV_TOOLS_MESSAGES
                   ? read_anthropic_choice(choice, t, &none, err)
                   : read_openai_choice(&dialects[which], choice, t, &none, err));
    }
    if (t->required && !t->list->child)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "tool_choice asks for a call, and there are no tools");
    srv_blame(f, "");
    if (!none && t->list->child) return PD_OK;
    srv_tools_free(t);
    return PD_OK;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* What chat completions had before there were tools. */
static pd_status refuse_functions(srv_fields *f, pd_error *err) {
    static const char *const names[] = {"functions", "function_call"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!srv_get(f, names[i])) continue;
        srv_blame(f, names[i]);
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "%s is not known here: tools and tool_choice are",
                        names[i]);
    }
    return PD_OK;
}

pd_status srv_tools_read(srv_tool_dialect which, srv_fields *f, srv_tools *out, pd_error *err) {
    *out = (srv_tools){.parallel = true, .list = cJSON_CreateArray()};
    if (!out->list) return raise_no_memory(err);
    if (which == SRV_TOOLS_CHAT) PD_TRY(refuse_functions(f, err));
    PD_TRY(read_list(&dialects[which], f, out, err));
    if (which != SRV_TOOLS_MESSAGES)
        PD_TRY(srv_get_bool(f, "parallel_tool_calls", &out->parallel, err));
    return read_choice(which, f, out, err);
}

void srv_tools_free(srv_tools *t) {
    cJSON_Delete(t->list);
    *t = (srv_tools){0};
}

/* ---- what becomes of them ------------------------------------------------------------------- */

char *srv_tools_grammar(const srv_tools *t) {
    cJSON *j = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(j, "tools"), *tool;
    cJSON_ArrayForEach(tool, t->list) {
        if (t->only && t->only != tool) continue;
        if (!cJSON_AddItemReferenceToArray(list, tool)) goto fail;
    }
    if (!cJSON_AddBoolToObject(j, "required", t->required)) goto fail;
    if (!cJSON_AddBoolToObject(j, "parallel", t->parallel)) goto fail;
    return srv_json_text(j);
fail:
    cJSON_Delete(j);
    return NULL;
}

void srv_tools_prompt(const srv_tools *t, pd_bytes *out) {
    static const char call[] = "{\"name\": function name, \"parameters\": dictionary of argument "
                               "name and its value}";
    char *list = cJSON_PrintUnformatted(t->list);
    pd_bytes_printf(out,
                    "You have access to functions. If you decide to invoke any of the "
                    "function(s), you MUST put it in the format of\n%s\n\n",
                    call);
    if (t->parallel)
        pd_bytes_printf(
            out, "To invoke several functions at once, put them in a list:\n[%s, ...]\n\n", call);
    pd_bytes_printf(out, "You SHOULD NOT include any other text in the response if you call a "
                         "function\n");
    if (list)
        pd_bytes_write(out, list, strlen(list));
    else
        out->failed = true;
    cJSON_free(list);
}
