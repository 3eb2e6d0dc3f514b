/* Responses as OpenAI writes them: an answer is a list of items, here one message of one part, or
 * calls of functions. A stream tells each of these when it begins and once more, whole, when it is
 * over. Nothing is stored: a response knows no earlier one.
 * https://platform.openai.com/docs/api-reference/responses  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "server/call.h"

/* ---- the parts of an answer ----------------------------------------------------------------- */

static void add_log_prob(srv_choice *c, const pd_event *e) {
    if (!c->log_probs) c->log_probs = cJSON_CreateArray();
    cJSON *j = srv_log_prob_json(c->call, e);
    if (j) cJSON_AddItemToArray(c->log_probs, j);
}

/* What is known of the answer becomes part of what has been told. */
static void keep_text(srv_choice *c) {
    pd_bytes_write(&c->told, c->text.data, c->text.n);
}

static void keep_log_probs(srv_choice *c) {
    cJSON *new = srv_take_log_probs(c), *j;
    if (!c->told_log_probs) c->told_log_probs = cJSON_CreateArray();
    while ((j = cJSON_DetachItemFromArray(new, 0))) cJSON_AddItemToArray(c->told_log_probs, j);
    cJSON_Delete(new);
}

static void add_log_probs(cJSON *object, const cJSON *list) {
    cJSON_AddItemToObject(object, "logprobs",
                          list ? cJSON_Duplicate(list, true) : cJSON_CreateArray());
}

static cJSON *part_json(const srv_choice *c) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "type", "output_text");
    srv_add_text(j, "text", c->told.data, c->told.n);
    cJSON_AddArrayToObject(j, "annotations");
    add_log_probs(j, c->told_log_probs);
    return j;
}

static void add_item_id(cJSON *object, const char *name, const srv_call *call) {
    char id[sizeof call->id];
    snprintf(id, sizeof id, "msg_%s", strchr(call->id, '_') + 1);
    cJSON_AddStringToObject(object, name, id);
}

static const char *status_of(const srv_choice *c) {
    if (!c->finish) return "in_progress";
    return strcmp(c->finish, "length") == 0 ? "incomplete" : "completed";
}

/* Without its part as long as the answer goes on. */
static cJSON *item_json(const srv_choice *c) {
    cJSON *j = cJSON_CreateObject();
    add_item_id(j, "id", c->call);
    cJSON_AddStringToObject(j, "type", "message");
    cJSON_AddStringToObject(j, "status", status_of(c));
    cJSON_AddStringToObject(j, "role", "assistant");
    cJSON *content = cJSON_AddArrayToObject(j, "content");
    if (c->finish) cJSON_AddItemToArray(content, part_json(c));
    return j;
}

/* ---- calls ---------------------------------------------------------------------------------- */

static cJSON *call_json(const srv_choice *c, uint32_t i, const srv_tool_call *call,
                        const char *status) {
    cJSON *j = cJSON_CreateObject();
    srv_add_call_id(j, "id", "fc_", c, i);
    cJSON_AddStringToObject(j, "type", "function_call");
    cJSON_AddStringToObject(j, "status", status);
    srv_add_call_id(j, "call_id", "call_", c, i);
    cJSON_AddStringToObject(j, "name", call->name);
    srv_add_text(j, "arguments", call->arguments, call->n_arguments);
    return j;
}

static const char *call_status(const srv_tool_call *call) {
    return call->is_whole ? "completed" : "incomplete";
}

/* Call number i of what has been told. */
static srv_tool_call find_call(const srv_choice *c, uint32_t i) {
    const char *text = c->told.data;
    size_t n = c->told.n;
    srv_tool_scan scan = {0};
    srv_tool_call call = {.arguments = ""};
    for (uint32_t k = 0; k <= i && srv_scan_call(&scan, &text, &n, &call); k++) {
    }
    return call;
}

static void add_calls(cJSON *output, const srv_choice *c) {
    const char *text = c->told.data;
    size_t n = c->told.n;
    srv_tool_scan scan = {0};
    srv_tool_call call;
    for (uint32_t i = 0; srv_scan_call(&scan, &text, &n, &call); i++)
        cJSON_AddItemToArray(output, call_json(c, i, &call, call_status(&call)));
}

/* ---- the whole of it ------------------------------------------------------------------------ */

