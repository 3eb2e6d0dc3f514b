/* Fetching what a request names, from a server in this process that means well or not. What is
 * asked at all is decided by a function, which the tests bring: the real one lets nothing here be
 * reached, and that is tested too.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdatomic.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/env.h"
#include "server/image_fetch.h"

#define SECRET "what-the-other-server-said" /* no sentence may hold it */
static const uint64_t second = UINT64_C(1000000000);
enum { MAX_BYTES = 4096 };

/* ---- a server: GET /NAME answers as NAME says ------------------------------------------------ */

static struct {
    int listener;
    uint16_t port;
    pthread_t thread;
    atomic_bool ends;
    atomic_uint n_asked, n_lines; /* n_lines: of a flood, that were taken */
    char last[2048];              /* request; read when the answer is there */
} server;

static void sleep_ms(uint32_t ms) {
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

static bool tell(int fd, const char *text, size_t n) {
    return send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static void tell_body(int fd, const char *status, const char *header, size_t n) {
    char text[1024], body[1024];
    memset(body, 'x', sizeof body);
    snprintf(text, sizeof text, "HTTP/1.1 %s\r\nConnection: close\r\n%s\r\n", status, header);
    bool goes_on = tell(fd, text, strlen(text));
    while (goes_on && n > 0) {
        size_t step = n < sizeof body ? n : sizeof body;
        goes_on = tell(fd, body, step);
        n -= step;
    }
}

static void redirect(int fd, const char *to) {
    char header[512];
    snprintf(header, sizeof header, "Location: %s\r\nContent-Length: 0\r\n", to);
    tell_body(fd, "302 " SECRET, header, 0);
}

/* A byte every now and then, for as long as somebody listens. */
static void drip(int fd, const char *begin, const char *piece) {
    bool goes_on = tell(fd, begin, strlen(begin));
    for (int i = 0; i < 400 && goes_on && !atomic_load(&server.ends); i++) {
        goes_on = tell(fd, piece, strlen(piece));
        sleep_ms(25);
    }
}

/* Headers without an end. */
static void flood(int fd) {
    static const char begin[] = "HTTP/1.1 200 OK\r\n";
    char line[1024];
    memset(line, 'h', sizeof line);
    memcpy(line, "X-Much: ", 8);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    bool goes_on = tell(fd, begin, sizeof begin - 1);
    for (int i = 0; i < 1 << 16 && goes_on; i++) {
        goes_on = tell(fd, line, sizeof line);
        atomic_fetch_add(&server.n_lines, 1);
    }
}

static void answer(int fd, const char *name) {
    char to[128];
    unsigned n;
    if (sscanf(name, "bytes-%u", &n) == 1) {
        char header[64];
        snprintf(header, sizeof header, "Content-Length: %u\r\n", n);
        tell_body(fd, "200 OK", header, n);
    } else if (sscanf(name, "unsaid-%u", &n) == 1) {
        tell_body(fd, "200 OK", "", n); /* the connection's end is the body's */
    } else if (sscanf(name, "claims-%u", &n) == 1) {
        char header[64];
        snprintf(header, sizeof header, "Content-Length: %u\r\n", n);
        tell_body(fd, "200 OK", header, 10);
    } else if (sscanf(name, "hops-%u", &n) == 1) {
        snprintf(to, sizeof to, n > 1 ? "/hops-%u" : "/bytes-100", n - 1);
        redirect(fd, to);
    } else if (sscanf(name, "status-%u", &n) == 1) {
        snprintf(to, sizeof to, "%u " SECRET, n);
        tell_body(fd, to, "Content-Length: 10\r\nX: " SECRET "\r\n", 10);
    } else if (sscanf(name, "to-%u", &n) == 1) { /* 127.0.0.n */
        snprintf(to, sizeof to, "http://127.0.0.%u:%u/bytes-100", n, server.port);
        redirect(fd, to);
    } else if (strcmp(name, "to-file") == 0) {
        redirect(fd, "file:///etc/hostname");
    } else if (strcmp(name, "to-gopher") == 0) {
        redirect(fd, "gopher://127.0.0.1:1/" SECRET);
    } else if (strcmp(name, "to-password") == 0) {
        snprintf(to, sizeof to, "http://name:word@127.0.0.1:%u/bytes-100", server.port);
        redirect(fd, to);
    } else if (strcmp(name, "cookie") == 0) {
        tell_body(fd, "302 Found",
                  "Set-Cookie: a=" SECRET "; Path=/\r\nLocation: /bytes-100\r\n"
                  "Content-Length: 0\r\n",
                  0);
    } else if (strcmp(name, "slow-body") == 0) {
        drip(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n", "x");
    } else if (strcmp(name, "slow-header") == 0) {
        drip(fd, "HTTP/1.1 200 OK\r\nX: ", "x");
    } else if (strcmp(name, "flood") == 0) {
        flood(fd);
    } else {
        static const char noise[] = SECRET "\r\n\r\n";
        tell(fd, noise, sizeof noise - 1);
    }
}

static void serve_one(int fd) {
    char name[256];
    size_t n = 0;
    ssize_t got;
    memset(server.last, 0, sizeof server.last);
    while (n + 1 < sizeof server.last && !strstr(server.last, "\r\n\r\n") &&
           (got = recv(fd, server.last + n, sizeof server.last - 1 - n, 0)) > 0)
        n += (size_t)got;
    if (sscanf(server.last, "GET /%255s", name) == 1) {
        atomic_fetch_add(&server.n_asked, 1);
        answer(fd, name);
    }
    shutdown(fd, SHUT_WR);
    while (recv(fd, name, sizeof name, 0) > 0) continue; /* or what was sent is lost */
}

static void *serve(void *unused) {
    (void)unused;
    while (!atomic_load(&server.ends)) {
        int fd = accept(server.listener, NULL, NULL);
        if (fd < 0) continue;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 5},
                   sizeof(struct timeval));
        serve_one(fd);
        close(fd);
    }
    return NULL;
}

/* On every address of 127/8. */
static int start_server(void **state) {
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t n = sizeof at;
    signal(SIGPIPE, SIG_IGN);
    server.listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server.listener, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(server.listener, 8) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&at, &n) != 0)
        return -1;
    server.port = ntohs(at.sin_port);
    return pthread_create(&server.thread, NULL, serve, NULL);
}

