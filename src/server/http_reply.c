/* Answers: what callers write from their threads, and how libmicrohttpd takes it from its own.
 *
 * A stream is a buffer. While it is empty its connection is suspended, and whoever writes resumes
 * it; a connection is resumed once for each time it was suspended, since libmicrohttpd keeps what
 * comes too often for the next time.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/http_parts.h"

enum { BLOCK_BYTES = 32 << 10, FIRST_OUT_BYTES = 4 << 10 };

/* ---- holders -------------------------------------------------------------------------------- */

void http_hold_locked(pd_http_reply *r) {
    r->n_holders++;
}

void http_free_request(pd_http_reply *r) {
    free(r->body);
    r->body = NULL;
    pd_arena_destroy(&r->request_memory);
    pthread_mutex_lock(&r->server->lock);
    r->server->bodies_bytes -= r->body_capacity;
    r->body_capacity = 0;
    pthread_mutex_unlock(&r->server->lock);
}

void http_release(pd_http_reply *r) {
    pd_http *server = r->server;
    pthread_mutex_lock(&server->lock);
    bool is_last = --r->n_holders == 0;
    pthread_mutex_unlock(&server->lock);
    if (!is_last) return;
    http_free_request(r);
    pd_arena_destroy(&r->answer_memory);
    free(r->out);
    pd_free(r);
    pthread_mutex_lock(&server->lock);
    http_release_server_locked(server);
}

/* ---- what is to be sent --------------------------------------------------------------------- */

static void drop_out(pd_http_reply *r) {
    free(r->out);
    r->out = NULL;
    r->out_begin = r->out_end = r->out_capacity = 0;
}

static bool grow_out(pd_http_reply *r, size_t need) {
    size_t capacity = r->out_capacity ? r->out_capacity : FIRST_OUT_BYTES;
    while (capacity < need) capacity *= 2;
    char *out = realloc(r->out, capacity);
    if (!out) return false;
    r->out = out;
    r->out_capacity = capacity;
    return true;
}

/* What was sent makes room when it is more than what was not: each byte is moved once at most. */
static bool append(pd_http_reply *r, const void *bytes, size_t n) {
    if (r->out_begin > r->out_end - r->out_begin) {
        memmove(r->out, r->out + r->out_begin, r->out_end - r->out_begin);
        r->out_end -= r->out_begin;
        r->out_begin = 0;
    }
    if (n > SIZE_MAX / 4 - r->out_end) return false;
    if (r->out_end + n > r->out_capacity && !grow_out(r, r->out_end + n)) return false;
    if (n) memcpy(r->out + r->out_end, bytes, n);
    r->out_end += n;
    return true;
}

void http_set_whole(pd_http_reply *r, int status, const char *content_type, const void *bytes,
                    size_t n) {
    r->answer = HTTP_WHOLE;
    r->status = status;
    r->content_type = content_type ? pd_arena_strdup(&r->answer_memory, content_type) : NULL;
    if (!append(r, bytes, n)) r->status = 500; /* without a body */
}

void http_resume_locked(pd_http_reply *r) {
    if (!r->is_suspended) return;
    r->is_suspended = false;
    MHD_resume_connection(r->mhd);
}

/* ---- the caller's side ---------------------------------------------------------------------- */

void pd_http_add_header(pd_http_reply *r, const char *name, const char *value) {
    pthread_mutex_lock(&r->server->lock);
    http_header *h =
        r->answer == HTTP_NO_ANSWER ? pd_arena_alloc(&r->answer_memory, 1, sizeof *h) : NULL;
    if (h) {
        h->name = pd_arena_strdup(&r->answer_memory, name);
        h->value = pd_arena_strdup(&r->answer_memory, value);
        h->next = r->headers;
        r->headers = h;
    }
    pthread_mutex_unlock(&r->server->lock);
}

/* Whatever function of the caller's is being called returns before it. */
static void end_locked(pd_http_reply *r) {
    pd_http *server = r->server;
    while (r->is_telling && !pthread_equal(r->teller, pthread_self()))
        pthread_cond_wait(&server->told, &server->lock);
    if (!r->is_ended) server->n_open--;
    r->is_ended = true;
    http_resume_locked(r);
}

void pd_http_send(pd_http_reply *r, int status, const char *content_type, const void *bytes,
                  size_t n) {
    pthread_mutex_lock(&r->server->lock);
    if (!r->is_gone && r->answer == HTTP_NO_ANSWER)
        http_set_whole(r, status, content_type, bytes, n);
    end_locked(r);
    pthread_mutex_unlock(&r->server->lock);
    http_release(r);
}

void pd_http_start_stream(pd_http_reply *r, int status, const char *content_type) {
    pd_http_add_header(r, "Cache-Control", "no-store");
    pd_http_add_header(r, "X-Accel-Buffering", "no");
    pthread_mutex_lock(&r->server->lock);
    if (!r->is_gone && r->answer == HTTP_NO_ANSWER) {
        r->answer = HTTP_STREAM;
        r->status = status;
        r->content_type = pd_arena_strdup(&r->answer_memory, content_type);
        if (!r->is_head) http_resume_locked(r); /* a HEAD's answer is over with its header */
    }
    pthread_mutex_unlock(&r->server->lock);
}

/* It reads too slowly, or there is no memory for it: its connection is closed, and when that has
 * happened the caller's function is called as for every other client. */
