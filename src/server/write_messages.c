/* Messages as Anthropic writes them: an answer has one block of text. A stream's events have names,
 * and tell when the message and its block begin and end.
 * https://docs.anthropic.com/en/api/messages  SPDX-License-Identifier: MIT */
#include <string.h>

#include "server/call.h"

/* ---- the parts of an answer ----------------------------------------------------------------- */

/* Tokens that were known already are no part of input_tokens. */
static void add_usage(cJSON *j, const srv_call *call) {
    pd_request_stats s = srv_call_stats(call);
    cJSON *usage = cJSON_AddObjectToObject(j, "usage");
    srv_add_count(usage, "input_tokens", s.n_prompt - s.n_cached);
    srv_add_count(usage, "cache_creation_input_tokens", 0);
    srv_add_count(usage, "cache_read_input_tokens", s.n_cached);
    srv_add_count(usage, "output_tokens", s.n_drawn);
}

static void add_end(cJSON *j, const srv_choice *c) {
    if (!c->finish)
        cJSON_AddNullToObject(j, "stop_reason");
    else
        cJSON_AddStringToObject(j, "stop_reason",
                                c->matched                         ? "stop_sequence"
                                : strcmp(c->finish, "length") == 0 ? "max_tokens"
                                                                   : "end_turn");
    if (c->matched)
        cJSON_AddStringToObject(j, "stop_sequence", c->matched);
    else
        cJSON_AddNullToObject(j, "stop_sequence");
}

static cJSON *text_json(const char *type, const pd_bytes *text) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "type", type);
    srv_add_text(j, "text", text->data, text->n);
    return j;
}

/* Without a block as long as the answer goes on. */
static cJSON *message_json(const srv_call *call) {
    const srv_choice *c = &call->parts[0].choices[0];
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "id", call->id);
    cJSON_AddStringToObject(j, "type", "message");
    cJSON_AddStringToObject(j, "role", "assistant");
    cJSON_AddStringToObject(j, "model", call->model);
    cJSON *content = cJSON_AddArrayToObject(j, "content");
    if (c->finish) cJSON_AddItemToArray(content, text_json("text", &c->text));
    add_end(j, c);
    add_usage(j, call);
    return j;
}

static cJSON *whole(srv_call *call) {
    return message_json(call);
}

/* ---- streams -------------------------------------------------------------------------------- */

static const char ping[] = "event: ping\ndata: {\"type\":\"ping\"}\n\n";

/* With a member, which may be NULL. */
static cJSON *event(const char *type, const char *name, cJSON *member) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "type", type);
    if (member) cJSON_AddItemToObject(j, name, member);
    return j;
}

static void tell_block(srv_call *call, const char *type, const char *name, cJSON *member) {
    cJSON *j = event(type, name, member);
    srv_add_count(j, "index", 0);
    srv_stream_json(call, type, j);
}

static void begin(srv_call *call) {
    static const char start[] = "message_start";
    srv_stream_json(call, start, event(start, "message", message_json(call)));
    tell_block(call, "content_block_start", "content_block", text_json("text", &(pd_bytes){0}));
    srv_stream_text(call, ping);
}

static void piece(srv_choice *c) {
    tell_block(c->call, "content_block_delta", "delta", text_json("text_delta", &c->text));
}

static void end(srv_choice *c) {
    tell_block(c->call, "content_block_stop", NULL, NULL);
}

static void finish(srv_call *call) {
    static const char delta[] = "message_delta", stop[] = "message_stop";
    cJSON *how = cJSON_CreateObject();
    add_end(how, &call->parts[0].choices[0]);
    cJSON *j = event(delta, "delta", how);
    add_usage(j, call);
    srv_stream_json(call, delta, j);
    srv_stream_json(call, stop, event(stop, NULL, NULL));
}

static const srv_writer writer = {
    .begin = begin, .piece = piece, .end = end, .finish = finish, .whole = whole, .ping = ping};

/* ---- POST /v1/messages ---------------------------------------------------------------------- */

static pd_status read(const srv_context *c, srv_fields *f, srv_asked *out, pd_error *err) {
    srv_settings *s = &out->settings;
    PD_TRY(srv_get_string(f, "model", &out->model, err));
    PD_TRY(srv_settings_read(c->server, c->engine->model, f, s, err));
    s->n_choices = 1;
    if (!srv_get(f, "max_tokens")) return srv_refuse(f, "max_tokens", "a number", NULL, err);
    PD_TRY(srv_get_u32(f, "max_tokens", 1, 16777216, &s->n_max, err));
    PD_TRY(srv_read_format(c->engine->model, f, "output_config", "format", s, err));
    PD_TRY(srv_read_stops(f, "stop_sequences", s, err));
    return srv_ask_conversation(c, &srv_messages_form, f, out, err);
}

void srv_messages(const srv_context *c) {
    srv_call_begin(c, &writer, "msg_", read);
}
