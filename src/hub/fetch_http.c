/* One GET at a time over libcurl.
 *
 * Only http and https are spoken, and https alone once the server's address begins so. Redirects
 * are followed; the token is a header of requests to the place's own server, and libcurl drops such
 * headers when a redirect leads to another host, port or scheme. Bodies of answers other than 2xx
 * are thrown away. A transfer without a byte for a minute is a broken one.
 *
 * SPDX-License-Identifier: MIT
 */
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/log.h"
#include "base/process.h"
#include "base/system_folders.h"
#include "hub/fetch.h"

enum { CONNECT_SECONDS = 30, SILENCE_SECONDS = 60, MAX_REDIRECTS = 10, PIECE_BYTES = 256 << 10 };

struct fetch_http {
    const fetch_place *place;
    const hub_watch *watch;
    CURL *curl;
    struct curl_slist *token_header; /* NULL: no token */
    char detail[CURL_ERROR_SIZE];
    bool answered;
};

typedef struct transfer { /* what the callbacks know */
    fetch_http *http;
    fetch_request *request;
    pd_status status; /* of the sink */
    pd_error *err;
} transfer;

/* ---- headers -------------------------------------------------------------------------------- */

/* The value of a header line, without spaces around it, when its name is this one. */
static bool header_value(const char *line, size_t n, const char *name, char *out, size_t n_out) {
    size_t n_name = strlen(name);
    if (n <= n_name || line[n_name] != ':' || !curl_strnequal(line, name, n_name)) return false;
    const char *from = line + n_name + 1, *end = line + n;
    while (from < end && strchr(" \t", *from)) from++;
    while (end > from && strchr(" \t\r\n", end[-1])) end--;
    size_t length = (size_t)(end - from);
    for (size_t i = 0; i < length; i++)
        if (from[i] < ' ' || from[i] > '~') return false;
    if (length >= n_out) return false;
    memcpy(out, from, length);
    out[length] = '\0';
    return true;
}

/* Link: <URL>; rel="prev", <URL>; rel="next" */
static void read_link(char *value, fetch_answer *a) {
    for (char *at = value; (at = strchr(at, '<')) != NULL;) {
        char *end = strchr(at, '>');
        if (!end) return;
        size_t n_rest = strcspn(end, "<");
        char *rel = strstr(end, "rel=");
        if (rel && (size_t)(rel - end) < n_rest &&
            strncmp(rel + 4 + (rel[4] == '"'), "next", 4) == 0) {
            *end = '\0';
            snprintf(a->next, sizeof a->next, "%s", at + 1);
            return;
        }
        at = end;
    }
}

/* "bytes 100-199/200" */
static void read_range(const char *value, fetch_answer *a) {
    char *end;
    if (!curl_strnequal(value, "bytes ", 6) || value[6] < '0' || value[6] > '9') return;
    errno = 0;
    unsigned long long at = strtoull(value + 6, &end, 10);
    a->ranged = errno == 0 && *end == '-';
    a->range_at = at;
}

/* An ETag is quoted, and W/ stands before a weak one. */
static void read_linked_id(const char *value, fetch_answer *a) {
    size_t skip = strcspn(value, "\"");
    if (value[skip]) value += skip + 1;
    snprintf(a->linked_id, sizeof a->linked_id, "%.*s", (int)strcspn(value, "\""), value);
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx) {
    transfer *t = ctx;
    fetch_answer *a = &t->request->answer;
    char value[sizeof a->next];
    n *= size;
    if (n > 5 && memcmp(line, "HTTP/", 5) == 0) { /* an answer begins; what the chain said stays */
        a->ranged = false;
        a->next[0] = a->error_code[0] = '\0';
        a->retry_after = 0;
    } else if (header_value(line, n, "Link", value, sizeof value)) {
        read_link(value, a);
    } else if (header_value(line, n, "Content-Range", value, sizeof value)) {
        read_range(value, a);
    } else if (header_value(line, n, "X-Linked-Etag", value, sizeof value)) {
        read_linked_id(value, a);
    } else if (header_value(line, n, "Retry-After", value, sizeof value)) {
        a->retry_after = (unsigned)strtoul(value, NULL, 10);
    } else if (!header_value(line, n, "X-Error-Code", a->error_code, sizeof a->error_code)) {
        header_value(line, n, "X-Repo-Commit", a->commit, sizeof a->commit);
    }
    return n;
}

