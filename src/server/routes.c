/* Which path is whose.  SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/printf_like.h"
#include "server/parts.h"

typedef struct route {
    const char *method, *path;
    void (*fn)(const srv_context *c);
    bool needs_engine;
} route;

static const route routes[] = {
#ifdef PERIDOT_HAS_PAGE
    {"GET", "/", srv_page, false},
    {"GET", "/page/*", srv_page, false},
#endif
    {"GET", "/health", srv_health, false},
    {"GET", "/v1/health", srv_health, false},
    {"GET", "/v1/models", srv_models, true},
    {"GET", "/models", srv_models, true},
    {"GET", "/v1/models/*", srv_model, true},
    {"GET", "/props", srv_props, true},
    {"GET", "/slots", srv_slots, true},
    {"GET", "/metrics", srv_metrics, true},
    {"GET", "/tokenizer_info", srv_tokenizer_info, true},
    {"POST", "/tokenize", srv_tokenize, true},
    {"POST", "/detokenize", srv_detokenize, true},
    {"POST", "/apply-template", srv_apply_template, true},
    {"POST", "/cache/clear", srv_clear_cache, true},
    {"POST", "/v1/embeddings", srv_embeddings, false},
    {"POST", "/embeddings", srv_embeddings, false},
    {"POST", "/v1/completions", srv_completions, true},
    {"POST", "/completions", srv_completions, true},
    {"POST", "/v1/chat/completions", srv_chat_completions, true},
    {"POST", "/chat/completions", srv_chat_completions, true},
    {"POST", "/v1/responses", srv_responses, true},
    {"POST", "/responses", srv_responses, true},
    {"POST", "/v1/responses/input_tokens", srv_count_response, true},
    {"POST", "/responses/input_tokens", srv_count_response, true},
    {"POST", "/v1/messages", srv_messages, true},
    {"POST", "/v1/messages/count_tokens", srv_count_message, true},
};
enum { N_ROUTES = sizeof routes / sizeof *routes };

/* The one with that path; *other: there is one for another method. */
static const route *find(const char *method, const char *path, const route **other) {
    *other = NULL;
    for (size_t i = 0; i < N_ROUTES; i++) {
        if (!pd_http_is_path(routes[i].path, path)) continue;
        if (strcmp(routes[i].method, method) == 0) return &routes[i];
        *other = &routes[i];
    }
    return NULL;
}

static srv_style style_of(const char *path) {
    static const char messages[] = "/v1/messages";
    return strncmp(path, messages, sizeof messages - 1) == 0 ? SRV_ANTHROPIC : SRV_OPENAI;
}

static void refuse(const srv_context *c, int status, const char *code, const char *format, ...)
    PD_PRINTF_LIKE(4, 5);
static void refuse(const srv_context *c, int status, const char *code, const char *format, ...) {
    char message[200];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    srv_send_refusal(c->reply, c->style, status, code, message);
}

void srv_handle(void *server, const pd_http_request *request, pd_http_reply *reply) {
    srv_context c = {
        .server = server, .request = request, .reply = reply, .style = style_of(request->path)};
    const route *other, *r = find(request->method, request->path, &other);
    if (!r && other) {
        pd_http_add_header(reply, "Allow", other->method);
        refuse(&c, 405, NULL, "%.64s takes %s", request->path, other->method);
        return;
    }
    if (!r) {
        refuse(&c, 404, NULL, "there is no %.64s here", request->path);
        return;
    }
    bool is_late = atomic_load(&c.server->drains) && strcmp(r->method, "POST") == 0;
    if (r->needs_engine) c.engine = srv_engine_hold(c.server);
    if (is_late)
        refuse(&c, 503, "ending", "the server is ending");
    else if (r->needs_engine && !c.engine)
        refuse(&c, 503, "loading_model", "the model is being loaded");
    else
        r->fn(&c);
    srv_engine_release(c.engine);
}
