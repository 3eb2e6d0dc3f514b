/* Which path is whose.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "server/parts.h"

typedef struct route {
    const char *method, *path;
    void (*fn)(const srv_context *c);
    bool needs_engine;
} route;

static const route routes[] = {
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
};
enum { N_ROUTES = sizeof routes / sizeof *routes };

/* A star at the end stands for any rest. */
static bool is_path(const char *pattern, const char *path) {
    size_t n = strlen(pattern) - 1;
    return pattern[n] == '*' ? strncmp(pattern, path, n) == 0 && path[n] : !strcmp(pattern, path);
}

/* The one with that path; *other: there is one for another method. */
static const route *find(const char *method, const char *path, const route **other) {
    *other = NULL;
    for (size_t i = 0; i < N_ROUTES; i++) {
        if (!is_path(routes[i].path, path)) continue;
        if (strcmp(routes[i].method, method) == 0) return &routes[i];
        *other = &routes[i];
    }
    return NULL;
}

static void refuse_unready(const srv_context *c) {
    pd_http_add_header(c->reply, "Retry-After", "5");
    pd_http_send_error(c->reply, 503, "loading_model", "the model is being loaded");
}

void srv_handle(void *server, const pd_http_request *request, pd_http_reply *reply) {
    srv_context c = {.server = server, .request = request, .reply = reply};
    const route *other, *r = find(request->method, request->path, &other);
    if (!r && other) {
        pd_http_add_header(reply, "Allow", other->method);
        pd_http_send_error(reply, 405, NULL, "%.64s takes %s", request->path, other->method);
        return;
    }
    if (!r) {
        pd_http_send_error(reply, 404, NULL, "there is no %.64s here", request->path);
        return;
    }
    bool is_late = atomic_load(&c.server->drains) && strcmp(r->method, "POST") == 0;
    if (r->needs_engine) c.engine = srv_engine_hold(c.server);
    if (is_late)
        pd_http_send_error(reply, 503, "ending", "the server is ending");
    else if (r->needs_engine && !c.engine)
        refuse_unready(&c);
    else
        r->fn(&c);
    srv_engine_release(c.engine);
}
