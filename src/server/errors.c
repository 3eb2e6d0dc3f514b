/* Errors of the engine as clients know them.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "server/fields.h"
#include "server/parts.h"

/* A request that cannot be read is a bad one; of files, the table in peridot.h says more. */
static int http_status(pd_status status) {
    switch (status) {
    case PD_ERR_FORMAT:
    case PD_ERR_UNSUPPORTED:
    case PD_ERR_IO: return 400;
    case PD_ERR_DEVICE_LOST:
    case PD_ERR_CANCELLED: return 503; /* by the server's end: who went away hears nothing */
    default: return pd_status_http(status);
    }
}

static const char *openai_type(int status) {
    return status == 503   ? "unavailable_error"
           : status >= 500 ? "server_error"
                           : "invalid_request_error";
}

/* https://docs.anthropic.com/en/api/errors */
static const char *anthropic_type(int status) {
    switch (status) {
    case 404: return "not_found_error";
    case 503: return "overloaded_error";
    default: return status < 500 ? "invalid_request_error" : "api_error";
    }
}

static const char *code_of(pd_status status) {
    switch (status) {
    case PD_ERR_CONTEXT: return "context_length_exceeded";
    case PD_ERR_UNSUPPORTED: return "unsupported";
    case PD_ERR_BUSY: return "busy";
    default: return NULL;
    }
}

/* "" for param: none, as for code and NULL. */
static cJSON *text_or_null(const char *text) {
    return text && *text ? srv_text_json(text, strlen(text)) : cJSON_CreateNull();
}

/* {"error": {"message", "type", "param", "code"}} */
static cJSON *openai_json(int status, const char *code, const char *param, const char *message) {
    cJSON *j = cJSON_CreateObject(), *error = cJSON_AddObjectToObject(j, "error");
    srv_add_text(error, "message", message, strlen(message));
    cJSON_AddStringToObject(error, "type", openai_type(status));
    cJSON_AddItemToObject(error, "param", text_or_null(param));
    cJSON_AddItemToObject(error, "code", text_or_null(code));
    return j;
}

/* {"type": "error", "error": {"type", "message"}} */
static cJSON *anthropic_json(int status, const char *message) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "type", "error");
    cJSON *error = cJSON_AddObjectToObject(j, "error");
    cJSON_AddStringToObject(error, "type", anthropic_type(status));
    srv_add_text(error, "message", message, strlen(message));
    return j;
}

void srv_send_json(pd_http_reply *reply, int status, cJSON *j) {
    char *text = srv_json_text(j);
    if (status == 503 || !text) pd_http_add_header(reply, "Retry-After", "5");
    if (text)
        pd_http_send(reply, status, "application/json; charset=utf-8", text, strlen(text));
    else
        pd_http_send_error(reply, 503, NULL, "no memory for the answer");
    cJSON_free(text);
}

cJSON *srv_error_json(srv_style style, const pd_error *err, const char *param) {
    int status = http_status(err->status);
    if (style == SRV_ANTHROPIC) return anthropic_json(status, err->message);
    return openai_json(status, code_of(err->status), param, err->message);
}

void srv_send_error(pd_http_reply *reply, srv_style style, const pd_error *err, const char *param) {
    srv_send_json(reply, http_status(err->status), srv_error_json(style, err, param));
}

void srv_send_refusal(pd_http_reply *reply, srv_style style, int status, const char *code,
                      const char *message) {
    if (style == SRV_ANTHROPIC) {
        srv_send_json(reply, status, anthropic_json(status, message));
        return;
    }
    if (status == 503) pd_http_add_header(reply, "Retry-After", "5");
    pd_http_send_error(reply, status, code, "%s", message);
}
