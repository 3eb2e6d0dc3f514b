/* What the files of the HTTP server share.
 *
 * One lock guards all that changes: connections, replies, the queue, counters. It is taken inside
 * of libmicrohttpd's callbacks, so under it only MHD_suspend_connection and MHD_resume_connection
 * may be called, whose own lock is never held around a callback. Functions of the caller's are
 * called without it.
 *
 * A reply has two holders: its connection, until libmicrohttpd is done with the request, and from
 * the hand-over until send or end the caller. Each keeps the server's memory alive.
 *
 *     BEGUN -> RECEIVING -> HANDED (suspended until there is something to send)
 *           -> REFUSED (its body is dropped; then the refusal is sent)
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_HTTP_PARTS_H
#define PD_SERVER_HTTP_PARTS_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"
#include "base/printf_like.h"
#include "server/http.h"
#include "server/http_rate.h"
#include "base/socket.h"

typedef struct http_connection {
    struct http_connection *next, *previous;
    pd_http *server;
    int fd;
    pd_address address;
    char client[PD_ADDRESS_TEXT];
    uint64_t deadline_ns; /* when the request has to be whole; 0: nothing is awaited */
    bool is_late;         /* it was not */
    bool had_request;
    bool has_unread;      /* answered before the body was there */
    pd_http_reply *reply; /* the request at hand, or NULL */
} http_connection;

typedef enum http_phase { HTTP_BEGUN, HTTP_RECEIVING, HTTP_REFUSED, HTTP_HANDED } http_phase;
typedef enum http_answer { HTTP_NO_ANSWER, HTTP_WHOLE, HTTP_STREAM } http_answer;

typedef struct http_header {
    struct http_header *next;
    const char *name, *value;
} http_header;

struct pd_http_reply {
    pd_http *server;
    uint32_t n_holders;
    http_connection *connection; /* NULL: libmicrohttpd is done with it */
    struct MHD_Connection *mhd;
    _Atomic(http_phase) phase;
    uint64_t id, begin_ns;
    bool is_head, is_suspended;

    pd_http_request request;
    pd_arena request_memory; /* all of it but the body */
    char *body;
    uint64_t n_body, body_capacity; /* counted in the server's bodies_bytes */
    uint64_t n_expected;            /* Content-Length; UINT64_MAX: chunked */
    bool must_close;                /* a refusal cannot wait for the body */

    int status; /* 0: none yet */
    http_answer answer;
    pd_arena answer_memory;
    const char *content_type, *cors_origin;
    http_header *headers;
    char *out; /* bytes [out_begin, out_end) are to be sent */
    size_t out_begin, out_end, out_capacity;

    bool is_ended, is_gone, was_told, is_telling; /* told: gone_fn has been called */
    pthread_t teller;
    void (*gone_fn)(void *ctx);
    void *gone_ctx;
    pd_http_reply *next;      /* in the queue of the workers */
    pd_http_reply *next_told; /* among those of which the watcher tells */
    char line[160];           /* method and path, fit for a log */
};

typedef struct http_lingerer
    http_lingerer; /* a socket whose client is still sending: http_watch.c */

struct pd_http {
    pthread_mutex_t lock;
    uint32_t n_holders; /* the owner, and each reply */
    pd_http_desc desc;  /* with defaults */
    pd_arena memory;    /* of its texts */
    char *tls_key, *tls_cert;
    size_t n_tls_key, n_tls_cert;
    struct MHD_Daemon *daemon;
    pthread_t starter;
    char mhd_message[200]; /* libmicrohttpd's last one in the thread that starts it */

    pd_listener listener;
    int daemon_fd; /* libmicrohttpd's descriptor of it */
    bool is_accepting, is_stopping;
    http_connection *connections;
    uint64_t n_requests, bodies_bytes;
    uint32_t n_open;
    http_rates *rates; /* NULL: no limit */

    pd_http_reply *queue_head, *queue_tail;
    pthread_cond_t queue_wake;
    struct pd_thread **workers;
    uint32_t n_workers;

    pthread_cond_t watch_wake, told;
    struct pd_thread *watcher;
    pd_polled *polled; /* the watcher's, [max_connections] */
    pd_http_reply **polled_replies;
    http_lingerer *lingerers;
    uint32_t n_lingerers;
};

/* http.c */
void http_release_server_locked(pd_http *server); /* unlocks */

/* http_receive.c: what libmicrohttpd calls */
void *http_request_begins(void *server, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_request(void *server, struct MHD_Connection *mhd, const char *url,
                             const char *method, const char *version, const char *data, size_t *n,
                             void **reply);
void http_request_completed(void *server, struct MHD_Connection *mhd, void **reply,
                            enum MHD_RequestTerminationCode why);
void http_connection_changed(void *server, struct MHD_Connection *mhd, void **connection,
                             enum MHD_ConnectionNotificationCode what);

/* http_access.c: false: the reply was refused. `url` is decoded; *path: where its path begins. */
bool http_check_access(pd_http_reply *r, const char *url, const char *method, const char **path);

/* http_error.c */
void http_refuse(pd_http_reply *r, int status, const char *code, const char *format, ...)
    PD_PRINTF_LIKE(4, 5);
/* The same in the middle of a body: straight to a plain socket. */
void http_refuse_raw_locked(http_connection *c, int status, const char *code, const char *message);

/* http_reply.c */
void http_hold_locked(pd_http_reply *r);
void http_release(pd_http_reply *r);
void http_free_request(pd_http_reply *r);
enum MHD_Result http_queue_answer(pd_http_reply *r, struct MHD_Connection *mhd);
void http_set_whole(pd_http_reply *r, int status, const char *content_type, const void *bytes,
                    size_t n); /* of a refusal, or locked */
void http_resume_locked(pd_http_reply *r);
/* Marks it and wakes its connection; true: http_tell_gone is to be called, without the lock. */
bool http_set_gone_locked(pd_http_reply *r);
void http_tell_gone(pd_http_reply *r);

/* http_work.c */
pd_status http_start_workers(pd_http *server, pd_error *err);
void http_hand_over_locked(pd_http_reply *r);
void http_join_workers(pd_http *server);

/* http_watch.c */
pd_status http_start_watcher(pd_http *server, pd_error *err);
void http_join_watcher(pd_http *server);
void http_linger_locked(pd_http *server, int fd); /* takes a duplicate */

/* http_log.c */
const char *http_log_text(const char *text, char *out, size_t n_out); /* escaped and shortened */
void http_log_request(const pd_http_reply *r, int status, const char *client, bool arrived);
void http_log_library(void *server, const char *format, va_list args) PD_PRINTF_LIKE(2, 0);

#endif
