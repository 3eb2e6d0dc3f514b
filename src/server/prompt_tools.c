/* Tools in conversations. Gemma 3 has no tokens for them: a call is the JSON that the model writes,
 * what came of it a block of a user's turn.
 *
 *     {"name": "NAME", "parameters": {...}}       ```tool_output NAME
 *     [{"name": ...}, {"name": ...}]              ...
 *                                                 ```
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "server/prompt.h"

enum { MAX_CALLS = 4096 }; /* of a conversation, since each is looked for among all */

static struct srv_turn *last_turn(const srv_chat *c) {
    return c->n_turns ? &c->turns[c->n_turns - 1] : NULL;
}

/* The last turn ends with calls. */
static bool ends_with_calls(const srv_chat *c) {
    return c->calls.n > 0 && last_turn(c)->text.n == c->calls.end;
}

/* ---- calls ---------------------------------------------------------------------------------- */

static pd_status know_call(srv_chat *c, const char *id, const char *name, pd_error *err) {
    const srv_known_call call = {id, name};
    if (!id) return PD_RAISE(err, PD_ERR_ARGUMENT, "a tool call has no id");
    if (!name || !srv_is_tool_name(name))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a tool call names no function: %.80s",
                        name ? name : "null");
    if (c->known.n / sizeof call >= MAX_CALLS)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a conversation can have at most %d tool calls",
                        MAX_CALLS);
    pd_bytes_write(&c->known, &call, sizeof call);
    return c->known.failed ? PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a request") : PD_OK;
}

static pd_status check_arguments(const char *text, pd_error *err) {
    pd_error unused;
    cJSON *j;
    if (srv_json_parse(text, strlen(text), &j, &unused) != PD_OK)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a tool call's arguments are no JSON object");
    cJSON_Delete(j);
    return PD_OK;
}

/* A bracket before the one call that is there, and one behind it. */
static void begin_list(pd_bytes *text, size_t begin) {
    pd_bytes_write(text, "]", 1);
    pd_bytes_write(text, "]", 1);
    if (text->failed) return;
    memmove(text->data + begin + 1, text->data + begin, text->n - begin - 2);
    text->data[begin] = '[';
}

static void write_call(srv_chat *c, const char *name, const char *arguments) {
    pd_bytes *text = &last_turn(c)->text;
    bool joins = ends_with_calls(c);
    if (!joins) {
        c->gap = true;
        srv_chat_fill_gap(c);
        c->calls.n = 0;
        c->calls.begin = text->n;
    }
    if (c->calls.n == 1) begin_list(text, c->calls.begin);
    if (joins && !text->failed) text->n--; /* the bracket that ends the list */
    pd_bytes_printf(text, "%s{\"name\": \"%s\", \"parameters\": ", joins ? ", " : "", name);
    pd_bytes_write(text, arguments, strlen(arguments));
    pd_bytes_write(text, "}]", joins ? 2 : 1);
    c->calls.n++;
    c->calls.end = text->n;
    c->gap = true;
}

pd_status srv_chat_call(srv_chat *c, const char *id, const char *name, const char *arguments,
                        pd_error *err) {
    const char *given = *arguments ? arguments : "{}";
    const struct srv_turn *last = last_turn(c);
    PD_TRY(know_call(c, id, name, err));
    PD_TRY(check_arguments(given, err));
    if (!last || strcmp(last->role, "assistant") != 0) PD_TRY(srv_chat_turn(c, "assistant", err));
    write_call(c, name, given);
    return PD_OK;
}

/* ---- results -------------------------------------------------------------------------------- */

static const char *name_of(const srv_chat *c, const char *id) {
    const srv_known_call *calls = (const srv_known_call *)(const void *)c->known.data;
    for (size_t n = c->known.n / sizeof *calls; n > 0; n--)
        if (strcmp(calls[n - 1].id, id) == 0) return calls[n - 1].name;
    return NULL;
}

static pd_status add_part(srv_chat *c, const cJSON *j, pd_error *err) {
    srv_fields part = {.object = j};
    const char *type = "", *text = NULL;
    if (!cJSON_IsObject(j))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a part of a tool's result has to be an object");
    PD_TRY(srv_get_string(&part, "type", &type, err));
    if (strcmp(type, "text") != 0 && strcmp(type, "input_text") != 0 &&
        strcmp(type, "output_text") != 0)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "a tool's result has to be texts, not %.40s",
                        type);
    PD_TRY(srv_get_string(&part, "text", &text, err));
    if (!text) return PD_RAISE(err, PD_ERR_ARGUMENT, "a text part has no text");
    srv_chat_text(c, text);
    return PD_OK;
}

static pd_status add_content(srv_chat *c, const cJSON *content, pd_error *err) {
    const cJSON *part;
    if (!content) return PD_OK;
    if (cJSON_IsString(content)) {
        srv_chat_text(c, content->valuestring);
        return PD_OK;
    }
    if (!cJSON_IsArray(content))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a tool's result has to be a string or a list");
    cJSON_ArrayForEach(part, content) PD_TRY(add_part(c, part, err));
    return PD_OK;
}

