/* The HTTP server from within: lifetimes of replies, who is told when a client goes, what a stop in
 * the middle of everything leaves. How it looks from outside: tests/server.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "server/http.h"

enum { MANY = 64, PATIENCE_MS = 10000 };

static void sleep_ms(uint32_t ms) {
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

/* ---- a server whose handler hands replies to the test ---------------------------------------- */

typedef struct fixture {
    pd_http *server;
    pd_http_reply *_Atomic reply; /* of the last request */
    atomic_uint n_told, n_handled;
    atomic_bool waits; /* the handler does not return */
} fixture;

static void keep(void *ctx, const pd_http_request *request, pd_http_reply *reply) {
    fixture *f = ctx;
    (void)request;
    atomic_fetch_add(&f->n_handled, 1);
    atomic_store(&f->reply, reply);
    while (atomic_load(&f->waits)) sleep_ms(1);
}

static void start(fixture *f, pd_http_desc desc) {
    pd_error err;
    memset(f, 0, sizeof *f);
    if (!desc.handler) desc.handler = keep;
    desc.ctx = f;
    if (pd_http_start(&desc, &f->server, &err) != PD_OK) fail_msg("%s", err.message);
    assert_int_not_equal(pd_http_port(f->server), 0);
}

static int connect_to(const pd_http *server) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(pd_http_port(server))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0) return fd;
    close(fd);
    return -1;
}

