/* Errors: fills the caller's pd_error, and answers the questions about a status.
 *
 * The table of statuses is PD_STATUS_LIST in peridot.h; this file only expands it. Raising an
 * error never allocates and never fails: a message that does not fit is cut at the end of the
 * buffer, on a character's boundary. Names out of files and words from users stand in messages:
 * control characters in them, which a terminal would obey, become '?'.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct status_row {
    const char *name, *text;
    int exit_code, http;
} status_row;

static const status_row status_rows[] = {
#define STATUS_ROW(name, exit_code, http, text) {#name, text, exit_code, http},
    PD_STATUS_LIST(STATUS_ROW)
#undef STATUS_ROW
};

static const status_row *row_of(pd_status status) {
    static const status_row unknown = {"ERR_UNKNOWN", "an unknown status", 70, 500};
    return (unsigned)status < PD_STATUS_COUNT ? &status_rows[status] : &unknown;
}

const char *pd_status_name(pd_status status) {
    return row_of(status)->name;
}

const char *pd_status_text(pd_status status) {
    return row_of(status)->text;
}

int pd_status_exit_code(pd_status status) {
    return row_of(status)->exit_code;
}

int pd_status_http(pd_status status) {
    return row_of(status)->http;
}

static void format_cut(char *out, size_t size, const char *format, va_list args) {
    int n = vsnprintf(out, size, format, args);
    if (n < 0) {
        out[0] = '\0';
    } else if ((size_t)n >= size) {
        size_t end = size - 1;
        while (end > 0 && ((unsigned char)out[end - 1] & 0xC0) == 0x80) end--;
        if (end > 0 && ((unsigned char)out[end - 1] & 0x80) != 0) end--;
        out[end] = '\0';
    }
    for (; *out; out++)
        if ((unsigned char)*out < 0x20 || *out == 0x7f) *out = '?';
}

static void put_cut(char *out, size_t size, const char *format, ...) PD_PRINTF_LIKE(3, 4);
static void put_cut(char *out, size_t size, const char *format, ...) {
    va_list args;
    va_start(args, format);
    format_cut(out, size, format, args);
    va_end(args);
}

/* The part from "src/" on: messages must not depend on where the tree was built. */
static const char *tree_path(const char *file) {
    const char *found = file;
    for (const char *at = strstr(file, "src/"); at; at = strstr(at + 1, "src/")) found = at;
    return found;
}

pd_status pd_error_raise(pd_error *err, const char *file, int line, pd_status status,
                         const char *format, ...) {
    if (!err) return status;
    err->status = status;
    err->file = tree_path(file);
    err->line = line;
    err->hint[0] = '\0';
    va_list args;
    va_start(args, format);
    format_cut(err->message, sizeof err->message, format, args);
    va_end(args);
    return status;
}

pd_status pd_error_before(pd_error *err, pd_status status, const char *format, ...) {
    char message[sizeof err->message];
    if (!err || status == PD_OK) return status;
    memcpy(message, err->message, sizeof message);
    va_list args;
    va_start(args, format);
    format_cut(err->message, sizeof err->message, format, args);
    va_end(args);
    size_t n = strlen(err->message);
    put_cut(err->message + n, sizeof err->message - n, "%s", message);
    return status;
}

pd_status pd_error_hint(pd_error *err, pd_status status, const char *format, ...) {
    if (!err || status == PD_OK) return status;
    va_list args;
    va_start(args, format);
    format_cut(err->hint, sizeof err->hint, format, args);
    va_end(args);
    return status;
}

const char *pd_errno_text(int error) {
    return error == EBUSY ? "another program uses it" : strerror(error);
}

pd_status pd_error_again(pd_error *err, const pd_error *kept) {
    if (err && kept->status != PD_OK) *err = *kept;
    return kept->status;
}
