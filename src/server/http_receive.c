/* Requests on their way in: what libmicrohttpd calls, in its thread, from a connection's begin to
 * its end. A request is looked at when its header is there, its body is kept up to the limits, and
 * the whole goes to a worker while the connection is suspended.
 *
 * libmicrohttpd takes an answer before the body, with which the connection closes, or behind it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/words.h"
#include "server/http_parts.h"

static const uint64_t MAX_DROPPED_BYTES = 1 << 20;
static const uint64_t FIRST_BODY_BYTES = 64 << 10;
static const uint64_t NS_PER_SECOND = 1000000000;
enum { MAX_FIELDS = 4096 };

/* ---- connections ---------------------------------------------------------------------------- */

static http_connection *connection_of(struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static uint64_t seconds_from_now(uint64_t seconds) {
    return pd_clock_ns() + seconds * NS_PER_SECOND;
}

static void open_connection(pd_http *server, struct MHD_Connection *mhd, void **out) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    http_connection *c = info ? pd_alloc(1, sizeof *c) : NULL;
    *out = c; /* without it no request of the connection is taken */
    if (!c) return;
    c->server = server;
    c->fd = (int)info->connect_fd;
    c->address = pd_address_of(c->fd, c->client);
    c->deadline_ns = seconds_from_now(server->desc.request_seconds);
    pthread_mutex_lock(&server->lock);
    c->next = server->connections;
    if (c->next) c->next->previous = c;
    server->connections = c;
    pthread_cond_signal(&server->watch_wake);
    pthread_mutex_unlock(&server->lock);
}

static void detach(pd_http_reply *r) {
    pd_http *server = r->server;
    pthread_mutex_lock(&server->lock);
    if (r->connection) r->connection->reply = NULL;
    r->connection = NULL;
    r->is_suspended = false;
    bool tell = r->phase == HTTP_HANDED && !r->is_ended && http_set_gone_locked(r);
    pthread_mutex_unlock(&server->lock);
    if (tell) http_tell_gone(r);
    http_release(r);
}

static void close_connection(pd_http *server, http_connection *c) {
    if (!c) return;
    if (c->reply) detach(c->reply); /* its header never came to an end */
    pthread_mutex_lock(&server->lock);
    if (c->has_unread) http_linger_locked(server, c->fd);
    if (c->next) c->next->previous = c->previous;
    if (c->previous) c->previous->next = c->next;
    if (server->connections == c) server->connections = c->next;
    pthread_mutex_unlock(&server->lock);
    pd_free(c);
}

void http_connection_changed(void *server, struct MHD_Connection *mhd, void **connection,
                             enum MHD_ConnectionNotificationCode what) {
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        open_connection(server, mhd, connection);
    } else {
        close_connection(server, *connection);
        *connection = NULL;
    }
}

/* ---- the header ----------------------------------------------------------------------------- */

/* A zero in the path would hide what is behind it. */
static bool path_has_zero(const char *uri) {
    size_t n = strcspn(uri, "?");
    for (size_t i = 0; i + 2 < n; i++)
        if (uri[i] == '%' && uri[i + 1] == '0' && uri[i + 2] == '0') return true;
    return false;
}

void *http_request_begins(void *ctx, const char *uri, struct MHD_Connection *mhd) {
    pd_http *server = ctx;
    http_connection *c = connection_of(mhd);
    if (c && c->reply) detach(c->reply);
    pd_http_reply *r = c ? pd_alloc(1, sizeof *r) : NULL;
    if (!r) return NULL;
    r->server = server;
    r->mhd = mhd;
    r->n_holders = 1;
    r->begin_ns = pd_clock_ns();
    pthread_mutex_lock(&server->lock);
    server->n_holders++;
    r->id = ++server->n_requests;
    r->connection = c;
    c->reply = r;
    if (c->had_request) c->deadline_ns = seconds_from_now(server->desc.request_seconds);
    c->had_request = true; /* the first one has the time since the connection was opened */
    pthread_mutex_unlock(&server->lock);
    if (path_has_zero(uri)) http_refuse(r, 400, "invalid_path", "The request's path has a zero.");
    return r;
}

static void note_for_log(pd_http_reply *r, const char *method, const char *path) {
    char m[24], p[120];
    http_log_text(method, m, sizeof m);
    http_log_text(path, p, sizeof p);
    memcpy(r->line, m, strlen(m));
    r->line[strlen(m)] = ' ';
    memcpy(r->line + strlen(m) + 1, p, strlen(p) + 1);
}

static bool has_header(const pd_http_reply *r, const char *name, const char *value) {
    const char *found = MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
    return found && (!value || pd_same_in_any_case(found, value));
}

static void read_length(pd_http_reply *r) {
    const char *length = MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, "Content-Length");
    r->n_expected = length ? strtoull(length, NULL, 10) : 0; /* libmicrohttpd has checked it */
    if (has_header(r, "Transfer-Encoding", NULL)) r->n_expected = UINT64_MAX;
    bool waits = has_header(r, "Expect", "100-continue"); /* with its body, for the answer */
    r->must_close = r->n_expected > MAX_DROPPED_BYTES || (waits && r->n_expected > 0);
}

