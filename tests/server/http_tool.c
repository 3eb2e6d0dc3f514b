/* A server over src/server with handlers that a test can ask for, for tests/server/test_http.py.
 *
 * Usage: http_tool [NAME=VALUE]...      numbers of pd_http_desc by their names; host, socket_path,
 *                                       tls_key, tls_cert; key, origin, open: may be repeated
 *
 * It writes "port N" when it listens, or "error NAME: SENTENCE" and ends with 1. Lines on its
 * input:
 *
 *     state   writes "open N told N twice N ended N peak_kib N"
 *     drain   stops accepting
 *     stop    stops the server, ends what is left of replies, writes the state, and ends
 *
 * Paths: /echo; /describe; /late?ms=; /stream?n=&ms=&bytes= (one thread writes all streams); /never
 * (a stream that never ends); /silent (never answered); /flood (as fast as it is taken); /forgotten
 * (ended without an answer); /status?code=.
 *
 * SPDX-License-Identifier: MIT
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "server/http.h"

enum { MAX_TEXTS = 16 };
static const uint64_t NEVER = UINT64_MAX;

typedef struct job {
    struct job *next;
    pd_http_reply *reply;
    uint64_t n_left, n_bytes, every_ns, due_ns;
    atomic_uint n_told;
} job;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static job *jobs;
static atomic_uint n_told, n_twice, n_ended;
static atomic_bool stops;

static void sleep_ms(uint64_t ms) {
    nanosleep(&(struct timespec){(time_t)(ms / 1000), (long)(ms % 1000) * 1000000}, NULL);
}

/* ---- streams -------------------------------------------------------------------------------- */

static void on_gone(void *ctx) {
    job *j = ctx;
    atomic_fetch_add(&n_told, 1);
    if (atomic_fetch_add(&j->n_told, 1) > 0) atomic_fetch_add(&n_twice, 1);
}

/* False: it is over. */
static bool advance(job *j, uint64_t now) {
    static const char filler[65536] = "data";
    if (atomic_load(&j->n_told) > 0) return false;
    while (j->n_left > 0 && now >= j->due_ns) {
        size_t n = j->n_bytes < sizeof filler ? j->n_bytes : sizeof filler;
        if (!pd_http_write(j->reply, filler, n)) return false;
        j->due_ns = j->every_ns ? j->due_ns + j->every_ns : now;
        if (j->n_left != UINT64_MAX) j->n_left--;
        if (j->n_left == UINT64_MAX) break;
    }
    return j->n_left > 0;
}

static void *write_streams(void *ctx) {
    (void)ctx;
    while (!atomic_load(&stops)) {
        pthread_mutex_lock(&lock);
        for (job **at = &jobs; *at;) {
            job *j = *at;
            if (advance(j, pd_clock_ns())) {
                at = &j->next;
                continue;
            }
            *at = j->next;
            pd_http_end(j->reply);
            atomic_fetch_add(&n_ended, 1);
            pd_free(j);
        }
        pthread_mutex_unlock(&lock);
        sleep_ms(1);
    }
    return NULL;
}

static void add_job(pd_http_reply *reply, uint64_t n, uint64_t ms, uint64_t n_bytes, bool starts) {
    job *j = pd_alloc(1, sizeof *j);
    *j = (job){.reply = reply, .n_left = n, .n_bytes = n_bytes, .every_ns = ms * 1000000};
    j->due_ns = ms == NEVER ? UINT64_MAX : pd_clock_ns();
    pd_http_on_gone(reply, on_gone, j);
    if (starts) pd_http_start_stream(reply, 200, "text/event-stream");
    pthread_mutex_lock(&lock);
    j->next = jobs;
    jobs = j;
    pthread_mutex_unlock(&lock);
}

static void end_jobs(void) {
    for (job *j; (j = jobs) != NULL;) {
        jobs = j->next;
        if (pd_http_write(j->reply, "late", 4)) atomic_fetch_add(&n_twice, 1); /* it must refuse */
        pd_http_end(j->reply);
        atomic_fetch_add(&n_ended, 1);
        pd_free(j);
    }
}

/* ---- the handler ---------------------------------------------------------------------------- */

static uint64_t number(const pd_http_request *q, const char *name, uint64_t by_default) {
    const char *text = pd_http_query(q, name);
    return text ? strtoull(text, NULL, 10) : by_default;
}