static void add_usage(cJSON *j, const srv_call *call) {
    pd_request_stats s = srv_call_stats(call);
    cJSON *usage = cJSON_AddObjectToObject(j, "usage");
    srv_add_count(usage, "input_tokens", s.n_prompt);
    cJSON *details = cJSON_AddObjectToObject(usage, "input_tokens_details");
    srv_add_count(details, "cached_tokens", s.n_cached);
    srv_add_count(details, "cache_write_tokens", 0);
    srv_add_count(usage, "output_tokens", s.n_drawn);
    srv_add_count(cJSON_AddObjectToObject(usage, "output_tokens_details"), "reasoning_tokens", 0);
    srv_add_count(usage, "total_tokens", (uint64_t)s.n_prompt + s.n_drawn);
}

/* Fields that clients expect, and that have one value here. */
static void add_constants(cJSON *j) {
    cJSON_AddFalseToObject(j, "background");
    cJSON_AddFalseToObject(j, "store");
    cJSON_AddNullToObject(j, "previous_response_id");
    cJSON_AddStringToObject(j, "truncation", "disabled");
    cJSON *reasoning = cJSON_AddObjectToObject(j, "reasoning");
    cJSON_AddNullToObject(reasoning, "effort");
    cJSON_AddNullToObject(reasoning, "summary");
}

static void add_settings(cJSON *j, const srv_settings *s) {
    const cJSON *field;
    srv_add_float(j, "temperature", s->sampler.temp);
    srv_add_float(j, "top_p", s->sampler.top_p > 0 ? s->sampler.top_p : 1);
    cJSON_ArrayForEach(field, s->repeated)
        cJSON_AddItemToObject(j, field->string, cJSON_Duplicate(field, true));
}

static void add_items(cJSON *output, const srv_choice *c) {
    if (srv_is_calls(c, &c->told))
        add_calls(output, c);
    else
        cJSON_AddItemToArray(output, item_json(c));
}

static cJSON *response_json(const srv_call *call, const pd_error *err) {
    const srv_choice *c = &call->parts[0].choices[0];
    cJSON *j = cJSON_CreateObject(), *inside;
    cJSON_AddStringToObject(j, "id", call->id);
    cJSON_AddStringToObject(j, "object", "response");
    srv_add_count(j, "created_at", call->created);
    cJSON_AddStringToObject(j, "status", err ? "failed" : status_of(c));
    cJSON_AddStringToObject(j, "model", call->model);
    inside = cJSON_AddArrayToObject(j, "output");
    if (c->finish && !err) add_items(inside, c);
    inside = err ? cJSON_AddObjectToObject(j, "error") : cJSON_AddNullToObject(j, "error");
    if (err) cJSON_AddStringToObject(inside, "code", "server_error");
    if (err) srv_add_text(inside, "message", err->message, strlen(err->message));
    bool is_cut = !err && strcmp(status_of(c), "incomplete") == 0;
    inside = is_cut ? cJSON_AddObjectToObject(j, "incomplete_details")
                    : cJSON_AddNullToObject(j, "incomplete_details");
    if (is_cut) cJSON_AddStringToObject(inside, "reason", "max_output_tokens");
    add_settings(j, &call->settings);
    add_constants(j);
    if (c->finish && !err)
        add_usage(j, call);
    else
        cJSON_AddNullToObject(j, "usage");
    return j;
}

static cJSON *whole(srv_call *call) {
    keep_text(&call->parts[0].choices[0]);
    keep_log_probs(&call->parts[0].choices[0]);
    return response_json(call, NULL);
}

/* ---- streams -------------------------------------------------------------------------------- */

static cJSON *event(const srv_call *call, const char *type) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "type", type);
    srv_add_count(j, "sequence_number", call->n_events);
    return j;
}

static void tell_response(srv_call *call, const char *type, const pd_error *err) {
    cJSON *j = event(call, type);
    cJSON_AddItemToObject(j, "response", response_json(call, err));
    srv_stream_json(call, type, j);
}

static void tell_item(const srv_choice *c, const char *type, uint32_t index, cJSON *item) {
    cJSON *j = event(c->call, type);
    srv_add_count(j, "output_index", index);
    cJSON_AddItemToObject(j, "item", item);
    srv_stream_json(c->call, type, j);
}

/* Of what is in the item's part. */
static cJSON *inner_event(const srv_choice *c, const char *type) {
    cJSON *j = event(c->call, type);
    add_item_id(j, "item_id", c->call);
    srv_add_count(j, "output_index", 0);
    srv_add_count(j, "content_index", 0);
    return j;
}

static void tell_part(const srv_choice *c, const char *type) {
    cJSON *j = inner_event(c, type);
    cJSON_AddItemToObject(j, "part", part_json(c));
    srv_stream_json(c->call, type, j);
}