static int ask(const fixture *f, const char *path) {
    char text[200];
    int fd = connect_to(f->server);
    int n = snprintf(text, sizeof text,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    if (fd >= 0) (void)!send(fd, text, (size_t)n, MSG_NOSIGNAL); /* or the server has stopped */
    return fd;
}

static pd_http_reply *ask_for_reply(fixture *f, int *fd) {
    atomic_store(&f->reply, NULL);
    *fd = ask(f, "/");
    assert_true(*fd >= 0);
    uint64_t end = pd_clock_ns() + PATIENCE_MS * UINT64_C(1000000);
    while (!atomic_load(&f->reply) && pd_clock_ns() < end) sleep_ms(1);
    assert_non_null(atomic_load(&f->reply));
    return atomic_load(&f->reply);
}

/* All that comes until the server closes. */
static const char *read_all(int fd) {
    static char text[1 << 16];
    size_t n = 0;
    for (ssize_t got;
         n + 1 < sizeof text && (got = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0;)
        n += (size_t)got;
    text[n] = '\0';
    close(fd);
    return text;
}

static void on_gone(void *ctx) {
    fixture *f = ctx;
    atomic_fetch_add(&f->n_told, 1);
}

static void wait_told(fixture *f, uint32_t n) {
    uint64_t end = pd_clock_ns() + PATIENCE_MS * UINT64_C(1000000);
    while (atomic_load(&f->n_told) < n && pd_clock_ns() < end) sleep_ms(1);
    assert_int_equal(atomic_load(&f->n_told), n);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void test_answers(void **state) {
    fixture f;
    int fd;
    (void)state;
    start(&f, (pd_http_desc){0});
    pd_http_reply *r = ask_for_reply(&f, &fd);
    assert_int_equal(pd_http_n_open(f.server), 1);
    pd_http_add_header(r, "X-Mine", "1");
    pd_http_send(r, 201, "text/plain", "whole", 5);
    const char *text = read_all(fd);
    assert_non_null(strstr(text, "HTTP/1.1 201 "));
    assert_non_null(strstr(text, "X-Mine: 1\r\n"));
    assert_non_null(strstr(text, "Content-Length: 5\r\n"));
    assert_string_equal(text + strlen(text) - 5, "whole");
    r = ask_for_reply(&f, &fd);
    pd_http_start_stream(r, 200, "text/event-stream");
    pd_http_add_header(r, "X-Late", "1");
    pd_http_start_stream(r, 500, "text/plain");
    assert_true(pd_http_write(r, "one", 3));
    assert_true(pd_http_write(r, "", 0));
    sleep_ms(50);
    assert_true(pd_http_write(r, "two", 3));
    pd_http_end(r);
    text = read_all(fd);
    assert_non_null(strstr(text, "HTTP/1.1 200 "));
    assert_null(strstr(text, "X-Late"));
    assert_non_null(strstr(text, "\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n"));
    r = ask_for_reply(&f, &fd);
    assert_false(pd_http_write(r, "before it was started", 21));
    pd_http_send_error(r, 400, "a\"code", "%s \xff.", "A sentence");
    text = read_all(fd);
    assert_non_null(strstr(
        text,
        "{\"type\":\"error\",\"error\":{\"message\":\"A sentence ?.\",\"type\":\"invalid_request_"
        "error\",\"param\":null,\"code\":\"a\\\"code\"}}"));
    assert_int_equal(pd_http_n_open(f.server), 0);
    pd_http_stop(f.server);
}

/* ---- clients that go ------------------------------------------------------------------------ */

static void test_gone(void **state) {
    fixture f;
    int fd;
    (void)state;
    start(&f, (pd_http_desc){0});
    pd_http_reply *r = ask_for_reply(&f, &fd);
    pd_http_on_gone(r, on_gone, &f);
    assert_false(pd_http_is_gone(r));
    close(fd);
    wait_told(&f, 1);
    assert_true(pd_http_is_gone(r));
    pd_http_on_gone(r, on_gone, &f); /* it was told */
    pd_http_start_stream(r, 200, "text/plain");
    assert_false(pd_http_write(r, "x", 1));
    pd_http_end(r);
    assert_int_equal(atomic_load(&f.n_told), 1);
    /* who asks later is told at once */
    r = ask_for_reply(&f, &fd);
    pd_http_start_stream(r, 200, "text/plain");
    close(fd);
    for (int i = 0; i < PATIENCE_MS && !pd_http_is_gone(r); i++) sleep_ms(1);
    pd_http_on_gone(r, on_gone, &f);
    assert_int_equal(atomic_load(&f.n_told), 2);
    pd_http_send(r, 200, "text/plain", "x", 1);
    /* who has ended is not told */
    r = ask_for_reply(&f, &fd);
    pd_http_on_gone(r, on_gone, &f);
    pd_http_send(r, 200, "text/plain", "x", 1);
    close(fd);
    sleep_ms(600);
    assert_int_equal(atomic_load(&f.n_told), 2);
    assert_int_equal(pd_http_n_open(f.server), 0);
    pd_http_stop(f.server);
}

static void end_from_within(void *ctx) {
    fixture *f = ctx;
    pd_http_end(atomic_load(&f->reply));
    atomic_fetch_add(&f->n_told, 1);
}

static void test_end_from_within(void **state) {
    fixture f;
    int fd;
    (void)state;
    start(&f, (pd_http_desc){0});
    pd_http_on_gone(ask_for_reply(&f, &fd), end_from_within, &f);
    close(fd);
    wait_told(&f, 1);
    pd_http_on_gone(ask_for_reply(&f, &fd), end_from_within, &f);
    pd_http_stop(f.server); /* tells as well */
    assert_int_equal(atomic_load(&f.n_told), 2);
    close(fd);
}

static atomic_bool is_telling, was_told;

static void tell_slowly(void *ctx) {
    (void)ctx;
    atomic_store(&is_telling, true);
    sleep_ms(200);
    atomic_store(&was_told, true);
}

static void test_end_waits(void **state) {
    fixture f;
    int fd;
    (void)state;
    start(&f, (pd_http_desc){0});
    pd_http_reply *r = ask_for_reply(&f, &fd);
    pd_http_on_gone(r, tell_slowly, NULL);
    close(fd);
    for (int i = 0; i < PATIENCE_MS && !atomic_load(&is_telling); i++) sleep_ms(1);
    assert_true(atomic_load(&is_telling));
    pd_http_end(r);
    assert_true(atomic_load(&was_told));
    pd_http_stop(f.server);
}

/* What nobody reads is given up, and its holder told as for every client that goes. */
static void test_unread(void **state) {
    fixture f;
    int fd;
    char bytes[4096] = {0};
    (void)state;
    start(&f, (pd_http_desc){.max_unread_bytes = 1 << 20});
    pd_http_reply *r = ask_for_reply(&f, &fd);
    pd_http_on_gone(r, on_gone, &f);
    pd_http_start_stream(r, 200, "text/plain");
    uint64_t n = 0;
    while (n < 1 << 28 && pd_http_write(r, bytes, sizeof bytes)) n += sizeof bytes;
    assert_true(n >= 1 << 20 && n < 1 << 28);
    assert_false(pd_http_write(r, bytes, 1));
    wait_told(&f, 1);
    pd_http_end(r);
    close(fd);
    pd_http_stop(f.server);
}

/* ---- stop ----------------------------------------------------------------------------------- */

static void test_outlives_server(void **state) {
    fixture f;
    int fds[3];
    pd_http_reply *replies[3];
    (void)state;
    start(&f, (pd_http_desc){0});
    for (int i = 0; i < 3; i++) {
        replies[i] = ask_for_reply(&f, &fds[i]);
        pd_http_on_gone(replies[i], on_gone, &f);
    }
    pd_http_start_stream(replies[1], 200, "text/plain");
    assert_true(pd_http_write(replies[1], "x", 1));
    pd_http_stop(f.server);
    assert_int_equal(atomic_load(&f.n_told), 3);
    for (int i = 0; i < 3; i++) {
        assert_true(pd_http_is_gone(replies[i]));
        assert_false(pd_http_write(replies[i], "x", 1));
        close(fds[i]);
    }
    pd_http_send(replies[0], 200, "text/plain", "x", 1);
    pd_http_end(replies[1]);
    pd_http_send_error(replies[2], 500, NULL, "Too late.");
    assert_int_equal(atomic_load(&f.n_told), 3);
}

static void *stop_waiting(void *ctx) {
    fixture *f = ctx;
    sleep_ms(200);
    atomic_store(&f->waits, false);
    return NULL;
}

static void test_stop_waits(void **state) {
    fixture f;
    int fd, later;
    pthread_t thread;
    (void)state;
    start(&f, (pd_http_desc){.n_threads = 1});
    atomic_store(&f.waits, true);
    pd_http_reply *r = ask_for_reply(&f, &fd);
    later = ask(&f, "/"); /* waits for a worker, and never gets one */
    sleep_ms(50);
    assert_int_equal(pd_http_n_open(f.server), 2);
    pthread_create(&thread, NULL, stop_waiting, &f);
    pd_http_stop(f.server);
    assert_false(atomic_load(&f.waits));
    assert_int_equal(atomic_load(&f.n_handled), 1);
    pthread_join(thread, NULL);
    pd_http_end(r);
    close(fd);
    close(later);
}

/* What was ended arrives, though the server is stopped at once. */
static void test_stop_flushes(void **state) {
    fixture f;
    int fd;
    static char bytes[40000];
    (void)state;
    memset(bytes, 'x', sizeof bytes);
    for (int i = 0; i < 20; i++) {
        start(&f, (pd_http_desc){0});
        pd_http_reply *r = ask_for_reply(&f, &fd);
        if (i % 2) {
            pd_http_start_stream(r, 200, "text/plain");
            assert_true(pd_http_write(r, bytes, sizeof bytes));
            pd_http_end(r);
        } else {
            pd_http_send(r, 200, "text/plain", bytes, sizeof bytes);
        }
        pd_http_stop(f.server);
        const char *text = read_all(fd);
        assert_true(strlen(text) > sizeof bytes);
        if (i % 2) assert_string_equal(text + strlen(text) - 5, "0\r\n\r\n");
    }
}

/* ---- everything at once --------------------------------------------------------------------- */

static void misbehave(void *ctx, const pd_http_request *request, pd_http_reply *reply) {
    fixture *f = ctx;
    uint64_t seed = request->id;
    uint64_t what = pd_random_next(&seed) % 6;
    if (what > 1) pd_http_on_gone(reply, on_gone, f);
    if (what > 2) pd_http_start_stream(reply, 200, "text/plain");
    for (uint64_t i = 0; what > 3 && i < pd_random_next(&seed) % 50; i++)
        if (!pd_http_write(reply, "some text", 9)) break;
    if (what == 5) sleep_ms((uint32_t)(pd_random_next(&seed) % 3));
    if (what == 0) pd_http_send(reply, 200, "text/plain", "whole", 5);
    if (what != 0) pd_http_end(reply);
}

static void *misbehaving_client(void *ctx) {
    fixture *f = ctx;
    uint64_t seed = pd_random_seed();
    int fds[MANY], n = 0;
    for (int i = 0; i < MANY; i++) {
        int fd = ask(f, "/");
        if (fd < 0) break; /* the server has stopped */
        char some[16];
        uint64_t what = pd_random_next(&seed) % 4;
        if (what == 0) (void)!recv(fd, some, sizeof some, 0);
        if (what == 1) shutdown(fd, SHUT_WR);
        fds[n++] = fd;
        if (what == 2) close(fds[--n]);
    }
    while (n > 0) close(fds[--n]);
    return NULL;
}

static void test_everything(void **state) {
    (void)state;
    for (uint32_t round = 0; round < 8; round++) {
        fixture f;
        pthread_t clients[3];
        start(&f, (pd_http_desc){.n_threads = 3, .handler = misbehave});
        for (int i = 0; i < 3; i++) pthread_create(&clients[i], NULL, misbehaving_client, &f);
        if (round % 2) sleep_ms(5 * round);
        if (round % 2 == 0)
            for (int i = 0; i < 3; i++) pthread_join(clients[i], NULL);
        pd_http_stop_accepting(f.server);
        if (round % 2)
            for (int i = 0; i < 3; i++) pthread_join(clients[i], NULL);
        pd_http_stop(f.server);
    }
}

/* ---- arguments ------------------------------------------------------------------------------ */

static void expect_refusal(pd_http_desc desc, pd_status status) {
    pd_http *server = (pd_http *)1;
    pd_error err;
    assert_int_equal(pd_http_start(&desc, &server, &err), status);
    assert_null(server);
    assert_true(err.message[0] != '\0');
}

static void test_arguments(void **state) {
    fixture f;
    pd_http *server;
    (void)state;
    assert_int_equal(pd_http_start(NULL, &server, NULL), PD_ERR_ARGUMENT);
    assert_int_equal(pd_http_start(&(pd_http_desc){0}, &server, NULL), PD_ERR_ARGUMENT);
    expect_refusal((pd_http_desc){.handler = keep, .n_api_keys = 1}, PD_ERR_ARGUMENT);
    expect_refusal((pd_http_desc){.handler = keep, .tls_cert = "/x"}, PD_ERR_ARGUMENT);
    expect_refusal((pd_http_desc){.handler = keep, .requests_per_second = -1}, PD_ERR_ARGUMENT);
    expect_refusal((pd_http_desc){.handler = keep, .max_body_bytes = UINT64_MAX}, PD_ERR_ARGUMENT);
    start(&f, (pd_http_desc){0});
    expect_refusal((pd_http_desc){.handler = keep, .port = pd_http_port(f.server)}, PD_ERR_IO);
    pd_http_stop_accepting(f.server);
    assert_int_equal(connect_to(f.server), -1);
    pd_http_stop_accepting(f.server);
    pd_http_stop(f.server);
    pd_http_stop_accepting(NULL);
    pd_http_stop(NULL);
    assert_int_equal(pd_http_port(NULL), 0);
    assert_int_equal(pd_http_n_open(NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),         cmocka_unit_test(test_gone),
        cmocka_unit_test(test_end_from_within), cmocka_unit_test(test_end_waits),
        cmocka_unit_test(test_unread),          cmocka_unit_test(test_outlives_server),
        cmocka_unit_test(test_stop_waits),      cmocka_unit_test(test_stop_flushes),
        cmocka_unit_test(test_everything),      cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
