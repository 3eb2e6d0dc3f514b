/* The threads that run the handler, and the requests that wait for one, first come first served.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/thread.h"
#include "server/http_parts.h"

void http_hand_over_locked(pd_http_reply *r) {
    pd_http *server = r->server;
    r->next = NULL;
    if (server->queue_tail) server->queue_tail->next = r;
    if (!server->queue_tail) server->queue_head = r;
    server->queue_tail = r;
    pthread_cond_signal(&server->queue_wake);
}

/* NULL: the server stops. */
static pd_http_reply *take(pd_http *server) {
    pthread_mutex_lock(&server->lock);
    while (!server->queue_head && !server->is_stopping)
        pthread_cond_wait(&server->queue_wake, &server->lock);
    pd_http_reply *r = server->queue_head;
    if (r) server->queue_head = r->next;
    if (!server->queue_head) server->queue_tail = NULL;
    pthread_mutex_unlock(&server->lock);
    return r;
}

/* The handler may end the reply, and so it is held until the request in it is no longer needed. */
static void serve(pd_http *server, pd_http_reply *r) {
    pthread_mutex_lock(&server->lock);
    bool is_gone = r->is_gone;
    http_hold_locked(r);
    pthread_mutex_unlock(&server->lock);
    if (is_gone) pd_http_end(r);
    if (!is_gone) server->desc.handler(server->desc.ctx, &r->request, r);
    http_free_request(r);
    http_release(r);
}

static void work(void *ctx) {
    for (pd_http_reply *r; (r = take(ctx)) != NULL;) serve(ctx, r);
}

pd_status http_start_workers(pd_http *server, pd_error *err) {
    uint32_t n = server->desc.n_threads;
    server->workers = pd_alloc(n, sizeof *server->workers);
    if (!server->workers) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for %u threads", n);
    for (; server->n_workers < n; server->n_workers++)
        PD_TRY(pd_thread_start(work, server, &server->workers[server->n_workers], err));
    return PD_OK;
}

void http_join_workers(pd_http *server) {
    pthread_mutex_lock(&server->lock);
    pthread_cond_broadcast(&server->queue_wake);
    pthread_mutex_unlock(&server->lock);
    for (uint32_t i = 0; i < server->n_workers; i++) pd_thread_join(server->workers[i]);
    server->n_workers = 0;
    pd_free(server->workers);
    server->workers = NULL;
}
