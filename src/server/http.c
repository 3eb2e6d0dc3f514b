/* The server's life: options with their defaults, the start in order, the stop in reverse.
 *
 * Threads of the server have signals blocked, so that those come to the program's own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "server/http.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/thread.h"
#include "base/timed_wait.h"
#include "server/http_parts.h"

enum {
    MAX_THREADS = 256,
    MAX_CONNECTIONS = 1 << 20,
    SPARE_FILES = 96, /* listening, lingering, and what the rest of the program has open */
    MAX_PEM_BYTES = 1 << 20,
    FLUSH_MS = 1000
};

/* ---- options -------------------------------------------------------------------------------- */

static bool copy_text(pd_arena *a, const char **text) {
    if (!*text) return true;
    *text = pd_arena_strdup(a, *text);
    return *text != NULL;
}

static bool copy_texts(pd_arena *a, const char *const **list, size_t n) {
    const char **copy = pd_arena_alloc(a, n + 1, sizeof *copy);
    if (!copy) return false;
    for (size_t i = 0; i < n; i++) {
        copy[i] = (*list)[i];
        if (!copy_text(a, &copy[i])) return false;
    }
    *list = copy;
    return true;
}

static size_t count_texts(const char *const *list) {
    size_t n = 0;
    while (list && list[n]) n++;
    return n;
}

static bool copy_desc(pd_http *server, const pd_http_desc *desc) {
    pd_http_desc *d = &server->desc;
    pd_arena *a = &server->memory;
    *d = *desc;
    return copy_text(a, &d->host) && copy_text(a, &d->socket_path) && copy_text(a, &d->tls_key) &&
           copy_text(a, &d->tls_cert) && copy_texts(a, &d->api_keys, d->n_api_keys) &&
           copy_texts(a, &d->cors_origins, d->n_cors_origins) &&
           copy_texts(a, &d->open_paths, count_texts(d->open_paths));
}

static void default_u32(uint32_t *value, uint32_t by_default) {
    if (*value == 0) *value = by_default;
}

static void default_u64(uint64_t *value, uint64_t by_default) {
    if (*value == 0) *value = by_default;
}

static void set_defaults(pd_http_desc *d) {
    if (!d->host) d->host = "127.0.0.1";
    default_u32(&d->socket_mode, 0600);
    default_u32(&d->n_threads, 4);
    default_u32(&d->max_connections, 1024);
    default_u64(&d->max_header_bytes, 32 << 10);
    default_u64(&d->max_body_bytes, 64 << 20);
    if (d->max_bodies_bytes == 0 && !pd_mul_u64(d->max_body_bytes, 4, &d->max_bodies_bytes))
        d->max_bodies_bytes = UINT64_MAX;
    default_u64(&d->max_unread_bytes, 4 << 20);
    default_u32(&d->idle_seconds, 120);
    default_u32(&d->request_seconds, 60);
    if (d->burst == 0) d->burst = d->requests_per_second > 1 ? (uint32_t)d->requests_per_second : 1;
}

static pd_status check_texts(const char *what, const char *const *list, size_t n, pd_error *err) {
    if (n > 0 && !list) return PD_RAISE(err, PD_ERR_ARGUMENT, "%s: %zu of no list", what, n);
    for (size_t i = 0; i < n; i++)
        if (!list[i] || !list[i][0])
            return PD_RAISE(err, PD_ERR_ARGUMENT, "%s: number %zu is empty", what, i + 1);
    return PD_OK;
}

static pd_status check_desc(const pd_http_desc *d, pd_error *err) {
    PD_TRY(check_texts("API keys", d->api_keys, d->n_api_keys, err));
    PD_TRY(check_texts("origins", d->cors_origins, d->n_cors_origins, err));
    if (!d->tls_key != !d->tls_cert)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "TLS needs a key and a certificate, and has one of them");
    if (d->n_threads > MAX_THREADS)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%u threads, but at most %d can be", d->n_threads,
                        MAX_THREADS);
    if (d->max_connections > MAX_CONNECTIONS)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%u connections, but at most %d can be",
                        d->max_connections, MAX_CONNECTIONS);
    if (d->max_header_bytes && (d->max_header_bytes < 1 << 10 || d->max_header_bytes > 1 << 20))
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "headers of at most %llu bytes: from 1024 to 1048576 "
                        "can be",
                        (unsigned long long)d->max_header_bytes);
    if (d->max_body_bytes > SIZE_MAX / 4)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "bodies of at most %llu bytes are too large",
                        (unsigned long long)d->max_body_bytes);
    if (!(d->requests_per_second >= 0 && d->requests_per_second <= 1e9))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%g requests a second: from 0 to 1e9 can be",
                        d->requests_per_second);
    return PD_OK;
}

