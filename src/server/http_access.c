/* Who may ask: hosts, origins, keys, and how often.
 *
 * Hosts. A page of some site can have its name point to 127.0.0.1 (DNS rebinding); the browser then
 * takes the server for a part of that site and lets the page read answers. Such requests bear the
 * site's name as Host. Names that no public resolver answers for are let through on loopback: those
 * of loopback itself, and the one that the server was told to listen at.
 *
 * Origins. A page of another origin reads an answer only if the answer says so, which is what
 * configured origins are for. A preflight request asks that beforehand, and bears no key. Browsers
 * send some requests without asking, whose answers then cannot be read, but which would be computed
 * all the same: from other origins than its own and the configured ones the server takes GET alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/words.h"
#include "server/http_parts.h"

static const char METHODS[] = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
static const char HEADERS[] = "authorization, content-type, x-api-key, accept, cache-control, "
                              "x-requested-with, user-agent";

static const char *header(const pd_http_reply *r, const char *name) {
    return MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
}

/* ---- method, size, path --------------------------------------------------------------------- */

static bool check_method(pd_http_reply *r, const char *method) {
    if (strcmp(method, "TRACE") != 0 && strcmp(method, "CONNECT") != 0) return true;
    pd_http_add_header(r, "Allow", METHODS);
    http_refuse(r, 405, "method_not_allowed", "The method %s is not allowed here.", method);
    return false;
}

static bool check_header_size(pd_http_reply *r) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    uint64_t max = r->server->desc.max_header_bytes;
    if (!info || info->header_size <= max) return true;
    http_refuse(r, 431, "headers_too_large",
                "The request's header has %zu bytes, and at most %" PRIu64 " are taken.",
                info->header_size, max);
    return false;
}

/* "http://host:port/path", the form that proxies are asked in: *host is its n bytes. */
static bool split_absolute(const char *url, const char **host, size_t *n, const char **path) {
    size_t scheme = pd_same_n_in_any_case(url, "http://", 7)    ? 7
                    : pd_same_n_in_any_case(url, "https://", 8) ? 8
                                                                : 0;
    if (scheme == 0) return false;
    *host = url + scheme;
    *n = strcspn(*host, "/");
    *path = (*host)[*n] ? *host + *n : "/";
    return true;
}

static bool is_clean(const char *path) {
    size_t n = strlen(path);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)path[i] < ' ' || path[i] == 0x7f) return false;
    return pd_utf8_valid_bytes(path, n) == n;
}

static bool check_path(pd_http_reply *r, const char *path, const char *method) {
    bool is_server = strcmp(path, "*") == 0 && strcmp(method, "OPTIONS") == 0;
    if ((path[0] == '/' || is_server) && is_clean(path)) return true;
    http_refuse(r, 400, "invalid_path",
                "The request's path does not begin with / or has control characters or bytes that "
                "are not UTF-8.");
    return false;
}

/* ---- hosts ---------------------------------------------------------------------------------- */

/* Without the port, without the brackets of an IPv6 address, without a last dot. */
static void trim_host(const char **host, size_t *n) {
    const char *end = *host + *n, *at = memchr(*host, ':', *n);
    if (*n > 0 && **host == '[') {
        (*host)++;
        at = memchr(*host, ']', (size_t)(end - *host));
    }
    if (!at) at = end;
    if (at > *host && at[-1] == '.') at--;
    *n = (size_t)(at - *host);
}

static bool ends_with(const char *text, size_t n, const char *end) {
    size_t n_end = strlen(end);
    return n >= n_end && pd_same_n_in_any_case(text + n - n_end, end, n_end);
}

static bool is_loopback_name(const char *host, size_t n) {
    char address[64];
    uint8_t v4[4], v6[16];
    static const uint8_t one[16] = {[15] = 1};
    if ((n == 9 && ends_with(host, n, "localhost")) || ends_with(host, n, ".localhost"))
        return true;
    if (n >= sizeof address) return false;
    memcpy(address, host, n);
    address[n] = '\0';
    if (pd_address_parse_v4(address, v4)) return v4[0] == 127;
    return pd_address_parse_v6(address, v6) && memcmp(v6, one, sizeof one) == 0;
}

static bool is_own_host(const pd_http *server, const char *host, size_t n) {
    const char *own = server->desc.host;
    size_t n_own = strlen(own);
    trim_host(&host, &n);
    trim_host(&own, &n_own);
    return is_loopback_name(host, n) || (n == n_own && pd_same_n_in_any_case(host, own, n));
}

static bool check_host(pd_http_reply *r, const char *host, size_t n) {
    const pd_http *server = r->server;
    if (server->desc.allow_any_host || !server->listener.is_loopback || !host) return true;
    if (is_own_host(server, host, n)) return true;
    http_refuse(r, 403, "host_not_allowed",
                "The server listens on this machine alone, and the request names another host.");
    return false;
}

/* ---- origins -------------------------------------------------------------------------------- */

