/* Errors as OpenAI's clients know them: {"error": {"message", "type", "param", "code"}}; with
 * "type": "error" beside it, by which Anthropic's know theirs.
 *
 * SPDX-License-Identifier: MIT
 */
#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/printf_like.h"
#include "server/http_parts.h"

static const char *error_type(int status) {
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 429: return "rate_limit_error";
    case 501: return "not_supported_error";
    case 503: return "unavailable_error";
    default: return status < 500 ? "invalid_request_error" : "server_error";
    }
}

/* cJSON_free; NULL: no memory. */
static char *error_json(int status, const char *code, const char *message) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "type", "error");
    cJSON *error = cJSON_AddObjectToObject(root, "error");
    cJSON_AddStringToObject(error, "message", message);
    cJSON_AddStringToObject(error, "type", error_type(status));
    cJSON_AddNullToObject(error, "param");
    if (code) cJSON_AddStringToObject(error, "code", code);
    if (!code) cJSON_AddNullToObject(error, "code");
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

/* A sentence may quote what came from outside, and be cut within a character. */
static void make_utf8(char *message) {
    size_t n = strlen(message);
    for (size_t at = 0; (at += pd_utf8_valid_bytes(message + at, n - at)) < n;) message[at] = '?';
}

PD_PRINTF_LIKE(3, 0)
static char *format_json(int status, const char *code, const char *format, va_list args) {
    char message[512];
    vsnprintf(message, sizeof message, format, args);
    make_utf8(message);
    return error_json(status, code, message);
}

void http_refuse(pd_http_reply *r, int status, const char *code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *json = format_json(status, code, format, args);
    va_end(args);
    http_set_whole(r, status, "application/json", json ? json : "", json ? strlen(json) : 0);
    cJSON_free(json);
    r->phase = HTTP_REFUSED;
}

void http_refuse_raw_locked(http_connection *c, int status, const char *code, const char *message) {
    const char *reason = status == 408   ? "Request Timeout"
                         : status == 413 ? "Content Too Large"
                                         : "Service Unavailable";
    c->has_unread = true;
    if (c->reply) c->reply->status = status;
    if (c->server->desc.tls_key) return;
    char *json = error_json(status, code, message);
    pd_bytes b = {0};
    pd_bytes_printf(&b,
                    "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: application/json\r\n"
                    "%sContent-Length: %zu\r\n\r\n%s",
                    status, reason, status == 503 ? "Retry-After: 1\r\n" : "",
                    json ? strlen(json) : 0, json ? json : "");
    if (!b.failed) pd_socket_send_now(c->fd, b.data, b.n);
    pd_bytes_free(&b);
    cJSON_free(json);
}

void pd_http_send_error(pd_http_reply *r, int status, const char *code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *json = format_json(status, code, format, args);
    va_end(args);
    pd_http_send(r, status, "application/json", json ? json : "", json ? strlen(json) : 0);
    cJSON_free(json);
}