static void begin_message(srv_choice *c) {
    if (c->part->began) return;
    c->part->began = true;
    tell_item(c, "response.output_item.added", 0, item_json(c));
    tell_part(c, "response.content_part.added");
}

/* Where tools can be called it is not known yet what comes. */
static void begin(srv_call *call) {
    tell_response(call, "response.created", NULL);
    tell_response(call, "response.in_progress", NULL);
    if (!call->settings.tools.list) begin_message(&call->parts[0].choices[0]);
}

static void tell_words(srv_choice *c, const char *text, size_t n) {
    static const char type[] = "response.output_text.delta";
    cJSON *j = inner_event(c, type);
    srv_add_text(j, "delta", text, n);
    add_log_probs(j, c->log_probs);
    srv_stream_json(c->call, type, j);
}

static void end_message(const srv_choice *c) {
    static const char type[] = "response.output_text.done";
    cJSON *j = inner_event(c, type);
    srv_add_text(j, "text", c->told.data, c->told.n);
    add_log_probs(j, c->told_log_probs);
    srv_stream_json(c->call, type, j);
    tell_part(c, "response.content_part.done");
    tell_item(c, "response.output_item.done", 0, item_json(c));
}

/* ---- calls in streams ----------------------------------------------------------------------- */

static cJSON *arguments_event(const srv_choice *c, uint32_t i, const char *type) {
    cJSON *j = event(c->call, type);
    srv_add_call_id(j, "item_id", "fc_", c, i);
    srv_add_count(j, "output_index", i);
    return j;
}

static void begin_call(const srv_choice *c, uint32_t i) {
    srv_tool_call call = {.arguments = ""};
    memcpy(call.name, c->scan.name, sizeof call.name);
    tell_item(c, "response.output_item.added", i, call_json(c, i, &call, "in_progress"));
}

static void tell_arguments(const srv_choice *c, uint32_t i, const srv_piece *p) {
    static const char type[] = "response.function_call_arguments.delta";
    cJSON *j = arguments_event(c, i, type);
    srv_add_text(j, "delta", p->text, p->n);
    srv_stream_json(c->call, type, j);
}

static void end_call(const srv_choice *c, uint32_t i) {
    static const char type[] = "response.function_call_arguments.done";
    srv_tool_call call = find_call(c, i);
    cJSON *j = arguments_event(c, i, type);
    cJSON_AddStringToObject(j, "name", call.name);
    srv_add_text(j, "arguments", call.arguments, call.n_arguments);
    srv_stream_json(c->call, type, j);
    tell_item(c, "response.output_item.done", i, call_json(c, i, &call, call_status(&call)));
}

static void tell_piece(srv_choice *c, const srv_piece *p) {
    uint32_t i = c->scan.n_calls - 1;
    switch (p->kind) {
    case SRV_PIECE_WORDS:
        begin_message(c);
        tell_words(c, p->text, p->n);
        break;
    case SRV_PIECE_NAME: begin_call(c, i); break;
    case SRV_PIECE_ARGUMENTS: tell_arguments(c, i, p); break;
    case SRV_PIECE_END: end_call(c, i); break;
    }
}

/* A call that was cut off ends too. */
static void end_calls(const srv_choice *c) {
    if (c->scan.n_ended < c->scan.n_calls) end_call(c, c->scan.n_calls - 1);
}

/* ---- the stream's parts --------------------------------------------------------------------- */

/* What is said once more at the end of a call is kept before that is told. */
static void piece(srv_choice *c) {
    const char *text = c->text.data;
    size_t n = c->text.n;
    srv_piece piece;
    keep_text(c);
    if (!c->call->settings.tools.list)
        tell_words(c, text, n);
    else
        while (srv_scan_next(&c->scan, &text, &n, &piece)) tell_piece(c, &piece);
    keep_log_probs(c);
}

static void end(srv_choice *c) {
    if (srv_is_calls(c, &c->told)) {
        end_calls(c);
    } else {
        begin_message(c);
        end_message(c);
    }
}

static void finish(srv_call *call) {
    bool is_cut = strcmp(call->parts[0].choices[0].finish, "length") == 0;
    tell_response(call, is_cut ? "response.incomplete" : "response.completed", NULL);
}

static void fail(srv_call *call, const pd_error *err) {
    tell_response(call, "response.failed", err);
}

static const srv_writer writer = {.log_prob = add_log_prob,
                                  .begin = begin,
                                  .piece = piece,
                                  .end = end,
                                  .finish = finish,
                                  .fail = fail,
                                  .whole = whole,
                                  .ping = ": ping\n\n"};

