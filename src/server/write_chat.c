/* Chat completions as OpenAI writes them.
 * https://platform.openai.com/docs/api-reference/chat  SPDX-License-Identifier: MIT */
#include "server/call.h"

/* ---- log-probabilities ---------------------------------------------------------------------- */

static cJSON *token_json(const pd_model *m, pd_log_prob p) {
    srv_token t;
    cJSON *j = cJSON_CreateObject();
    srv_token_read(m, p.id, &t);
    cJSON_AddItemToObject(j, "token", srv_token_json(&t));
    srv_add_float(j, "logprob", p.log_prob);
    cJSON *bytes = cJSON_AddArrayToObject(j, "bytes");
    for (size_t i = 0; i < t.n; i++)
        cJSON_AddItemToArray(bytes, cJSON_CreateNumber((uint8_t)t.text[i]));
    srv_add_count(j, "id", p.id); /* llama.cpp's */
    return j;
}

cJSON *srv_log_prob_json(const srv_call *call, const pd_event *e) {
    const pd_model *m = call->engine->model;
    if (!call->settings.ignore_stop && pd_model_is_stop(m, e->token.id)) return NULL;
    cJSON *j = token_json(m, e->token), *top = cJSON_AddArrayToObject(j, "top_logprobs");
    for (uint32_t i = 0; i < e->n_top; i++) cJSON_AddItemToArray(top, token_json(m, e->top[i]));
    return j;
}

/* {"content": [...]}. */
static void add_log_prob(srv_choice *c, const pd_event *e) {
    if (!c->log_probs) {
        c->log_probs = cJSON_CreateObject();
        cJSON_AddArrayToObject(c->log_probs, "content");
        cJSON_AddNullToObject(c->log_probs, "refusal");
    }
    cJSON *j = srv_log_prob_json(c->call, e);
    if (j) cJSON_AddItemToArray(cJSON_GetObjectItem(c->log_probs, "content"), j);
}

/* ---- whole ---------------------------------------------------------------------------------- */

static cJSON *log_probs_or_null(srv_choice *c) {
    cJSON *j = srv_take_log_probs(c);
    return j ? j : cJSON_CreateNull();
}

/* One of a message's tool_calls. */
static cJSON *call_json(const srv_choice *c, uint32_t i, const char *name, const char *arguments,
                        size_t n) {
    cJSON *j = cJSON_CreateObject();
    srv_add_call_id(j, "id", "call_", c, i);
    cJSON_AddStringToObject(j, "type", "function");
    cJSON *function = cJSON_AddObjectToObject(j, "function");
    cJSON_AddStringToObject(function, "name", name);
    srv_add_text(function, "arguments", arguments, n);
    return j;
}

static void add_calls(cJSON *message, srv_choice *c) {
    const char *text = c->text.data;
    size_t n = c->text.n;
    srv_tool_call call;
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; srv_scan_call(&c->scan, &text, &n, &call); i++)
        cJSON_AddItemToArray(list, call_json(c, i, call.name, call.arguments, call.n_arguments));
    cJSON_AddNullToObject(message, "content");
    if (list->child)
        cJSON_AddItemToObject(message, "tool_calls", list);
    else
        cJSON_Delete(list);
}

static const char *finish_of(const srv_choice *c) {
    return srv_ends_with_calls(c) ? "tool_calls" : c->finish;
}

static cJSON *choice_json(srv_choice *c) {
    cJSON *j = cJSON_CreateObject();
    srv_add_count(j, "index", c->index);
    cJSON *message = cJSON_AddObjectToObject(j, "message");
    cJSON_AddStringToObject(message, "role", "assistant");
    if (srv_is_calls(c, &c->text))
        add_calls(message, c);
    else
        srv_add_text(message, "content", c->text.data ? c->text.data : "", c->text.n);
    cJSON_AddNullToObject(message, "refusal");
    cJSON_AddItemToObject(j, "logprobs", log_probs_or_null(c));
    cJSON_AddStringToObject(j, "finish_reason", finish_of(c));
    return j;
}

static cJSON *whole(srv_call *call) {
    cJSON *j = srv_completion_head(call, "chat.completion"),
          *choices = cJSON_AddArrayToObject(j, "choices");
    for (uint32_t i = 0; i < call->settings.n_choices; i++)
        cJSON_AddItemToArray(choices, choice_json(&call->parts[0].choices[i]));
    srv_add_usage(j, call);
    srv_add_timings(j, call);
    return j;
}

/* ---- streams -------------------------------------------------------------------------------- */

static const char chunk_object[] = "chat.completion.chunk";

/* One choice's chunk, with an empty "delta" to be filled in. */
static cJSON *chunk(const srv_choice *c, cJSON **delta, cJSON **choice) {
    cJSON *j = srv_completion_head(c->call, chunk_object);
    *choice = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(j, "choices"), *choice);
    srv_add_count(*choice, "index", c->index);
    *delta = cJSON_AddObjectToObject(*choice, "delta");
    return j;
}