static int stop_server(void **state) {
    (void)state;
    atomic_store(&server.ends, true);
    shutdown(server.listener, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.listener);
    return 0;
}

/* ---- asking --------------------------------------------------------------------------------- */

static bool everything(const struct sockaddr *a, size_t n) {
    (void)a, (void)n;
    return true;
}

static bool only_two(const struct sockaddr *a, size_t n) { /* 127.0.0.2 */
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
    return n >= sizeof *v4 && a->sa_family == AF_INET &&
           v4->sin_addr.s_addr == htonl(INADDR_LOOPBACK + 1);
}

typedef struct result {
    pd_status status;
    pd_error err;
    size_t n;
    uint64_t took, left;
    unsigned n_asked;
} result;

static result fetch_url(const char *url, uint64_t ns, srv_address_fn allowed) {
    result r = {.left = ns};
    pd_bytes out;
    unsigned before = atomic_load(&server.n_asked);
    uint64_t begin = pd_clock_ns();
    r.status = srv_fetch(url, MAX_BYTES, &r.left, allowed, &out, &r.err);
    r.took = pd_clock_ns() - begin;
    r.n = out.n;
    r.n_asked = atomic_load(&server.n_asked) - before;
    if (out.n > MAX_BYTES) fail_msg("%s: %zu bytes came", url, out.n);
    if (r.status != PD_OK && strstr(r.err.message, SECRET)) fail_msg("%s", r.err.message);
    pd_bytes_free(&out);
    return r;
}

static result fetch(const char *name, srv_address_fn allowed) {
    char url[256];
    snprintf(url, sizeof url, "http://127.0.0.2:%u/%s", server.port, name);
    return fetch_url(url, 20 * second, allowed);
}

static void expect(const char *name, pd_status status) {
    result r = fetch(name, everything);
    if (r.status != status)
        fail_msg("%s: %s instead of %s", name, pd_status_name(r.status), pd_status_name(status));
}

static void comes_as_it_is(void **state) {
    (void)state;
    assert_int_equal(fetch("bytes-100", everything).n, 100);
    assert_int_equal(fetch("unsaid-100", everything).n, 100);
    expect("status-404", PD_ERR_IO);
    expect("status-500", PD_ERR_IO);
    expect("status-204", PD_ERR_IO);
    expect("status-206", PD_ERR_IO);
    expect("status-304", PD_ERR_IO);
    expect("claims-100", PD_ERR_IO);  /* and ends earlier */
    expect("noise", PD_ERR_ARGUMENT); /* no HTTP, or of 1991 */
}

static void size_has_a_limit(void **state) {
    (void)state;
    assert_int_equal(fetch("bytes-4096", everything).n, MAX_BYTES);
    assert_int_equal(fetch("unsaid-4096", everything).n, MAX_BYTES);
    expect("bytes-4097", PD_ERR_UNSUPPORTED);
    expect("unsaid-4097", PD_ERR_UNSUPPORTED);
    expect("unsaid-100000000", PD_ERR_UNSUPPORTED);
    result r = fetch("claims-4000000000", everything); /* known from its header */
    assert_int_equal(r.status, PD_ERR_UNSUPPORTED);
    assert_int_equal(r.n, 0);
    assert_true(r.took < 2 * second);
    expect("flood", PD_ERR_IO);
    assert_true(atomic_load(&server.n_lines) <
                1 << 14); /* what sockets hold is more than is read */
}

static void redirects_are_few(void **state) {
    (void)state;
    result r = fetch("hops-3", everything);
    assert_int_equal(r.status, PD_OK);
    assert_int_equal(r.n, 100);
    assert_int_equal(r.n_asked, 4);
    r = fetch("hops-4", everything);
    assert_int_equal(r.status, PD_ERR_ARGUMENT);
    assert_int_equal(r.n_asked, 4);
}