pd_status srv_chat_result(srv_chat *c, const char *id, const cJSON *content, bool is_error,
                          pd_error *err) {
    const char *name = id ? name_of(c, id) : NULL;
    if (!name)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a tool's result belongs to no call before it: %.80s",
                        id ? id : "it has no id");
    c->gap = true;
    srv_chat_fill_gap(c);
    pd_bytes_printf(&last_turn(c)->text, "```tool_output %s\n%s", name, is_error ? "Error: " : "");
    PD_TRY(add_content(c, content, err));
    pd_bytes_printf(&last_turn(c)->text, "\n```");
    c->gap = true;
    return PD_OK;
}

/* ---- conversations -------------------------------------------------------------------------- */

pd_status srv_chat_tools(srv_chat *c, const srv_tools *tools, pd_error *err) {
    pd_bytes *text = &c->turns[0].text;
    if (strcmp(c->turns[0].role, "system") != 0) {
        memmove(c->turns + 1, c->turns, c->n_turns++ * sizeof *c->turns);
        c->turns[0] = (struct srv_turn){.role = "system"};
    }
    if (text->n) pd_bytes_write(text, "\n\n", 2);
    srv_tools_prompt(tools, text);
    return text->failed ? PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a request") : PD_OK;
}

pd_status srv_chat_check_end(const srv_chat *c, pd_error *err) {
    if (!ends_with_calls(c)) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT,
                    "the conversation ends with a tool call that has no result");
}

/* ---- chat completions ----------------------------------------------------------------------- */

static pd_status read_chat_call(srv_chat *c, const cJSON *j, pd_error *err) {
    srv_fields call = {.object = j}, function = {0};
    const char *type = "function", *id = NULL, *name = NULL, *arguments = "";
    if (!cJSON_IsObject(j))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a tool call has to be an object");
    PD_TRY(srv_get_string(&call, "type", &type, err));
    if (strcmp(type, "function") != 0)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "a tool call of type %.40s is not known here",
                        type);
    function.object = srv_get(&call, "function");
    PD_TRY(srv_get_string(&call, "id", &id, err));
    PD_TRY(srv_get_string(&function, "name", &name, err));
    PD_TRY(srv_get_string(&function, "arguments", &arguments, err));
    return srv_chat_call(c, id, name, arguments, err);
}

pd_status srv_read_tool_calls(srv_chat *c, srv_fields *message, pd_error *err) {
    const cJSON *list = srv_get(message, "tool_calls"), *call;
    if (srv_get(message, "function_call"))
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "a message's function_call is not known here: tool_calls are");
    if (!list) return PD_OK;
    if (!cJSON_IsArray(list)) return srv_refuse(message, "tool_calls", "a list", list, err);
    if (list->child && strcmp(last_turn(c)->role, "assistant") != 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "tool_calls are of assistant messages alone");
    cJSON_ArrayForEach(call, list) PD_TRY(read_chat_call(c, call, err));
    return PD_OK;
}

pd_status srv_read_tool_message(srv_chat *c, srv_fields *message, pd_error *err) {
    const char *id = NULL;
    PD_TRY(srv_get_string(message, "tool_call_id", &id, err));
    PD_TRY(srv_chat_turn(c, "user", err));
    return srv_chat_result(c, id, srv_get(message, "content"), false, err);
}

/* ---- responses ------------------------------------------------------------------------------ */

pd_status srv_read_function_call(srv_chat *c, srv_fields *item, pd_error *err) {
    const char *id = NULL, *name = NULL, *arguments = "";
    PD_TRY(srv_get_string(item, "call_id", &id, err));
    PD_TRY(srv_get_string(item, "name", &name, err));
    PD_TRY(srv_get_string(item, "arguments", &arguments, err));
    return srv_chat_call(c, id, name, arguments, err);
}

pd_status srv_read_function_output(srv_chat *c, srv_fields *item, pd_error *err) {
    const char *id = NULL;
    PD_TRY(srv_get_string(item, "call_id", &id, err));
    PD_TRY(srv_chat_turn(c, "user", err));
    return srv_chat_result(c, id, srv_get(item, "output"), false, err);
}

/* ---- messages ------------------------------------------------------------------------------- */

static pd_status need_role(const srv_chat *c, const char *role, const char *what, pd_error *err) {
    if (strcmp(last_turn(c)->role, role) == 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "%s can be in messages of the role %s alone", what, role);
}

pd_status srv_read_tool_use(srv_chat *c, srv_fields *block, pd_error *err) {
    const char *id = NULL, *name = NULL;
    const cJSON *input = srv_get(block, "input");
    PD_TRY(need_role(c, "assistant", "a tool_use", err));
    PD_TRY(srv_get_string(block, "id", &id, err));
    PD_TRY(srv_get_string(block, "name", &name, err));
    if (!cJSON_IsObject(input)) return srv_refuse(block, "input", "an object", input, err);
    char *arguments = cJSON_PrintUnformatted(input);
    if (!arguments) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a request");
    pd_status status = srv_chat_call(c, id, name, arguments, err);
    cJSON_free(arguments);
    return status;
}

pd_status srv_read_tool_result(srv_chat *c, srv_fields *block, pd_error *err) {
    const char *id = NULL;
    bool is_error = false;
    PD_TRY(need_role(c, "user", "a tool_result", err));
    PD_TRY(srv_get_string(block, "tool_use_id", &id, err));
    PD_TRY(srv_get_bool(block, "is_error", &is_error, err));
    return srv_chat_result(c, id, srv_get(block, "content"), is_error, err);
}