/* A connection that could not be opened would be an error in the middle of everything. */
static void fit_connections(pd_http_desc *d, bool is_asked_for) {
    uint32_t files = pd_max_sockets();
    uint32_t fit = files > 2 * SPARE_FILES ? files - SPARE_FILES : files / 2;
    if (d->max_connections <= fit) return;
    pd_log(is_asked_for ? PD_LOG_WARN : PD_LOG_DEBUG, "server",
           "at most %u connections, not %u: the process may have %u files open (ulimit -n)", fit,
           d->max_connections, files);
    d->max_connections = fit;
}

/* ---- the server's memory -------------------------------------------------------------------- */

static void free_secret(char *text, size_t n) {
    if (text) pd_forget_bytes(text, n);
    pd_free(text);
}

void http_release_server_locked(pd_http *server) {
    bool is_last = --server->n_holders == 0;
    pthread_mutex_unlock(&server->lock);
    if (!is_last) return;
    pthread_cond_destroy(&server->queue_wake);
    pthread_cond_destroy(&server->watch_wake);
    pthread_cond_destroy(&server->told);
    pthread_mutex_destroy(&server->lock);
    http_rates_destroy(server->rates);
    free_secret(server->tls_key, server->n_tls_key);
    free_secret(server->tls_cert, server->n_tls_cert);
    pd_arena_destroy(&server->memory);
    pd_free(server);
}

static void init_locks(pd_http *server) {
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->queue_wake, NULL);
    pd_timed_init(&server->watch_wake);
    pthread_cond_init(&server->told, NULL);
}

static pd_status create(const pd_http_desc *desc, pd_http **out, pd_error *err) {
    pd_http *server = pd_alloc(1, sizeof *server);
    if (!server) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a server");
    init_locks(server);
    server->n_holders = 1;
    server->listener.fd = server->daemon_fd = -1;
    server->starter = pthread_self();
    *out = server;
    if (!copy_desc(server, desc))
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a server's options");
    set_defaults(&server->desc);
    fit_connections(&server->desc, desc->max_connections > 0);
    if (server->desc.requests_per_second <= 0) return PD_OK;
    server->rates = http_rates_create(server->desc.requests_per_second, server->desc.burst);
    if (!server->rates) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for counting requests");
    return PD_OK;
}

/* ---- start ---------------------------------------------------------------------------------- */

static pd_status read_tls(pd_http *server, pd_error *err) {
    const pd_http_desc *d = &server->desc;
    if (!d->tls_key) return PD_OK;
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "this system's libmicrohttpd %s does without TLS",
                        MHD_get_version());
    PD_TRY(
        pd_file_read_regular(d->tls_key, MAX_PEM_BYTES, &server->tls_key, &server->n_tls_key, err));
    return pd_file_read_regular(d->tls_cert, MAX_PEM_BYTES, &server->tls_cert, &server->n_tls_cert,
                                err);
}

static pd_status start_listening(pd_http *server, pd_error *err) {
    const pd_http_desc *d = &server->desc;
    if (d->socket_path)
        PD_TRY(pd_listen_unix(d->socket_path, d->socket_mode, &server->listener, err));
    if (!d->socket_path) PD_TRY(pd_listen_tcp(d->host, d->port, &server->listener, err));
    server->is_accepting = true;
    return PD_OK;
}

static unsigned daemon_flags(const pd_http *server) {
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     MHD_USE_ERROR_LOG;
    flags |= MHD_is_feature_supported(MHD_FEATURE_EPOLL) == MHD_YES ? MHD_USE_EPOLL : MHD_USE_POLL;
    return server->tls_key ? flags | MHD_USE_TLS : flags;
}

/* Of the text that was read a zero lies behind the end. */
static void start_daemon(pd_http *server) {
    const pd_http_desc *d = &server->desc;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_KEY, 0, server->tls_key},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, server->tls_cert},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    /* a header fills half of a connection's memory at most, so that it is refused here; and chunks
     * of a stream are made there */
    size_t memory = (size_t)d->max_header_bytes * 2 + (16 << 10);
    server->daemon = MHD_start_daemon(
        daemon_flags(server), 0, NULL, NULL, http_request, server, MHD_OPTION_EXTERNAL_LOGGER,
        http_log_library, server, MHD_OPTION_LISTEN_SOCKET, server->daemon_fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)d->max_connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)d->max_per_address,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)d->idle_seconds, MHD_OPTION_URI_LOG_CALLBACK, http_request_begins, server,
        MHD_OPTION_NOTIFY_COMPLETED, http_request_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        http_connection_changed, server, MHD_OPTION_ARRAY, server->tls_key ? tls : none,
        MHD_OPTION_END);
}

