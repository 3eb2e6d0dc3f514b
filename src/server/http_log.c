/* A line for each request: what was asked, how it ended, how long it took. Of what came from
 * outside there is the method and the path, escaped and shortened, and never a query, a header or a
 * body.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/http_parts.h"

const char *http_log_text(const char *text, char *out, size_t n_out) {
    size_t n = 0;
    for (; *text && n + 8 < n_out; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= ' ' && c < 0x7f && c != '\\') {
            out[n++] = (char)c;
        } else {
            n += (size_t)snprintf(out + n, n_out - n, "\\x%02x", c);
        }
    }
    snprintf(out + n, n_out - n, "%s", *text ? "..." : "");
    return out;
}

void http_log_request(const pd_http_reply *r, int status, const char *client, bool arrived) {
    if (!r->line[0]) return; /* what it asks for was never known */
    double ms = (double)(pd_clock_ns() - r->begin_ns) * 1e-6;
    char answer[24] = "no answer";
    if (status) snprintf(answer, sizeof answer, "%d", status);
    pd_log(PD_LOG_INFO, "server", "request %" PRIu64 " of %s: %s: %s%s, %.1f ms", r->id, client,
           r->line, answer, arrived ? "" : " (connection closed before the end)", ms);
}

void http_log_library(void *ctx, const char *format, va_list args) {
    pd_http *server = ctx;
    char message[200], clean[200];
    vsnprintf(message, sizeof message, format, args);
    message[strcspn(message, "\r\n")] = '\0';
    http_log_text(message, clean, sizeof clean);
    if (pthread_equal(server->starter, pthread_self()))
        snprintf(server->mhd_message, sizeof server->mhd_message, "%s", clean);
    pd_log(PD_LOG_DEBUG, "server", "libmicrohttpd: %s", clean);
}
