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

static const char *type_of(int status) {
    return status == 503   ? "unavailable_error"
           : status >= 500 ? "server_error"
                           : "invalid_request_error";
}

static const char *code_of(pd_status status) {
    switch (status) {
    case PD_ERR_CONTEXT: return "context_length_exceeded";
    case PD_ERR_UNSUPPORTED: return "unsupported";
    case PD_ERR_BUSY: return "busy";
    default: return NULL;
    }
}

char *srv_error_text(const pd_error *err, const char *param) {
    int status = http_status(err->status);
    const char *code = code_of(err->status);
    cJSON *j = cJSON_CreateObject(), *error = cJSON_AddObjectToObject(j, "error");
    srv_add_text(error, "message", err->message, strlen(err->message));
    cJSON_AddStringToObject(error, "type", type_of(status));
    cJSON_AddItemToObject(
        error, "param", param && *param ? srv_text_json(param, strlen(param)) : cJSON_CreateNull());
    cJSON_AddItemToObject(error, "code", code ? cJSON_CreateString(code) : cJSON_CreateNull());
    return srv_json_text(j);
}

void srv_send_error(pd_http_reply *reply, const pd_error *err, const char *param) {
    int status = http_status(err->status);
    char *text = srv_error_text(err, param);
    if (status == 503) pd_http_add_header(reply, "Retry-After", "5");
    pd_http_send(reply, status, "application/json; charset=utf-8", text ? text : "",
                 text ? strlen(text) : 0);
    cJSON_free(text);
}