static pd_status start_serving(pd_http *server, pd_error *err) {
    PD_TRY(http_start_workers(server, err));
    PD_TRY(http_start_watcher(server, err));
    server->daemon_fd = pd_listener_share(&server->listener);
    if (server->daemon_fd >= 0) start_daemon(server);
    if (server->daemon) return PD_OK;
    const char *why = server->mhd_message[0] ? server->mhd_message : "it does not say why";
    if (server->tls_key)
        return PD_RAISE(err, PD_ERR_FORMAT,
                        "%s, %s: the server does not start with this TLS key and "
                        "certificate: %s",
                        server->desc.tls_key, server->desc.tls_cert, why);
    return PD_RAISE(err, PD_ERR_IO, "the server does not start: %s", why);
}

static pd_status start(pd_http *server, pd_error *err) {
    PD_TRY(read_tls(server, err));
    PD_TRY(start_listening(server, err));
    pd_signals old;
    pd_signals_block(&old);
    pd_status status = start_serving(server, err);
    pd_signals_restore(&old);
    return status;
}

pd_status pd_http_start(const pd_http_desc *desc, pd_http **out, pd_error *err) {
    PD_NEED(err, desc);
    PD_NEED(err, out);
    PD_NEED(err, desc->handler);
    *out = NULL;
    PD_TRY(check_desc(desc, err));
    pd_http *server = NULL;
    pd_status status = create(desc, &server, err);
    if (status == PD_OK) status = start(server, err);
    if (status == PD_OK) {
        *out = server;
    } else {
        pd_http_stop(server);
    }
    return status;
}

uint16_t pd_http_port(const pd_http *server) {
    return server ? server->listener.port : 0;
}

uint32_t pd_http_n_open(pd_http *server) {
    if (!server) return 0;
    pthread_mutex_lock(&server->lock);
    uint32_t n = server->n_open;
    pthread_mutex_unlock(&server->lock);
    return n;
}

/* ---- stop ----------------------------------------------------------------------------------- */

void pd_http_stop_accepting(pd_http *server) {
    if (!server || !server->is_accepting) return;
    server->is_accepting = false;
    if (server->daemon) (void)MHD_quiesce_daemon(server->daemon);
    pd_listener_refuse(&server->listener);
}

static bool is_flushing_locked(const pd_http *server) {
    for (const http_connection *c = server->connections; c; c = c->next)
        if (c->reply && c->reply->is_ended) return true;
    return false;
}

/* What was ended before the stop gets a moment to reach its client. */
static void flush(pd_http *server) {
    uint64_t until = pd_clock_ns() + FLUSH_MS * UINT64_C(1000000);
    for (bool is_flushing = true; is_flushing && pd_clock_ns() < until;) {
        pthread_mutex_lock(&server->lock);
        is_flushing = is_flushing_locked(server);
        pthread_mutex_unlock(&server->lock);
        if (is_flushing) pd_sleep_ms(2);
    }
}

/* One at a time, since telling needs the lock to be free and the list may change meanwhile. */
static pd_http_reply *next_to_tell(pd_http *server) {
    pd_http_reply *told = NULL;
    pthread_mutex_lock(&server->lock);
    for (http_connection *c = server->connections; c && !told; c = c->next) {
        pd_http_reply *r = c->reply;
        if (!r || r->phase != HTTP_HANDED || r->is_ended || r->is_gone) continue;
        if (http_set_gone_locked(r)) told = r;
    }
    pthread_mutex_unlock(&server->lock);
    return told;
}

static void set_stopping(pd_http *server) {
    pthread_mutex_lock(&server->lock);
    server->is_stopping = true; /* from now on nothing is suspended */
    pthread_mutex_unlock(&server->lock);
}

void pd_http_stop(pd_http *server) {
    if (!server) return;
    pd_http_stop_accepting(server);
    if (server->daemon) flush(server);
    set_stopping(server);
    for (pd_http_reply *r; (r = next_to_tell(server)) != NULL;) http_tell_gone(r);
    http_join_workers(server);
    http_join_watcher(server);
    if (server->daemon) MHD_stop_daemon(server->daemon);
    pd_listener_close_shared(&server->listener,
                             server->daemon_fd); /* taken back by stop_accepting */
    pd_listener_close(&server->listener);
    pthread_mutex_lock(&server->lock);
    http_release_server_locked(server);
}
