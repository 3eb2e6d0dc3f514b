/* The inside of a pd_server.  SPDX-License-Identifier: MIT */
#ifndef PD_SERVER_PARTS_H
#define PD_SERVER_PARTS_H

#include <cjson/cJSON.h>
#include <stdatomic.h>

#include "base/thread.h"
#include "server/server.h"

/* A model and its batch. Calls hold it; the server's own hold goes when the device was lost. */
typedef struct srv_engine {
    pd_model *model;
    pd_batch *batch;
    atomic_uint n_holds;
} srv_engine;

struct pd_server {
    pd_server_desc desc;
    char name[128]; /* of the model; empty before it was opened first */
    pd_http *http;
    pd_mutex *lock;
    srv_engine *engine; /* under the lock; NULL: it is being opened */
    uint64_t started;   /* seconds since 1970 */
    atomic_bool drains; /* nothing new is taken */
    atomic_ullong n_calls, n_failed;
    atomic_ullong queue_ns, first_token_ns, n_first_tokens; /* sums, for /metrics */
};

/* The engine to answer with, held; NULL: there is none at the moment. */
srv_engine *srv_engine_hold(pd_server *s);
void srv_engine_release(srv_engine *e);

/* ---- errors --------------------------------------------------------------------------------- */

/* Whose clients ask: errors are told in the form that they know. */
typedef enum srv_style { SRV_OPENAI, SRV_ANTHROPIC } srv_style;

/* Takes the tree; NULL: memory ran out, which is told. */
void srv_send_json(pd_http_reply *reply, int status, cJSON *j);
/* With the status that belongs to it; param: the field that it is about, or NULL or "". */
void srv_send_error(pd_http_reply *reply, srv_style style, const pd_error *err, const char *param);
/* The same as JSON, for streams. */
cJSON *srv_error_json(srv_style style, const pd_error *err, const char *param);
/* One that is none of the engine's. code: NULL for none. */
void srv_send_refusal(pd_http_reply *reply, srv_style style, int status, const char *code,
                      const char *message);

/* ---- routes.c ------------------------------------------------------------------------------- */

/* Gemma's chat template for clients that render it themselves, in Jinja. */
extern const char srv_template[];

void srv_handle(void *server, const pd_http_request *request, pd_http_reply *reply);

typedef struct srv_context {
    pd_server *server;
    srv_engine *engine; /* held by the caller; NULL for routes that need none */
    const pd_http_request *request;
    pd_http_reply *reply;
    srv_style style;
} srv_context;

/* Each answers, or sees to it that somebody will. */
void srv_page(const srv_context *c); /* where PERIDOT_HAS_PAGE */
void srv_health(const srv_context *c);
void srv_models(const srv_context *c);
void srv_model(const srv_context *c);
void srv_props(const srv_context *c);
void srv_metrics(const srv_context *c);
void srv_slots(const srv_context *c);
void srv_clear_cache(const srv_context *c);
void srv_tokenize(const srv_context *c);
void srv_detokenize(const srv_context *c);
void srv_tokenizer_info(const srv_context *c);
void srv_apply_template(const srv_context *c);
void srv_embeddings(const srv_context *c);
void srv_completions(const srv_context *c);
void srv_chat_completions(const srv_context *c);
void srv_responses(const srv_context *c);
void srv_messages(const srv_context *c);
/* How long the prompt of a response or message would be. */
void srv_count_response(const srv_context *c);
void srv_count_message(const srv_context *c);

#endif