static void redirects_do_not_lead_elsewhere(void **state) {
    (void)state;
    expect("to-file", PD_ERR_ARGUMENT);
    expect("to-gopher", PD_ERR_ARGUMENT);
    expect("to-password", PD_ERR_ARGUMENT);
    assert_int_equal(fetch("to-2", only_two).n, 100);
    result r = fetch("to-1", only_two); /* from an address that is asked to one that is not */
    assert_int_equal(r.status, PD_ERR_ARGUMENT);
    assert_int_equal(r.n_asked, 1);
    assert_int_equal(r.n, 0);
}

/* However the address is written, its connection is what counts. */
static void connections_are_checked(void **state) {
    (void)state;
    static const char *const hosts[] = {"127.0.0.1",
                                        "127.1",
                                        "2130706433",
                                        "0x7f000001",
                                        "0177.0.0.1",
                                        "0.0.0.0",
                                        "0",
                                        "[::ffff:127.0.0.1]",
                                        "[::ffff:7f00:1]",
                                        "localhost",
                                        "[::1]",
                                        "127.0.0.3",
                                        "%31%32%37.0.0.1",
                                        "\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1"};
    char url[128];
    assert_int_equal(fetch("bytes-100", only_two).status, PD_OK);
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        for (int own = 0; own < 2; own++) {
            snprintf(url, sizeof url, "http://%s:%u/bytes-100", hosts[i], server.port);
            result r = fetch_url(url, 20 * second, own ? srv_address_is_far : only_two);
            if (r.status == PD_OK || r.n_asked) fail_msg("%s was asked", url);
        }
    result r = fetch("bytes-100", srv_address_is_far);
    assert_int_equal(r.status, PD_ERR_ARGUMENT);
    assert_int_equal(r.n_asked, 0);
}

static void addresses_have_a_form(void **state) {
    (void)state;
    static const char *const urls[] = {"file:///etc/hostname",
                                       "ftp://127.0.0.2/x",
                                       "dict://127.0.0.2/x",
                                       "http://",
                                       "http://127.0.0.2:99999/",
                                       "http://name:word@127.0.0.2/",
                                       "http://name@127.0.0.2/",
                                       "http://127.0.0.2/a b",
                                       ""};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        result r = fetch_url(urls[i], 20 * second, everything);
        if (r.status != PD_ERR_ARGUMENT)
            fail_msg("%s: %s", urls[i], r.status ? r.err.message : "was fetched");
    }
}

static void time_has_a_limit(void **state) {
    (void)state;
    static const char *const names[] = {"slow-body", "slow-header"};
    for (size_t i = 0; i < 2; i++) {
        char url[128];
        snprintf(url, sizeof url, "http://127.0.0.2:%u/%s", server.port, names[i]);
        result r = fetch_url(url, second / 2, everything);
        assert_int_equal(r.status, PD_ERR_IO);
        assert_int_equal(r.left, 0);
        if (r.took < second / 3 || r.took > 5 * second)
            fail_msg("%s took %.1f s", names[i], (double)r.took / (double)second);
    }
    result r = fetch("bytes-100", everything); /* what is left is less by what it took */
    assert_true(r.left < 20 * second && r.left > 10 * second);
    r = fetch_url("http://127.0.0.2/", 0, everything);
    assert_int_equal(r.status, PD_ERR_IO);
    assert_int_equal(r.n_asked, 0);
}

/* Neither cookies nor what the environment says of proxies. */
static void nothing_is_added(void **state) {
    (void)state;
    char proxy[64];
    assert_int_equal(fetch("cookie", everything).n, 100);
    assert_null(strstr(server.last, "Cookie"));
    assert_null(strstr(server.last, SECRET));
    assert_null(strstr(server.last, "Authorization"));
    assert_non_null(strstr(server.last, "GET /bytes-100 HTTP/1.1\r\n"));
    snprintf(proxy, sizeof proxy, "http://127.0.0.3:%u", server.port);
    pd_env_set("http_proxy", proxy);
    pd_env_set("ALL_PROXY", proxy);
    assert_int_equal(fetch("bytes-100", only_two).n, 100);
    result r = fetch_url("http://127.0.0.4:1/bytes-100", 20 * second, everything);
    assert_int_equal(r.status, PD_ERR_IO);
    assert_int_equal(r.n_asked, 0);
    pd_env_set("http_proxy", NULL);
    pd_env_set("ALL_PROXY", NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_as_it_is),
        cmocka_unit_test(size_has_a_limit),
        cmocka_unit_test(redirects_are_few),
        cmocka_unit_test(redirects_do_not_lead_elsewhere),
        cmocka_unit_test(connections_are_checked),
        cmocka_unit_test(addresses_have_a_form),
        cmocka_unit_test(time_has_a_limit),
        cmocka_unit_test(nothing_is_added),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