static void begin(srv_call *call) {
    for (uint32_t i = 0; i < call->settings.n_choices; i++) {
        cJSON *delta, *choice, *j = chunk(&call->parts[0].choices[i], &delta, &choice);
        cJSON_AddStringToObject(delta, "role", "assistant");
        cJSON_AddStringToObject(delta, "content", "");
        cJSON_AddNullToObject(choice, "finish_reason");
        srv_stream_json(call, NULL, j);
    }
}

/* A chunk in the middle. Of several that one token makes, the first has its log_probs. */
static void tell_chunk(srv_choice *c, cJSON *chunk, cJSON *choice) {
    cJSON_AddItemToObject(choice, "logprobs", log_probs_or_null(c));
    cJSON_AddNullToObject(choice, "finish_reason");
    if (c->call->settings.timings_per_token) srv_add_timings(chunk, c->call);
    srv_stream_json(c->call, NULL, chunk);
}

static void tell_words(srv_choice *c, const char *text, size_t n) {
    cJSON *delta, *choice, *j = chunk(c, &delta, &choice);
    srv_add_text(delta, "content", text ? text : "", n);
    tell_chunk(c, j, choice);
}

/* {"tool_calls": [{"index", ...}]}: first with id and name, then arguments alone. */
static void tell_call(srv_choice *c, const srv_piece *piece) {
    cJSON *delta, *choice, *call, *j = chunk(c, &delta, &choice);
    uint32_t i = c->scan.n_calls - 1;
    if (piece->kind == SRV_PIECE_NAME) {
        call = call_json(c, i, c->scan.name, "", 0);
    } else {
        call = cJSON_CreateObject();
        srv_add_text(cJSON_AddObjectToObject(call, "function"), "arguments", piece->text, piece->n);
    }
    srv_add_count(call, "index", i);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(delta, "tool_calls"), call);
    tell_chunk(c, j, choice);
}

static void piece(srv_choice *c) {
    const char *text = c->text.data;
    size_t n = c->text.n;
    srv_piece piece;
    if (!c->call->settings.tools.list) {
        tell_words(c, text, n);
        return;
    }
    while (srv_scan_next(&c->scan, &text, &n, &piece)) {
        if (piece.kind == SRV_PIECE_WORDS)
            tell_words(c, piece.text, piece.n);
        else if (piece.kind != SRV_PIECE_END)
            tell_call(c, &piece);
    }
    if (!c->log_probs) return;
    cJSON *delta, *choice, *j = chunk(c, &delta, &choice); /* of what stands between arguments */
    tell_chunk(c, j, choice);
}

static void end(srv_choice *c) {
    cJSON *delta, *choice, *j = chunk(c, &delta, &choice);
    cJSON_AddStringToObject(choice, "finish_reason", finish_of(c));
    srv_stream_json(c->call, NULL, j);
}

static void finish(srv_call *call) {
    srv_completion_done(call, chunk_object);
}

static const srv_writer writer = {.log_prob = add_log_prob,
                                  .begin = begin,
                                  .piece = piece,
                                  .end = end,
                                  .finish = finish,
                                  .whole = whole,
                                  .ping = ": ping\n\n"};

/* ---- POST /v1/chat/completions -------------------------------------------------------------- */

/* "logprobs": true and "top_logprobs": N. */
static pd_status read_log_probs(srv_fields *f, srv_settings *s, pd_error *err) {
    PD_TRY(srv_get_bool(f, "logprobs", &s->log_probs, err));
    PD_TRY(srv_get_u32(f, "top_logprobs", 0, PD_MAX_TOP_LOG_PROBS, &s->n_top, err));
    if (s->log_probs || !s->n_top) return PD_OK;
    srv_blame(f, "top_logprobs");
    return PD_RAISE(err, PD_ERR_ARGUMENT, "top_logprobs needs logprobs: true");
}

static pd_status read(const srv_context *c, srv_fields *f, srv_asked *out, pd_error *err) {
    srv_settings *s = &out->settings;
    PD_TRY(srv_get_string(f, "model", &out->model, err));
    PD_TRY(srv_settings_read(c->server, c->engine->model, f, s, err));
    PD_TRY(read_log_probs(f, s, err));
    PD_TRY(srv_read_n_max(f, "max_tokens", s, err));
    PD_TRY(srv_read_n_max(f, "max_completion_tokens", s, err));
    PD_TRY(srv_read_tools(c->engine->model, f, SRV_TOOLS_CHAT, s, err));
    return srv_ask_conversation(c, &srv_chat_form, f, out, err);
}

void srv_chat_completions(const srv_context *c) {
    srv_call_begin(c, &writer, "chatcmpl-", read);
}