/* Two lengths mean two requests to two readers: somebody wants one of them to be overlooked. */
static bool check_one_length(pd_http_reply *r) {
    if (r->n_expected != UINT64_MAX || !has_header(r, "Content-Length", NULL)) return true;
    http_refuse(r, 400, "two_lengths",
                "The request has both Content-Length and Transfer-Encoding.");
    return false;
}

static bool check_length(pd_http_reply *r) {
    pd_http *server = r->server;
    uint64_t n = r->n_expected, max = server->desc.max_body_bytes;
    if (n == UINT64_MAX) return check_one_length(r); /* and the limits as it comes */
    if (n > max) {
        http_refuse(r, 413, "request_too_large",
                    "The request's body has %" PRIu64 " bytes, and at most %" PRIu64 " are taken.",
                    n, max);
        return false;
    }
    pthread_mutex_lock(&server->lock);
    bool fits = n <= server->desc.max_bodies_bytes - server->bodies_bytes;
    pthread_mutex_unlock(&server->lock);
    if (fits) return true;
    pd_http_add_header(r, "Retry-After", "1");
    http_refuse(r, 503, "overloaded", "Too many large requests are held at once; try again soon.");
    return false;
}

/* The client has done its part. */
static void await_nothing(pd_http_reply *r, bool has_unread) {
    pthread_mutex_lock(&r->server->lock);
    r->connection->deadline_ns = 0;
    r->connection->has_unread |= has_unread;
    pthread_mutex_unlock(&r->server->lock);
}

static enum MHD_Result begin(pd_http_reply *r, const char *url, const char *method) {
    bool is_head = strcmp(method, "HEAD") == 0, refused = r->phase == HTTP_REFUSED;
    const char *path = url;
    r->is_head = is_head;
    note_for_log(r, method, url);
    read_length(r);
    if (!refused && http_check_access(r, url, method, &path) && check_length(r)) {
        r->request.method = pd_arena_strdup(&r->request_memory, is_head ? "GET" : method);
        r->request.path = pd_arena_strdup(&r->request_memory, path);
        r->phase = HTTP_RECEIVING;
        return r->request.method && r->request.path ? MHD_YES : MHD_NO;
    }
    if (!r->must_close) return MHD_YES;
    await_nothing(r, true);
    return http_queue_answer(r, r->mhd);
}

/* ---- the body ------------------------------------------------------------------------------- */

/* Counts memory before it is there. */
static bool reserve(pd_http *server, uint64_t more) {
    pthread_mutex_lock(&server->lock);
    bool fits = more <= server->desc.max_bodies_bytes - server->bodies_bytes;
    if (fits) server->bodies_bytes += more;
    pthread_mutex_unlock(&server->lock);
    return fits;
}

/* Twice as much as before, but no more than was announced. */
static bool grow_body(pd_http_reply *r, uint64_t need) {
    uint64_t capacity = r->body_capacity ? r->body_capacity * 2 : FIRST_BODY_BYTES;
    while (capacity < need) capacity *= 2;
    if (capacity > r->n_expected && r->n_expected >= need) capacity = r->n_expected;
    if (!reserve(r->server, capacity - r->body_capacity)) return false;
    r->body_capacity = capacity; /* without memory for it, it is given back with the rest */
    char *body = realloc(r->body, capacity + 1);
    if (body) r->body = body;
    return body != NULL;
}

static bool is_late(const pd_http_reply *r) {
    pthread_mutex_lock(&r->server->lock);
    bool is_late = r->connection->is_late;
    pthread_mutex_unlock(&r->server->lock);
    return is_late;
}

static enum MHD_Result refuse_body(pd_http_reply *r, int status, const char *code,
                                   const char *message) {
    pthread_mutex_lock(&r->server->lock);
    http_refuse_raw_locked(r->connection, status, code, message);
    pthread_mutex_unlock(&r->server->lock);
    return MHD_NO;
}

static enum MHD_Result take_body(pd_http_reply *r, const char *data, size_t n) {
    if (is_late(r)) return MHD_NO;
    if (r->phase == HTTP_REFUSED) return MHD_YES;
    if (n > r->server->desc.max_body_bytes - r->n_body)
        return refuse_body(r, 413, "request_too_large", "The request's body is too large.");
    if (r->n_body + n > r->body_capacity && !grow_body(r, r->n_body + n))
        return refuse_body(r, 503, "overloaded",
                           "Too many large requests are held at once; try again soon.");
    memcpy(r->body + r->n_body, data, n);
    r->n_body += n;
    return MHD_YES;
}

/* ---- the whole ------------------------------------------------------------------------------ */

typedef struct field_list {
    pd_arena *memory;
    pd_http_field *fields;
    size_t n, max;
    bool failed;
} field_list;

static enum MHD_Result add_field(void *ctx, enum MHD_ValueKind kind, const char *name,
                                 const char *value) {
    field_list *list = ctx;
    (void)kind;
    if (list->n == list->max) return MHD_NO;
    pd_http_field f = {pd_arena_strdup(list->memory, name ? name : ""),
                       pd_arena_strdup(list->memory, value ? value : "")};
    list->failed |= !f.name || !f.value;
    list->fields[list->n++] = f;
    return MHD_YES;
}