static void describe(const pd_http_request *q, pd_http_reply *reply) {
    cJSON *j = cJSON_CreateObject(), *headers = cJSON_AddObjectToObject(j, "headers");
    cJSON_AddStringToObject(j, "method", q->method);
    cJSON_AddStringToObject(j, "path", q->path);
    cJSON_AddStringToObject(j, "content_type", q->content_type);
    cJSON_AddStringToObject(j, "client", q->client);
    cJSON_AddNumberToObject(j, "id", (double)q->id);
    cJSON_AddNumberToObject(j, "n_body", (double)q->n_body);
    cJSON_AddNumberToObject(j, "behind_body", q->body[q->n_body]);
    const char *x = pd_http_query(q, "x");
    if (x) cJSON_AddStringToObject(j, "x", x);
    for (size_t i = 0; i < q->n_headers; i++)
        cJSON_AddStringToObject(headers, q->headers[i].name, q->headers[i].value);
    char *text = cJSON_PrintUnformatted(j);
    pd_http_add_header(reply, "X-Told", "yes");
    pd_http_add_header(reply, "X-Split", "a\r\nX-Injected: yes");
    pd_http_send(reply, 200, "application/json", text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(j);
}

static bool is(const pd_http_request *q, const char *path) {
    return strcmp(q->path, path) == 0;
}

static void handle(void *ctx, const pd_http_request *q, pd_http_reply *reply) {
    (void)ctx;
    if (is(q, "/echo")) {
        pd_http_send(reply, 200, q->content_type, q->body, q->n_body);
    } else if (is(q, "/describe")) {
        describe(q, reply);
    } else if (is(q, "/health")) {
        pd_http_send(reply, 200, "text/plain", "ok", 2);
    } else if (is(q, "/late")) {
        sleep_ms(number(q, "ms", 100));
        pd_http_send(reply, 200, "text/plain", "late", 4);
    } else if (is(q, "/stream")) {
        add_job(reply, number(q, "n", 3), number(q, "ms", 10), number(q, "bytes", 4), true);
    } else if (is(q, "/never") || is(q, "/silent")) {
        add_job(reply, 1, NEVER, 1, is(q, "/never"));
    } else if (is(q, "/flood")) {
        add_job(reply, UINT64_MAX, 0, number(q, "bytes", 65536), true);
    } else if (is(q, "/forgotten")) {
        pd_http_end(reply);
    } else if (is(q, "/status")) {
        pd_http_send(reply, (int)number(q, "code", 200), "text/plain", "body", 4);
    } else {
        pd_http_send_error(reply, 404, NULL, "There is nothing at %s.", q->path);
    }
}

/* ---- options and commands ------------------------------------------------------------------- */

static bool is_name(const char *arg, const char *name, const char **value) {
    size_t n = strlen(name);
    if (strncmp(arg, name, n) != 0 || arg[n] != '=') return false;
    *value = arg + n + 1;
    return true;
}

#define NUMBERS(X)                                                                                 \
    X(port)                                                                                        \
    X(allow_any_host)                                                                              \
    X(socket_mode)                                                                                 \
    X(n_threads)                                                                                   \
    X(max_connections)                                                                             \
    X(max_header_bytes)                                                                            \
    X(max_body_bytes)                                                                              \
    X(max_bodies_bytes)                                                                            \
    X(max_unread_bytes)                                                                            \
    X(idle_seconds)                                                                                \
    X(request_seconds)                                                                             \
    X(max_per_address)                                                                             \
    X(requests_per_second)                                                                         \
    X(burst)

static const char *keys[MAX_TEXTS], *origins[MAX_TEXTS], *opens[MAX_TEXTS + 1];

static bool read_arg(const char *arg, pd_http_desc *d, size_t *n_open) {
    const char *value;
#define READ_NUMBER(name)                                                                          \
    if (is_name(arg, #name, &value)) {                                                             \
        d->name = (__typeof__(d->name))strtod(value, NULL);                                        \
        return true;                                                                               \
    }
    NUMBERS(READ_NUMBER)
    if (is_name(arg, "host", &d->host) || is_name(arg, "socket_path", &d->socket_path) ||
        is_name(arg, "tls_key", &d->tls_key) || is_name(arg, "tls_cert", &d->tls_cert))
        return true;
    if (is_name(arg, "key", &value) && d->n_api_keys < MAX_TEXTS) {
        keys[d->n_api_keys++] = value;
    } else if (is_name(arg, "origin", &value) && d->n_cors_origins < MAX_TEXTS) {
        origins[d->n_cors_origins++] = value;
    } else if (is_name(arg, "open", &value) && *n_open < MAX_TEXTS) {
        opens[(*n_open)++] = value;
    } else {
        return false;
    }
    return true;
}

static void print_state(pd_http *server) {
    printf("open %u told %u twice %u ended %u peak_kib %" PRIu64 "\n", pd_http_n_open(server),
           atomic_load(&n_told), atomic_load(&n_twice), atomic_load(&n_ended),
           pd_process_peak_bytes() / 1024);
    fflush(stdout);
}

static void log_line(void *ctx, pd_log_level level, const char *subsystem, const char *line) {
    (void)ctx;
    fprintf(stderr, "%d %s: %s\n", (int)level, subsystem, line);
}

static void obey(pd_http *server) {
    char line[64];
    while (fgets(line, sizeof line, stdin) && strcmp(line, "stop\n") != 0) {
        if (strcmp(line, "drain\n") == 0) pd_http_stop_accepting(server);
        print_state(server);
    }
}

int main(int argc, char **argv) {
    pd_http_desc desc = {.handler = handle};
    size_t n_open = 0;
    pd_error err;
    pd_http *server;
    pthread_t writer;
    for (int i = 1; i < argc; i++) {
        if (read_arg(argv[i], &desc, &n_open)) continue;
        fprintf(stderr, "http_tool: what is \"%s\"?\n", argv[i]);
        return 2;
    }
    desc.api_keys = keys;
    desc.cors_origins = origins;
    desc.open_paths = opens;
    pd_log_set(log_line, NULL, PD_LOG_DEBUG);
    if (pd_http_start(&desc, &server, &err) != PD_OK) {
        printf("error %s: %s %s\n", pd_status_name(err.status), err.message, err.hint);
        return 1;
    }
    printf("port %u\n", pd_http_port(server));
    fflush(stdout);
    pthread_create(&writer, NULL, write_streams, NULL);
    obey(server);
    pd_http_stop(server);
    atomic_store(&stops, true);
    pthread_join(writer, NULL);
    end_jobs();
    print_state(NULL);
    return 0;
}