/* ---- the body ------------------------------------------------------------------------------- */

static size_t on_body(char *data, size_t size, size_t n, void *ctx) {
    transfer *t = ctx;
    n *= size;
    curl_easy_getinfo(t->http->curl, CURLINFO_RESPONSE_CODE, &t->request->answer.status);
    if (t->request->answer.status / 100 != 2) return n;
    t->status = t->request->sink(t->request->ctx, &t->request->answer, data, n, t->err);
    return t->status == PD_OK ? n : 0;
}

static int on_progress(void *ctx, curl_off_t down, curl_off_t down_now, curl_off_t up,
                       curl_off_t up_now) {
    const transfer *t = ctx;
    (void)down, (void)down_now, (void)up, (void)up_now;
    return fetch_stopped(t->http->watch);
}

/* ---- what went wrong ------------------------------------------------------------------------ */

static pd_status raise_tls(const fetch_http *h, pd_error *err) {
    pd_status status =
        PD_RAISE(err, PD_ERR_IO, "no safe connection to %s: %s", h->place->endpoint, h->detail);
    return pd_error_hint(err, status,
                         "the system's certificates may be missing or old (Debian: "
                         "ca-certificates), or a proxy stands between");
}

/* Before any answer this is a machine without a network, or a wrong name; later it may pass. */
static pd_status raise_unreachable(const fetch_http *h, fetch_request *r, pd_error *err) {
    r->transient = h->answered;
    pd_status status =
        PD_RAISE(err, PD_ERR_IO, "cannot reach %s: %s", h->place->endpoint, h->detail);
    return pd_error_hint(err, status, "is there a network? --offline uses what was fetched before");
}

/* A proxy that wants a password, say. */
static bool refused_by_proxy(const fetch_http *h) {
    long code = 0;
    curl_easy_getinfo(h->curl, CURLINFO_HTTP_CONNECTCODE, &code);
    return code / 100 == 4;
}

static pd_status raise_failure(const fetch_http *h, fetch_request *r, CURLcode code,
                               pd_error *err) {
    switch (code) {
    case CURLE_ABORTED_BY_CALLBACK: return PD_RAISE(err, PD_ERR_CANCELLED, "stopped on request");
    case CURLE_OUT_OF_MEMORY:
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a transfer");
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT: return raise_unreachable(h, r, err);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION: return raise_tls(h, err);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_TOO_MANY_REDIRECTS:
        return PD_RAISE(err, PD_ERR_FORMAT, "%s leads to a place that is not followed: %s",
                        h->place->endpoint, h->detail);
    case CURLE_OPERATION_TIMEDOUT:
        if (!h->answered) return raise_unreachable(h, r, err);
        r->transient = true;
        return PD_RAISE(err, PD_ERR_IO, "the connection to %s went silent", h->place->endpoint);
    default:
        r->transient = !refused_by_proxy(h);
        return PD_RAISE(err, PD_ERR_IO, "the connection to %s broke off: %s", h->place->endpoint,
                        h->detail);
    }
}

/* ---- the request ---------------------------------------------------------------------------- */

static void set_request(fetch_http *h, transfer *t) {
    const fetch_request *r = t->request;
    char range[32];
    snprintf(range, sizeof range, "%" PRIu64 "-", r->from);
    bool own = fetch_same_server(r->url, h->place->endpoint);
    curl_easy_setopt(h->curl, CURLOPT_URL, r->url);
    curl_easy_setopt(h->curl, CURLOPT_RANGE, r->from ? range : NULL);
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, own ? h->token_header : NULL);
    curl_easy_setopt(h->curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(h->curl, CURLOPT_XFERINFODATA, t);
}

