/* See image_fetch.h. One GET over libcurl, whose sockets are made here.
 *
 * SPDX-License-Identifier: MIT
 */
#include "server/image_fetch.h"

#include <curl/curl.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/system_folders.h"

enum { MAX_REDIRECTS = 3, MAX_HEADER_BYTES = 256 << 10, OK = 200 };

typedef struct transfer { /* what the callbacks know */
    CURL *curl;
    srv_address_fn allowed;
    pd_bytes *out;
    uint64_t max_bytes;
    size_t n_header; /* bytes of all answers' */
    bool is_near;    /* an address was not allowed */
    bool is_large;
} transfer;

/* ---- what libcurl asks and tells ------------------------------------------------------------- */

/* The only way to a connection: each address that a name has, and each redirect, comes here. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a) {
    transfer *t = ctx;
    (void)purpose;
    if (t->allowed(&a->addr, a->addrlen)) {
        int fd = pd_socket_open(a->family, a->socktype, a->protocol);
        return fd >= 0 ? (curl_socket_t)fd : CURL_SOCKET_BAD;
    }
    t->is_near = true;
    return CURL_SOCKET_BAD;
}

static size_t take_header(char *line, size_t size, size_t n, void *ctx) {
    transfer *t = ctx;
    (void)line;
    t->n_header += size * n;
    return t->n_header <= MAX_HEADER_BYTES ? size * n : 0;
}

static size_t take_body(char *data, size_t size, size_t n, void *ctx) {
    transfer *t = ctx;
    long status = 0;
    n *= size;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != OK) return 0;
    t->is_large = n > t->max_bytes - t->out->n;
    if (t->is_large) return 0;
    pd_bytes_write(t->out, data, n);
    return t->out->failed ? 0 : n;
}

/* ---- the request ---------------------------------------------------------------------------- */

/* A libcurl that was built for no system in particular has to be told. */
static bool set_certificates(CURL *c) {
    bool knows = curl_version_info(CURLVERSION_NOW)->cainfo;
    const char *file = knows ? NULL : pd_system_certificates();
    return !file || curl_easy_setopt(c, CURLOPT_CAINFO, file) == CURLE_OK;
}

static bool set_up(transfer *t, const char *url, uint64_t ns) {
    static const char protocols[] = "http,https";
    CURL *c = t->curl;
    return set_certificates(c) && curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, protocols) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, protocols) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK && /* the environment's neither */
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(ns / 1000000) + 1) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)t->max_bytes) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_USERAGENT, "peridot/" PD_VERSION_STRING) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK;
}

/* libcurl's own sentences quote what came. */
static pd_status raise_failure(const transfer *t, CURLcode code, pd_error *err) {
    if (t->out->failed || code == CURLE_OUT_OF_MEMORY)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a picture");
    if (t->is_large || code == CURLE_FILESIZE_EXCEEDED)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "a picture is larger than %llu bytes",
                        (unsigned long long)t->max_bytes);
    if (t->is_near)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "a picture's address leads to a place that is not asked: into this "
                        "machine, its network, or what is no site's address");
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_LOGIN_DENIED:
    case CURLE_TOO_MANY_REDIRECTS:
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "a picture's address is no http(s):// without a password, or leads to "
                        "another kind, or through more than %d redirects",
                        MAX_REDIRECTS);
    case CURLE_COULDNT_RESOLVE_HOST:
        return PD_RAISE(err, PD_ERR_IO, "the host in a picture's address is not known");
    case CURLE_OPERATION_TIMEDOUT:
        return PD_RAISE(err, PD_ERR_IO, "fetching a request's pictures took too long");
    case CURLE_PEER_FAILED_VERIFICATION:
        return PD_RAISE(err, PD_ERR_IO, "the certificate of a picture's host is not trusted");
    default: return PD_RAISE(err, PD_ERR_IO, "a picture did not come from its address");
    }
}

static pd_status get(transfer *t, const char *url, uint64_t ns, pd_error *err) {
    long status = 0;
    if (!set_up(t, url, ns))
        return PD_RAISE(err, PD_ERR_INTERNAL, "libcurl %s lacks what is needed of it",
                        LIBCURL_VERSION);
    CURLcode code = curl_easy_perform(t->curl);
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    pd_log(PD_LOG_INFO, "server", "a picture of %zu bytes: status %ld, %s", t->out->n, status,
           curl_easy_strerror(code));
    return code == CURLE_OK && status == OK ? PD_OK : raise_failure(t, code, err);
}

pd_status srv_fetch(const char *url, uint64_t max_bytes, uint64_t *ns, srv_address_fn allowed,
                    pd_bytes *out, pd_error *err) {
    transfer t = {.allowed = allowed, .out = out, .max_bytes = max_bytes};
    *out = (pd_bytes){0};
    if (*ns == 0) return PD_RAISE(err, PD_ERR_IO, "fetching a request's pictures took too long");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return PD_RAISE(err, PD_ERR_INTERNAL, "libcurl does not start");
    uint64_t begin = pd_clock_ns();
    t.curl = curl_easy_init();
    pd_status status = t.curl ? get(&t, url, *ns, err)
                              : PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a picture");
    curl_easy_cleanup(t.curl);
    curl_global_cleanup();
    uint64_t took = pd_clock_ns() - begin;
    *ns = took < *ns ? *ns - took : 0;
    return status;
}