/* ---- POST /v1/responses --------------------------------------------------------------------- */

static pd_status refuse_stored(srv_fields *f, pd_error *err) {
    static const char *const names[] = {"previous_response_id", "conversation", "prompt"};
    bool background = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!srv_get(f, names[i])) continue;
        srv_blame(f, names[i]);
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "%s is not known here: nothing is stored",
                        names[i]);
    }
    PD_TRY(srv_get_bool(f, "background", &background, err));
    if (!background) return PD_OK;
    srv_blame(f, "background");
    return PD_RAISE(err, PD_ERR_UNSUPPORTED, "background is not known here: nothing is stored");
}

/* "include": ["message.output_text.logprobs"], "top_logprobs": N. */
static pd_status read_log_probs(srv_fields *f, srv_settings *s, pd_error *err) {
    const cJSON *include = srv_get(f, "include"), *item;
    if (include && !cJSON_IsArray(include))
        return srv_refuse(f, "include", "a list of strings", include, err);
    cJSON_ArrayForEach(item, include) {
        if (!cJSON_IsString(item)) return srv_refuse(f, "include", "a list of strings", item, err);
        if (strcmp(item->valuestring, "message.output_text.logprobs") == 0) s->log_probs = true;
    }
    PD_TRY(srv_get_u32(f, "top_logprobs", 0, PD_MAX_TOP_LOG_PROBS, &s->n_top, err));
    if (!s->log_probs) s->n_top = 0;
    return PD_OK;
}

/* "text": {"format": ...}, which was read before. */
static cJSON *repeated_format(const srv_fields *f) {
    const cJSON *asked = cJSON_GetObjectItemCaseSensitive(srv_get(f, "text"), "format");
    cJSON *text = cJSON_CreateObject();
    if (asked && !cJSON_IsNull(asked))
        cJSON_AddItemToObject(text, "format", cJSON_Duplicate(asked, true));
    else
        cJSON_AddStringToObject(cJSON_AddObjectToObject(text, "format"), "type", "text");
    return text;
}

/* Tools as they were asked for, and what holds without a word. */
static void repeat_tools(const srv_fields *f, cJSON *out) {
    const cJSON *tools = srv_get(f, "tools"), *choice = srv_get(f, "tool_choice"),
                *parallel = srv_get(f, "parallel_tool_calls");
    cJSON_AddItemToObject(out, "tools", tools ? cJSON_Duplicate(tools, true) : cJSON_CreateArray());
    cJSON_AddItemToObject(out, "tool_choice",
                          choice ? cJSON_Duplicate(choice, true) : cJSON_CreateString("auto"));
    cJSON_AddBoolToObject(out, "parallel_tool_calls", !cJSON_IsFalse(parallel));
}

static pd_status read_repeated(srv_fields *f, srv_settings *s, pd_error *err) {
    static const char *const names[] = {"instructions", "max_output_tokens", "metadata", "user"};
    const cJSON *metadata = srv_get(f, "metadata");
    if (metadata && !cJSON_IsObject(metadata))
        return srv_refuse(f, "metadata", "an object", metadata, err);
    s->repeated = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const cJSON *field = srv_get(f, names[i]);
        cJSON_AddItemToObject(s->repeated, names[i],
                              field ? cJSON_Duplicate(field, true) : cJSON_CreateNull());
    }
    cJSON_AddItemToObject(s->repeated, "text", repeated_format(f));
    repeat_tools(f, s->repeated);
    srv_add_count(s->repeated, "top_logprobs", s->n_top);
    return PD_OK;
}

static pd_status read(const srv_context *c, srv_fields *f, srv_asked *out, pd_error *err) {
    srv_settings *s = &out->settings;
    PD_TRY(srv_get_string(f, "model", &out->model, err));
    PD_TRY(srv_settings_read(c->server, c->engine->model, f, s, err));
    s->n_choices = 1;
    PD_TRY(refuse_stored(f, err));
    PD_TRY(srv_read_format(c->engine->model, f, "text", "format", s, err));
    PD_TRY(read_log_probs(f, s, err));
    PD_TRY(srv_get_u32(f, "max_output_tokens", 1, 16777216, &s->n_max, err));
    PD_TRY(srv_read_tools(c->engine->model, f, SRV_TOOLS_RESPONSES, s, err));
    PD_TRY(read_repeated(f, s, err));
    return srv_ask_conversation(c, &srv_responses_form, f, out, err);
}

void srv_responses(const srv_context *c) {
    srv_call_begin(c, &writer, "resp_", read);
}