static bool copy_fields(pd_http_reply *r, enum MHD_ValueKind kind, const pd_http_field **out,
                        size_t *n) {
    int there = MHD_get_connection_values(r->mhd, kind, NULL, NULL);
    field_list list = {.memory = &r->request_memory};
    list.max = there < 0 ? 0 : there > MAX_FIELDS ? MAX_FIELDS : (size_t)there;
    if (list.max == 0) return true;
    list.fields = pd_arena_alloc(list.memory, list.max, sizeof *list.fields);
    if (!list.fields) return false;
    MHD_get_connection_values(r->mhd, kind, add_field, &list);
    *out = list.fields;
    *n = list.n;
    return !list.failed;
}

static bool fill_request(pd_http_reply *r) {
    pd_http_request *q = &r->request;
    if (!copy_fields(r, MHD_HEADER_KIND, &q->headers, &q->n_headers) ||
        !copy_fields(r, MHD_GET_ARGUMENT_KIND, &q->query, &q->n_query))
        return false;
    if (r->body) r->body[r->n_body] = '\0';
    q->body = r->body ? r->body : "";
    q->n_body = r->n_body;
    const char *type = pd_http_header(q, "Content-Type");
    q->id = r->id;
    q->content_type = type ? type : "";
    q->client = pd_arena_strdup(&r->request_memory, r->connection->client);
    return q->client != NULL;
}

static enum MHD_Result hand_over(pd_http_reply *r) {
    pd_http *server = r->server;
    if (!fill_request(r)) return MHD_NO;
    pthread_mutex_lock(&server->lock);
    bool stops = server->is_stopping;
    if (!stops) {
        r->phase = HTTP_HANDED;
        r->is_suspended = true;
        MHD_suspend_connection(r->mhd);
        http_hold_locked(r); /* the caller's */
        server->n_open++;
        http_hand_over_locked(r);
    }
    pthread_mutex_unlock(&server->lock);
    return stops ? MHD_NO : MHD_YES;
}

static enum MHD_Result end_of_request(pd_http_reply *r) {
    if (is_late(r)) return MHD_NO;
    await_nothing(r, false);
    return r->phase == HTTP_REFUSED ? http_queue_answer(r, r->mhd) : hand_over(r);
}

/* The connection was resumed: there is something to send, or nobody to send it to. */
static enum MHD_Result answer(pd_http_reply *r) {
    pthread_mutex_lock(&r->server->lock);
    bool stops = r->is_gone || (r->server->is_stopping && !r->is_ended);
    bool waits = !stops && (r->answer == HTTP_NO_ANSWER || (r->is_head && !r->is_ended));
    if (waits) {
        r->is_suspended = true;
        MHD_suspend_connection(r->mhd);
    }
    pthread_mutex_unlock(&r->server->lock);
    if (stops) return MHD_NO;
    return waits ? MHD_YES : http_queue_answer(r, r->mhd);
}

enum MHD_Result http_request(void *server, struct MHD_Connection *mhd, const char *url,
                             const char *method, const char *version, const char *data, size_t *n,
                             void **reply) {
    pd_http_reply *r = *reply;
    (void)server, (void)mhd, (void)version;
    if (!r) return MHD_NO;
    if (r->line[0] == '\0') return begin(r, url, method);
    if (r->phase == HTTP_HANDED) return answer(r);
    if (*n == 0) return end_of_request(r);
    size_t n_data = *n;
    *n = 0;
    return take_body(r, data, n_data);
}

void http_request_completed(void *ctx, struct MHD_Connection *mhd, void **reply,
                            enum MHD_RequestTerminationCode why) {
    pd_http *server = ctx;
    pd_http_reply *r = *reply;
    (void)mhd;
    *reply = NULL;
    if (!r) return;
    http_connection *c = r->connection;
    pthread_mutex_lock(&server->lock);
    int status = r->status;
    c->deadline_ns =
        seconds_from_now((uint64_t)server->desc.idle_seconds + server->desc.request_seconds);
    pthread_mutex_unlock(&server->lock);
    http_log_request(r, status, c->client, why == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    detach(r);
}

/* ---- what a handler asks of it --------------------------------------------------------------- */

const char *pd_http_header(const pd_http_request *request, const char *name) {
    for (size_t i = 0; i < request->n_headers; i++)
        if (pd_same_in_any_case(request->headers[i].name, name)) return request->headers[i].value;
    return NULL;
}

const char *pd_http_query(const pd_http_request *request, const char *name) {
    for (size_t i = 0; i < request->n_query; i++)
        if (strcmp(request->query[i].name, name) == 0) return request->query[i].value;
    return NULL;
}

bool pd_http_is_path(const char *pattern, const char *path) {
    size_t n = strlen(pattern) - 1;
    return pattern[n] == '*' ? strncmp(pattern, path, n) == 0 && path[n] : !strcmp(pattern, path);
}
