/* Messages as Anthropic writes them: an answer has one block of text, or calls of tools. A stream's
 * events have names, and tell when the message and its block begin and end.
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
                                : srv_ends_with_calls(c)           ? "tool_use"
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

/* input: the arguments' text; what was cut off is none. */
static cJSON *tool_json(const srv_choice *c, uint32_t i, const char *name, const char *input) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "type", "tool_use");
    srv_add_call_id(j, "id", "toolu_", c, i);
    cJSON_AddStringToObject(j, "name", name);
    cJSON_AddItemToObject(j, "input", cJSON_CreateRaw(input));
    return j;
}

static void add_tools(cJSON *content, srv_choice *c) {
    const char *text = c->text.data;
    size_t n = c->text.n;
    srv_tool_call call;
    for (uint32_t i = 0; srv_scan_call(&c->scan, &text, &n, &call); i++) {
        pd_bytes input = {0};
        if (call.is_whole) pd_bytes_write(&input, call.arguments, call.n_arguments);
        bool has_any = input.n > 0 && !input.failed;
        cJSON_AddItemToArray(content, tool_json(c, i, call.name, has_any ? input.data : "{}"));
        pd_bytes_free(&input);
    }
}

/* Without a block as long as the answer goes on. */
static cJSON *message_json(srv_call *call) {
    srv_choice *c = &call->parts[0].choices[0];
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "id", call->id);
    cJSON_AddStringToObject(j, "type", "message");
    cJSON_AddStringToObject(j, "role", "assistant");
    cJSON_AddStringToObject(j, "model", call->model);
    cJSON *content = cJSON_AddArrayToObject(j, "content");
    if (c->finish && srv_is_calls(c, &c->text))
        add_tools(content, c);
    else if (c->finish)
        cJSON_AddItemToArray(content, text_json("text", &c->text));
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

static void tell_block(srv_call *call, uint32_t index, const char *type, const char *name,
                       cJSON *member) {
    cJSON *j = event(type, name, member);
    srv_add_count(j, "index", index);
    srv_stream_json(call, type, j);
}

static void begin_block(srv_call *call, uint32_t index, cJSON *block) {
    tell_block(call, index, "content_block_start", "content_block", block);
}

static void tell_delta(srv_call *call, uint32_t index, cJSON *delta) {
    tell_block(call, index, "content_block_delta", "delta", delta);
}

static void end_block(srv_call *call, uint32_t index) {
    tell_block(call, index, "content_block_stop", NULL, NULL);
}

static void begin_text(srv_choice *c) {
    if (!c->part->began) begin_block(c->call, 0, text_json("text", &(pd_bytes){0}));
    c->part->began = true;
}

/* Where tools can be called it is not known yet what comes. */
static void begin(srv_call *call) {
    static const char start[] = "message_start";
    srv_stream_json(call, start, event(start, "message", message_json(call)));
    if (!call->settings.tools.list) begin_text(&call->parts[0].choices[0]);
    srv_stream_text(call, ping);
}

static void tell_piece(srv_choice *c, const srv_piece *p) {
    uint32_t index = c->scan.n_calls - 1;
    cJSON *delta;
    switch (p->kind) {
    case SRV_PIECE_WORDS:
        begin_text(c);
        tell_delta(c->call, 0, text_json("text_delta", &c->text));
        break;
    case SRV_PIECE_NAME:
        begin_block(c->call, index, tool_json(c, index, c->scan.name, "{}"));
        break;
    case SRV_PIECE_ARGUMENTS:
        delta = event("input_json_delta", NULL, NULL);
        srv_add_text(delta, "partial_json", p->text, p->n);
        tell_delta(c->call, index, delta);
        break;
    case SRV_PIECE_END: end_block(c->call, index); break;
    }
}

static void piece(srv_choice *c) {
    const char *text = c->text.data;
    size_t n = c->text.n;
    srv_piece piece = {.kind = SRV_PIECE_WORDS};
    if (!c->call->settings.tools.list)
        tell_piece(c, &piece);
    else
        while (srv_scan_next(&c->scan, &text, &n, &piece)) tell_piece(c, &piece);
}

/* A call that was cut off ends too. */
static void end(srv_choice *c) {
    const srv_tool_scan *s = &c->scan;
    if (s->state == SRV_SCAN_START || s->state == SRV_SCAN_WORDS) {
        begin_text(c);
        end_block(c->call, 0);
    } else if (s->n_ended < s->n_calls) {
        end_block(c->call, s->n_calls - 1);
    }
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
    PD_TRY(srv_read_tools(c->engine->model, f, SRV_TOOLS_MESSAGES, s, err));
    return srv_ask_conversation(c, &srv_messages_form, f, out, err);
}

void srv_messages(const srv_context *c) {
    srv_call_begin(c, &writer, "msg_", read);
}
