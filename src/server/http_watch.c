/* The thread that looks after clients: those that go while their connection is suspended, which
 * libmicrohttpd does not see, those that send too slowly, and those that still send while their
 * answer is out already.
 *
 * The sockets of all open replies are asked with one poll that does not wait, four times a second.
 * That is under the server's lock, so that none of them can be closed meanwhile, and its number be
 * another connection's. With 1000 open streams a look takes 0.7 ms, which
 * is 3 ms of each second (the thread's time in /proc over 10 s; two cores of an AMD EPYC, November
 * 2026).
 *
 * Closing a socket with unread input makes TCP throw away what was sent, so that a client that
 * sends a large body would not see why that was refused. Its socket is kept a little, and drained.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/clock.h"
#include "base/thread.h"
#include "base/timed_wait.h"
#include "server/http_parts.h"

enum {
    LOOK_MS = 250,
    DRAIN_MS = 10,
    MAX_LINGERERS = 64,
    LINGER_SECONDS = 5,
    MAX_DRAINED_BYTES = 256 << 20,
    DRAIN_BYTES = 8 << 20 /* at a time, since the lock is held */
};
static const uint64_t NS_PER_MS = 1000000, NS_PER_SECOND = 1000000000;

struct http_lingerer {
    http_lingerer *next;
    int fd;
    uint64_t until_ns;
    size_t n_left;
};

/* ---- clients that still send ---------------------------------------------------------------- */

void http_linger_locked(pd_http *server, int fd) {
    http_lingerer *l = NULL;
    if (server->is_stopping || server->n_lingerers >= MAX_LINGERERS) return;
    int copy = pd_socket_copy(fd);
    if (copy >= 0) l = pd_alloc(1, sizeof *l);
    if (!l) {
        if (copy >= 0) pd_socket_close(copy);
        return;
    }
    *l = (http_lingerer){.next = server->lingerers, .fd = copy, .n_left = MAX_DRAINED_BYTES};
    l->until_ns = pd_clock_ns() + LINGER_SECONDS * NS_PER_SECOND;
    server->lingerers = l;
    server->n_lingerers++;
    pthread_cond_signal(&server->watch_wake);
}

static bool still_sends(http_lingerer *l, uint64_t now) {
    size_t n = 0;
    bool is_open =
        pd_socket_drop_input(l->fd, l->n_left < DRAIN_BYTES ? l->n_left : DRAIN_BYTES, &n);
    l->n_left -= n < l->n_left ? n : l->n_left;
    return is_open && l->n_left > 0 && now < l->until_ns;
}

static void drain_locked(pd_http *server, uint64_t now, bool close_all) {
    for (http_lingerer **at = &server->lingerers; *at;) {
        http_lingerer *l = *at;
        if (!close_all && still_sends(l, now)) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        pd_socket_close(l->fd);
        pd_free(l);
        server->n_lingerers--;
    }
}

/* ---- clients that are late ------------------------------------------------------------------ */

static void give_up_on_late_locked(http_connection *c) {
    bool has_header = c->reply && c->reply->phase != HTTP_BEGUN;
    c->is_late = true;
    c->deadline_ns = 0;
    if (has_header)
        http_refuse_raw_locked(c, 408, "request_timeout", "The request did not come in time.");
    if (has_header) pd_socket_stop_reading(c->fd);
    if (!has_header) pd_socket_break(c->fd);
}

static void look_for_late_locked(pd_http *server, uint64_t now) {
    for (http_connection *c = server->connections; c; c = c->next)
        if (c->deadline_ns && now > c->deadline_ns) give_up_on_late_locked(c);
}

/* ---- clients that have gone ----------------------------------------------------------------- */

static uint32_t collect_open_locked(pd_http *server) {
    uint32_t n = 0;
    for (http_connection *c = server->connections; c && n < server->desc.max_connections;
         c = c->next) {
        pd_http_reply *r = c->reply;
        if (!r || r->phase != HTTP_HANDED || r->is_ended || r->is_gone) continue;
        server->polled[n] = (pd_polled){.fd = c->fd};
        server->polled_replies[n++] = r;
    }
    return n;
}

/* Those whose holders are to be told. */
static pd_http_reply *look_for_gone_locked(pd_http *server) {
    pd_http_reply *told = NULL;
    uint32_t n = collect_open_locked(server);
    pd_sockets_poll(server->polled, n);
    for (uint32_t i = 0; i < n; i++) {
        pd_http_reply *r = server->polled_replies[i];
        if (!server->polled[i].has_ended || !http_set_gone_locked(r)) continue;
        r->next_told = told;
        told = r;
    }
    return told;
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void look(pd_http *server) {
    pthread_mutex_lock(&server->lock);
    look_for_late_locked(server, pd_clock_ns());
    pd_http_reply *told = look_for_gone_locked(server);
    pthread_mutex_unlock(&server->lock);
    while (told) {
        pd_http_reply *r = told;
        told = r->next_told;
        http_tell_gone(r);
    }
}

static void watch(void *ctx) {
    pd_http *server = ctx;
    uint64_t looked_ns = 0;
    pthread_mutex_lock(&server->lock);
    while (!server->is_stopping) {
        if (!server->connections && !server->lingerers) {
            pthread_cond_wait(&server->watch_wake, &server->lock);
            continue;
        }
        pd_timed_wait(&server->watch_wake, &server->lock, server->lingerers ? DRAIN_MS : LOOK_MS);
        uint64_t now = pd_clock_ns();
        drain_locked(server, now, server->is_stopping);
        if (now - looked_ns < LOOK_MS * NS_PER_MS) continue;
        looked_ns = now;
        pthread_mutex_unlock(&server->lock);
        look(server);
        pthread_mutex_lock(&server->lock);
    }
    drain_locked(server, 0, true);
    pthread_mutex_unlock(&server->lock);
}

pd_status http_start_watcher(pd_http *server, pd_error *err) {
    uint32_t n = server->desc.max_connections;
    server->polled = pd_alloc(n, sizeof *server->polled);
    server->polled_replies = pd_alloc(n, sizeof(pd_http_reply *));
    if (!server->polled || !server->polled_replies)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for %u connections", n);
    return pd_thread_start(watch, server, &server->watcher, err);
}

void http_join_watcher(pd_http *server) {
    pthread_mutex_lock(&server->lock);
    pthread_cond_broadcast(&server->watch_wake);
    pthread_mutex_unlock(&server->lock);
    pd_thread_join(server->watcher);
    server->watcher = NULL;
    pd_free(server->polled);
    pd_free(server->polled_replies);
    server->polled = NULL;
    server->polled_replies = NULL;
}
