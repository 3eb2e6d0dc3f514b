/* HTTP/1.1 over libmicrohttpd: connections, limits, keys, whole requests in, answers out. It knows
 * nothing of what is asked for.
 *
 * Threads. One serves all sockets, `n_threads` run the handler, one watches clients and deadlines.
 * A reply may be used by any thread, by one at a time, and for as long as its holder likes: it
 * outlives its connection and its server, and is then "gone". Nothing here waits for a client.
 *
 * A client has gone when its connection is closed or broken, and that is noticed within half a
 * second also while nothing is being written. TCP does not tell a client that closed from one that
 * has only ended its own sending (`nc -N`), so that counts as gone as well, unless the reply is
 * ended by then; clients keep their connection open until they have the answer.
 *
 * What is answered here, as JSON in OpenAI's form, without the handler: 400 a path with control
 * characters, 401 keys, 403 hosts and origins, 405 TRACE and CONNECT, 408 slow senders, 413 large
 * bodies, 429 clients that ask too often, 431 large headers, 503 too many bodies at once; and
 * OPTIONS. libmicrohttpd answers what is no HTTP. Bodies of refused requests up to 1 MiB are read
 * and dropped, so that the connection lives on; else it is closed behind the answer. What has to be
 * refused in the middle of a body (a chunked one that grows too large, a slow sender) is answered
 * over plain connections, and over TLS the connection is closed without.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_HTTP_H
#define PD_SERVER_HTTP_H

#include "base/error.h"
#include "base/printf_like.h"

typedef struct pd_http pd_http;             /* a server */
typedef struct pd_http_reply pd_http_reply; /* the answer to one request */

typedef struct pd_http_field {
    const char *name, *value;
} pd_http_field;

/* A whole request. A HEAD comes as GET: what it is answered with goes out without its body. */
typedef struct pd_http_request {
    const char *method, *path; /* path: decoded, without the query; UTF-8, no control characters */
    const char *body;          /* a zero behind it */
    size_t n_body;
    const char *content_type; /* "" if none */
    const char *client;       /* the address it came from; "unix" */
    uint64_t id;              /* counts up: for logs */
    const pd_http_field *headers, *query;
    size_t n_headers, n_query;
} pd_http_request;

const char *pd_http_header(const pd_http_request *request, const char *name); /* NULL: absent */
const char *pd_http_query(const pd_http_request *request, const char *name);  /* decoded */

/* Whether it is the pattern; a star at the pattern's end stands for any rest. */
bool pd_http_is_path(const char *pattern, const char *path);

/* Called in a worker's thread. The request is gone with the return, and the reply is to be ended
 * some time, by any thread. Not called for clients that went before their turn. */
typedef void (*pd_http_handler)(void *ctx, const pd_http_request *request, pd_http_reply *reply);

/* Copied; the handler's ctx alone has to live. */
typedef struct pd_http_desc {
    const char *host;    /* address or name, its IPv4 address first; default 127.0.0.1 */
    uint16_t port;       /* 0: any free one */
    bool allow_any_host; /* on loopback, take requests whose Host names some other place too: pages
                            of that place can then reach the server from the user's browser */
    const char *socket_path; /* a UNIX socket in place of host and port. One that nobody serves is
                                replaced, one in use or another kind of file is an error */
    uint32_t socket_mode;    /* default 0600 */
    const char *tls_key, *tls_cert;  /* PEM files; both or none */
    const char *const *api_keys;     /* "Authorization: Bearer KEY" or "x-api-key: KEY" */
    size_t n_api_keys;               /* 0: everybody may ask */
    const char *const *open_paths;   /* NULL behind them: need no key, and are not counted
                                        by requests_per_second; patterns of pd_http_is_path */
    const char *const *cors_origins; /* exact ones, which are reflected, or "*" */
    size_t n_cors_origins;           /* 0: no page of another origin may read answers */
    uint32_t n_threads;              /* default 4, at most 256 */
    uint32_t max_connections;        /* default 1024; fewer where the process may not open
                                        so many files */
    uint64_t max_header_bytes;       /* default 32 KiB; at least 1 KiB, at most 1 MiB */
    uint64_t max_body_bytes;         /* default 64 MiB */
    uint64_t max_bodies_bytes;       /* of all requests that are received or held at once;
                                        default 4 * max_body_bytes */
    uint64_t max_unread_bytes;       /* of one stream, written and not yet taken by the
                                        client's connection; default 4 MiB */
    uint32_t idle_seconds;           /* a client that neither sends nor reads, while that is
                                        what is waited for, is closed; default 120 */
    uint32_t request_seconds;        /* from its begin until a request is whole; default 60 */
    uint32_t max_per_address;        /* connections of one address; 0: no limit */
    double requests_per_second;      /* of one address (IPv6: of its /64); 0: no limit */
    uint32_t burst;                  /* default: those of a second, at least 1 */
    pd_http_handler handler;
    void *ctx;
} pd_http_desc;

/* Errors: ARGUMENT, IO (names what is in use, or the file that cannot be read), UNSUPPORTED (TLS in
 * this libmicrohttpd), FORMAT (of key or certificate), MEMORY_HOST. */
pd_status pd_http_start(const pd_http_desc *desc, pd_http **out, pd_error *err);
uint16_t pd_http_port(const pd_http *server); /* 0: a UNIX socket */
uint32_t pd_http_n_open(pd_http *server);     /* replies that are not ended */
/* New connections are refused from now on; those that are there go on. */
void pd_http_stop_accepting(pd_http *server);
/* Closes everything. Replies that are not ended are gone, and their holders are told from within;
 * handlers that run are waited for. Not to be called by a handler. NULL is allowed. */
void pd_http_stop(pd_http *server);

/* ---- replies: send; or start_stream, write ..., end ------------------------------------------ */

/* A header of the answer, before send or start_stream. One that cannot be sent is left out. */
void pd_http_add_header(pd_http_reply *reply, const char *name, const char *value);
/* The whole answer, copied. Ends the reply: it is the server's again. */
void pd_http_send(pd_http_reply *reply, int status, const char *content_type, const void *bytes,
                  size_t n);
/* The same of an error in OpenAI's form, whose type follows from the status. code: NULL for null.
 */
void pd_http_send_error(pd_http_reply *reply, int status, const char *code, const char *format, ...)
    PD_PRINTF_LIKE(4, 5);
/* An answer in pieces; its header goes out at once, and says that nobody may store or hold it. */
void pd_http_start_stream(pd_http_reply *reply, int status, const char *content_type);
/* Copied. False: the client has gone, or more than max_unread_bytes wait for it, with which it is
 * given up; there is no use in writing more. */
bool pd_http_write(pd_http_reply *reply, const void *bytes, size_t n);
bool pd_http_is_gone(pd_http_reply *reply);
/* Ends the reply: it is the server's again. One that was neither sent nor started is a mistake of
 * the caller's, which the client is told as 500. Waits for a gone function that is being called,
 * unless it is called from within: do not hold a lock that the function takes. */
void pd_http_end(pd_http_reply *reply);
/* fn is called once if the client goes before send or end, from a thread of the server's or that of
 * pd_http_stop; within this call if it has gone already. It has to be short, and is never called
 * after send or end have returned. */
void pd_http_on_gone(pd_http_reply *reply, void (*fn)(void *ctx), void *ctx);

#endif
