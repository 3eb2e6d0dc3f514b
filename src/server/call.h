/* A request under way: its prompts are handed to the batch, and what comes back becomes texts,
 * which an interface's writer puts into its own form, whole at the end or streamed.
 *
 * Everything behind srv_call_begin happens in the batch's thread, writing too. A call ends itself,
 * with its last prompt.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_CALL_H
#define PD_SERVER_CALL_H

#include "server/prompt.h"
#include "server/settings.h"
#include "server/tool_calls.h"

typedef struct srv_call srv_call;

/* A token as it is told to clients. */
typedef struct srv_token {
    char text[2 * PD_DETOKENIZE_MAX_BYTES]; /* [n] its bytes, of which the last may be no whole
                                               character */
    size_t n;
} srv_token;
void srv_token_read(const pd_model *m, uint32_t id, srv_token *out);
/* Its text as JSON; bytes that are no character are named, as <0xE2>. */
cJSON *srv_token_json(const srv_token *t);
/* The same as a key. out: [4 * PD_DETOKENIZE_MAX_BYTES]. */
void srv_token_key(const srv_token *t, char *out);

/* An object's member that is a token's text. */
void srv_add_token(cJSON *j, const char *name, const pd_model *m, uint32_t id);

typedef struct srv_choice {
    srv_call *call;
    uint32_t index; /* of the answer: prompt after prompt, each with its choices */
    struct srv_part *part;
    pd_detokenizer detokenizer;
    pd_stop *stop;
    pd_bytes text;    /* shown so far; streams: not told yet */
    cJSON *log_probs; /* the writer's, of what `text` holds */
    pd_bytes told;    /* the writer's: of a stream that ends with all of it once more */
    cJSON *told_log_probs;
    srv_tool_scan scan; /* the writer's, where tools can be called */
    uint32_t n_drawn, n_chars;
    const char *finish;  /* "stop", "length"; NULL: it goes on */
    const char *matched; /* the stop string that ended it; NULL: none did */
} srv_choice;

/* One prompt. */
typedef struct srv_part {
    srv_call *call;
    srv_prompt prompt;
    pd_request *request;
    srv_choice *choices; /* [settings.n_choices] */
    pd_detokenizer echo;
    bool began; /* streams: a token was told, the block of text is open */
    pd_request_stats stats;
} srv_part;

/* How an interface writes. For whole answers `log_prob` and `whole` alone are called. */
typedef struct srv_writer {
    /* A token was drawn, or with settings.echo is one of the prompt: adds to choice->log_probs. */
    void (*log_prob)(srv_choice *c, const pd_event *e);
    void (*begin)(srv_call *call);  /* a stream: what comes first; may be NULL */
    void (*piece)(srv_choice *c);   /* a stream: text and log_probs, which are then forgotten */
    void (*end)(srv_choice *c);     /* a stream: the choice is over */
    void (*finish)(srv_call *call); /* a stream: all are */
    /* a stream: it ends with an error; NULL: that is an event "error", or OpenAI's data */
    void (*fail)(srv_call *call, const pd_error *err);
    cJSON *(*whole)(srv_call *call); /* the answer's body */
    const char *ping; /* a stream: what keeps a client waiting while its prompt is computed */
} srv_writer;

struct srv_call {
    pd_server *server;
    srv_engine *engine; /* held */
    pd_http_reply *reply;
    srv_style style;
    const srv_writer *writer;
    srv_settings settings;
    srv_part *parts; /* [n_parts] */
    size_t n_parts;
    atomic_uint n_open; /* parts that are not done, and whoever is handing them over */
    pd_error error;     /* of the first that failed; the batch's thread alone writes it */
    pd_error refused;   /* by the batch, when a part was handed over */
    bool streams;       /* its header is out */
    char id[40];
    uint64_t created; /* seconds since 1970 */
    char model[128];
    uint32_t n_events; /* of a stream, so far */
};

/* What a request asks for. */
typedef struct srv_asked {
    const char *model; /* as it names it, or NULL; in the request */
    srv_settings settings;
    srv_prompt *prompts; /* [n] */
    size_t n;
} srv_asked;

/* Reads a request; what it left is freed in any case. */
typedef pd_status (*srv_reader)(const srv_context *c, srv_fields *f, srv_asked *out, pd_error *err);

/* Reads what is asked for and computes it; or answers why not. prefix: of the id. */
void srv_call_begin(const srv_context *c, const srv_writer *writer, const char *prefix,
                    srv_reader read);
/* For readers: the one prompt is a conversation. Errors: those of srv_conversation_read. */
pd_status srv_ask_conversation(const srv_context *c, const srv_form *form, srv_fields *f,
                               srv_asked *out, pd_error *err);

/* ---- call_text.c ---------------------------------------------------------------------------- */

/* What comes before the answer, with settings.echo. */
void srv_part_echo(srv_part *p);
/* A token of the prompt, with its log-probability. */
void srv_part_score(srv_part *p, const pd_event *e);
/* A drawn token; false: it is the last one, for a stop string or since the client has gone. */
bool srv_choice_token(srv_choice *c, const pd_event *e);
/* What was held back comes to light. */
void srv_choice_end(srv_choice *c, pd_end end);

/* ---- call_tell.c, for writers ---------------------------------------------------------------- */

/* "data: ...\n\n"; with a name "event: NAME\n" before it. Takes the tree. It is event number
 * call->n_events, from 0. */
void srv_stream_json(srv_call *call, const char *event, cJSON *root);
void srv_stream_text(srv_call *call, const char *text);
/* Sums over the parts. */
pd_request_stats srv_call_stats(const srv_call *call);
/* {"prompt_tokens": ...}, and llama.cpp's "timings". */
void srv_add_usage(cJSON *object, const srv_call *call);
void srv_add_timings(cJSON *object, const srv_call *call);
/* What OpenAI's two kinds of completions begin with, whole or as a chunk: {"id", "object", ...}. */
cJSON *srv_completion_head(const srv_call *call, const char *object);
/* The end of their streams: usage, where it is wanted, and [DONE]. */
void srv_completion_done(srv_call *call, const char *object);
/* Whether an answer's text is calls, as far as it goes. */
bool srv_is_calls(const srv_choice *c, const pd_bytes *text);
/* Whether it has ended with them, and is not cut off; behind a scan of all of it. */
bool srv_ends_with_calls(const srv_choice *c);
/* The id of call number i. */
void srv_add_call_id(cJSON *object, const char *name, const char *prefix, const srv_choice *c,
                     uint32_t i);
/* choice->log_probs, which then are the caller's; NULL where none are wanted. */
cJSON *srv_take_log_probs(srv_choice *c);
/* {"token", "logprob", "bytes", "top_logprobs": [...]}, of a token that belongs to the answer: NULL
 * for the one that ends it. */
cJSON *srv_log_prob_json(const srv_call *call, const pd_event *e);

#endif