pd_status fetch_http_get(fetch_http *h, fetch_request *r, pd_error *err) {
    transfer t = {.http = h, .request = r, .err = err};
    r->answer = (fetch_answer){0};
    r->transient = false;
    set_request(h, &t);
    snprintf(h->detail, sizeof h->detail, "no reason was given");
    pd_log(PD_LOG_INFO, "fetch", "GET %s from byte %" PRIu64, r->url, r->from);
    CURLcode code = curl_easy_perform(h->curl);
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &r->answer.status);
    if (r->answer.status > 0) h->answered = true;
    if (!h->detail[0]) snprintf(h->detail, sizeof h->detail, "%s", curl_easy_strerror(code));
    pd_log(PD_LOG_INFO, "fetch", "status %ld, %s", r->answer.status, curl_easy_strerror(code));
    if (t.status != PD_OK) return t.status;
    if (fetch_stopped(h->watch)) return PD_RAISE(err, PD_ERR_CANCELLED, "stopped on request");
    if (code != CURLE_OK) return raise_failure(h, r, code, err);
    return r->answer.status / 100 == 2 ? PD_OK : fetch_raise_refusal(h->place, r, err);
}

bool fetch_http_answered(const fetch_http *h) {
    return h->answered;
}

pd_status fetch_http_pause(const fetch_http *h, unsigned attempt, const char *why, pd_error *err) {
    enum { SLICE_MS = 100, MAX_SECONDS = 30 };
    unsigned seconds = attempt < 6 ? 1u << (attempt - 1) : MAX_SECONDS;
    pd_log(PD_LOG_WARN, "fetch", "%s; trying again in %u s", why, seconds);
    for (unsigned i = 0; i < seconds * (1000 / SLICE_MS); i++) {
        if (fetch_stopped(h->watch)) return PD_RAISE(err, PD_ERR_CANCELLED, "stopped on request");
        pd_sleep_ms(SLICE_MS);
    }
    return PD_OK;
}

/* ---- the handle ----------------------------------------------------------------------------- */

/* Certificates to trust instead of the system's, named as for curl and for OpenSSL. A libcurl that
 * was built for no system in particular has to be told those too. */
static bool set_certificates(fetch_http *h) {
    const char *file = pd_env("CURL_CA_BUNDLE");
    if (!file || !file[0]) file = pd_env("SSL_CERT_FILE");
    if ((!file || !file[0]) && !curl_version_info(CURLVERSION_NOW)->cainfo)
        file = pd_system_certificates();
    return !file || !file[0] || curl_easy_setopt(h->curl, CURLOPT_CAINFO, file) == CURLE_OK;
}

static bool set_up(fetch_http *h) {
    bool safe = strncmp(h->place->endpoint, "https:", 6) == 0;
    const char *protocols = safe ? "https" : "http,https";
    CURL *c = h->curl;
    return curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, protocols) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, protocols) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_UNRESTRICTED_AUTH, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_SECONDS) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)PIECE_BYTES) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_USERAGENT, "peridot/" PD_VERSION_STRING) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->detail) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
}

static bool set_token(fetch_http *h) {
    if (!h->place->token) return true;
    pd_bytes line = {0};
    pd_bytes_printf(&line, "Authorization: Bearer %s", h->place->token);
    if (!line.failed) h->token_header = curl_slist_append(NULL, line.data);
    pd_bytes_free(&line);
    return h->token_header != NULL;
}

pd_status fetch_http_create(const fetch_place *place, const hub_watch *watch, fetch_http **out,
                            pd_error *err) {
    *out = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return PD_RAISE(err, PD_ERR_INTERNAL, "libcurl does not start");
    fetch_http *h = pd_alloc(1, sizeof *h);
    if (!h) {
        curl_global_cleanup();
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a connection");
    }
    /* Without signals libcurl leaves it to us that a closed connection does not end the process. */
    pd_process_ignore_pipes_for_now();
    h->place = place;
    h->watch = watch;
    h->curl = curl_easy_init();
    if (h->curl && set_token(h) && set_certificates(h) && set_up(h)) {
        *out = h;
        return PD_OK;
    }
    fetch_http_destroy(h);
    return PD_RAISE(err, PD_ERR_INTERNAL, "libcurl %s lacks what is needed of it", LIBCURL_VERSION);
}

void fetch_http_destroy(fetch_http *h) {
    if (!h) return;
    curl_easy_cleanup(h->curl);
    curl_slist_free_all(h->token_header);
    curl_global_cleanup();
    pd_process_heed_pipes_again();
    pd_free(h);
}