static const char *allowed_origin(const pd_http *server, const char *origin) {
    for (size_t i = 0; i < server->desc.n_cors_origins; i++) {
        const char *allowed = server->desc.cors_origins[i];
        if (strcmp(allowed, "*") == 0 || strcmp(allowed, origin) == 0) return allowed;
    }
    return NULL;
}

static void refuse_origin(pd_http_reply *r) {
    http_refuse(r, 403, "origin_not_allowed", "Pages of this origin may not ask this server.");
}

/* A page of the server's own, whatever stands between the two. */
static bool is_own_origin(const pd_http_reply *r, const char *origin) {
    const char *host = header(r, "Host"), *name = strstr(origin, "://");
    return host && name && pd_same_in_any_case(name + 3, host);
}

static bool answer_preflight(pd_http_reply *r) {
    if (!r->cors_origin) {
        refuse_origin(r);
        return false;
    }
    pd_http_add_header(r, "Access-Control-Allow-Methods", METHODS);
    const char *asked = header(r, "Access-Control-Request-Headers");
    pd_http_add_header(r, "Access-Control-Allow-Headers",
                       asked && is_clean(asked) ? asked : HEADERS);
    pd_http_add_header(r, "Access-Control-Max-Age", "86400");
    if (header(r, "Access-Control-Request-Private-Network"))
        pd_http_add_header(r, "Access-Control-Allow-Private-Network", "true");
    http_set_whole(r, 204, NULL, "", 0);
    r->phase = HTTP_REFUSED;
    return false;
}

static bool check_origin(pd_http_reply *r, const char *method) {
    const char *origin = header(r, "Origin");
    if (origin) r->cors_origin = allowed_origin(r->server, origin);
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (reads || (!origin && strcmp(method, "OPTIONS") != 0)) return true;
    if (strcmp(method, "OPTIONS") != 0) {
        if (r->cors_origin || is_own_origin(r, origin)) return true;
        refuse_origin(r);
        return false;
    }
    if (origin && header(r, "Access-Control-Request-Method")) return answer_preflight(r);
    pd_http_add_header(r, "Allow", METHODS);
    http_set_whole(r, 204, NULL, "", 0);
    r->phase = HTTP_REFUSED;
    return false;
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* Takes as long for every given text of a length, whatever the key is. */
static bool is_key(const char *key, const char *given, size_t n) {
    size_t n_key = strlen(key);
    volatile unsigned char difference = n != n_key;
    for (size_t i = 0; i < n; i++)
        difference = (unsigned char)(difference | (given[i] ^ key[n_key ? i % n_key : 0]));
    return difference == 0;
}

static bool is_a_key(const pd_http *server, const char *given) {
    bool found = false; /* all are compared */
    for (size_t i = 0; i < server->desc.n_api_keys; i++)
        found |= is_key(server->desc.api_keys[i], given, strlen(given));
    return found;
}

static const char *given_key(const pd_http_reply *r) {
    const char *given = header(r, "Authorization");
    if (!given || !pd_same_n_in_any_case(given, "Bearer ", 7)) return header(r, "x-api-key");
    given += 7;
    return given + strspn(given, " ");
}

static bool is_open(const pd_http *server, const char *path) {
    for (const char *const *p = server->desc.open_paths; p && *p; p++)
        if (pd_http_is_path(*p, path)) return true;
    return false;
}

static bool check_key(pd_http_reply *r) {
    if (r->server->desc.n_api_keys == 0) return true;
    const char *given = given_key(r);
    if (given && is_a_key(r->server, given)) return true;
    pd_http_add_header(r, "WWW-Authenticate", "Bearer");
    http_refuse(r, 401, "invalid_api_key",
                given ? "The API key is not one of this server's."
                      : "This server wants an API key: Authorization: Bearer KEY.");
    return false;
}

/* ---- how often ------------------------------------------------------------------------------ */

static bool check_rate(pd_http_reply *r) {
    pd_http *server = r->server;
    const pd_address *address = &r->connection->address;
    if (!server->rates || address->kind != PD_ADDRESS_IP) return true;
    pthread_mutex_lock(&server->lock);
    uint32_t wait = http_rates_take(server->rates, address, pd_clock_ns());
    pthread_mutex_unlock(&server->lock);
    if (wait == 0) return true;
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", wait);
    pd_http_add_header(r, "Retry-After", seconds);
    http_refuse(r, 429, "rate_limit_exceeded",
                "Requests come too fast from this address; the next may come in %u s.", wait);
    return false;
}

bool http_check_access(pd_http_reply *r, const char *url, const char *method, const char **path) {
    const char *host = header(r, "Host");
    size_t n_host = host ? strlen(host) : 0;
    *path = url;
    if (!check_method(r, method) || !check_header_size(r)) return false;
    (void)split_absolute(url, &host, &n_host, path);
    if (!check_path(r, *path, method) || !check_host(r, host, n_host)) return false;
    if (!check_origin(r, method)) return false;
    return is_open(r->server, *path) || (check_rate(r) && check_key(r));
}