static void give_up_locked(pd_http_reply *r) {
    r->is_gone = true;
    drop_out(r);
    bool was_suspended = r->is_suspended;
    http_resume_locked(r);
    if (!was_suspended && r->connection) pd_socket_break(r->connection->fd);
}

bool pd_http_write(pd_http_reply *r, const void *bytes, size_t n) {
    pd_http *server = r->server;
    pthread_mutex_lock(&server->lock);
    bool takes = !r->is_gone && r->answer == HTTP_STREAM;
    if (takes && !r->is_head && n > 0) {
        takes =
            r->out_end - r->out_begin + n <= server->desc.max_unread_bytes && append(r, bytes, n);
        if (takes) http_resume_locked(r);
        if (!takes) give_up_locked(r);
    }
    pthread_mutex_unlock(&server->lock);
    return takes;
}

bool pd_http_is_gone(pd_http_reply *r) {
    pthread_mutex_lock(&r->server->lock);
    bool is_gone = r->is_gone;
    pthread_mutex_unlock(&r->server->lock);
    return is_gone;
}

void pd_http_end(pd_http_reply *r) {
    pthread_mutex_lock(&r->server->lock);
    bool is_lost = r->answer == HTTP_NO_ANSWER && !r->is_gone;
    if (!is_lost) end_locked(r);
    pthread_mutex_unlock(&r->server->lock);
    if (is_lost) {
        pd_http_send_error(r, 500, "no_answer", "The server has no answer to this request.");
    } else {
        http_release(r);
    }
}

/* ---- clients that go ------------------------------------------------------------------------ */

void pd_http_on_gone(pd_http_reply *r, void (*fn)(void *ctx), void *ctx) {
    pthread_mutex_lock(&r->server->lock);
    bool call = fn && r->is_gone && !r->was_told;
    r->gone_fn = fn;
    r->gone_ctx = ctx;
    r->was_told |= call;
    pthread_mutex_unlock(&r->server->lock);
    if (call) fn(ctx);
}

bool http_set_gone_locked(pd_http_reply *r) {
    bool tell = !r->is_ended && !r->was_told && r->gone_fn;
    r->is_gone = true;
    drop_out(r);
    if (r->is_suspended) {
        http_resume_locked(r);
    } else if (r->connection) {
        pd_socket_break(r->connection->fd); /* it waits until the client reads */
    }
    if (!tell) return false;
    r->was_told = r->is_telling = true;
    r->teller = pthread_self();
    http_hold_locked(r);
    return true;
}

void http_tell_gone(pd_http_reply *r) {
    pd_http *server = r->server;
    pthread_mutex_lock(&server->lock);
    void (*fn)(void *ctx) = r->gone_fn;
    void *ctx = r->gone_ctx;
    pthread_mutex_unlock(&server->lock);
    if (fn) fn(ctx);
    pthread_mutex_lock(&server->lock);
    r->is_telling = false;
    pthread_cond_broadcast(&server->told);
    pthread_mutex_unlock(&server->lock);
    http_release(r);
}

/* ---- libmicrohttpd's side ------------------------------------------------------------------- */

static ssize_t read_stream(void *ctx, uint64_t at, char *out, size_t max) {
    pd_http_reply *r = ctx;
    (void)at;
    ssize_t n = 0;
    pthread_mutex_lock(&r->server->lock);
    size_t there = r->out_end - r->out_begin;
    if (r->is_gone || (r->server->is_stopping && !r->is_ended)) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (there > 0) {
        size_t take = there < max ? there : max;
        memcpy(out, r->out + r->out_begin, take);
        r->out_begin += take;
        if (r->out_begin == r->out_end) r->out_begin = r->out_end = 0;
        n = (ssize_t)take;
    } else if (r->is_ended) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        r->is_suspended = true;
        MHD_suspend_connection(r->mhd);
    }
    pthread_mutex_unlock(&r->server->lock);
    return n;
}

static void add_header(struct MHD_Response *response, const char *name, const char *value) {
    if (name && value && MHD_add_response_header(response, name, value) != MHD_YES)
        pd_log(PD_LOG_DEBUG, "server", "an answer's header cannot be sent and is left out");
}

static void add_headers(const pd_http_reply *r, struct MHD_Response *response) {
    const pd_http_desc *desc = &r->server->desc;
    for (const http_header *h = r->headers; h; h = h->next) add_header(response, h->name, h->value);
    add_header(response, "Content-Type", r->content_type);
    add_header(response, "Access-Control-Allow-Origin", r->cors_origin);
    if (desc->n_cors_origins > 0 && strcmp(desc->cors_origins[0], "*") != 0)
        add_header(response, "Vary", "Origin");
}

enum MHD_Result http_queue_answer(pd_http_reply *r, struct MHD_Connection *mhd) {
    bool in_pieces = r->answer == HTTP_STREAM && !r->is_head;
    struct MHD_Response *response =
        in_pieces
            ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, r, NULL)
            : MHD_create_response_from_buffer(r->out_end, r->out_end ? r->out : "",
                                              MHD_RESPMEM_PERSISTENT);
    if (!response) return MHD_NO;
    add_headers(r, response);
    enum MHD_Result queued = MHD_queue_response(mhd, (unsigned)r->status, response);
    MHD_destroy_response(response);
    return queued;
}
