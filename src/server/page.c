/* GET / and /page/NAME: the page for people, which asks this server as any other client does.
 *
 * The browser may keep its files, and asks each time whether they are still these. The policy
 * stands behind what the page itself does with answers: whatever a model writes, nothing but this
 * server's own files is run, and nobody but this server is asked.
 *
 * SPDX-License-Identifier: MIT
 */
#include "server/page_files.h"

#include <stdlib.h>
#include <string.h>

#include "base/words.h"
#include "server/parts.h"

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const srv_page_file *find(const char *path) {
    for (size_t i = 0; i < srv_page_file_count; i++)
        if (strcmp(srv_page_files[i].path, path) == 0) return &srv_page_files[i];
    return NULL;
}

/* The next element of a list with commas, without the spaces around it; NULL behind the last. */
static const char *next_element(const char **list, size_t *n) {
    const char *begin = *list + strspn(*list, " \t,");
    if (!*begin) return NULL;
    *n = strcspn(begin, ",");
    *list = begin + *n;
    while (*n > 0 && (begin[*n - 1] == ' ' || begin[*n - 1] == '\t')) (*n)--;
    return begin;
}

/* "gzip;q=0" says no. */
static bool is_refused(const char *element, size_t n) {
    const char *q = memchr(element, '=', n);
    return q && strtod(q + 1, NULL) <= 0;
}

static bool takes_gzip(const char *encodings) {
    size_t n;
    const char *e;
    while (encodings && (e = next_element(&encodings, &n))) {
        size_t n_name = strcspn(e, ",; \t");
        if (n_name == 4 && pd_same_n_in_any_case(e, "gzip", 4)) return !is_refused(e, n);
    }
    return false;
}

/* Whether If-None-Match names it; weakly or not makes no difference there. */
static bool is_known(const char *etags, const char *etag) {
    size_t n;
    const char *e;
    while (etags && (e = next_element(&etags, &n))) {
        if (n == 1 && *e == '*') return true;
        if (n > 2 && strncmp(e, "W/", 2) == 0) {
            e += 2;
            n -= 2;
        }
        if (n == strlen(etag) && strncmp(e, etag, n) == 0) return true;
    }
    return false;
}

void srv_page(const srv_context *c) {
    const srv_page_file *f = find(c->request->path);
    if (!f) {
        srv_send_refusal(c->reply, c->style, 404, NULL, "the page has no file of that name");
        return;
    }
    bool zipped = takes_gzip(pd_http_header(c->request, "Accept-Encoding"));
    const char *etag = zipped ? f->gzip_etag : f->etag;
    pd_http_add_header(c->reply, "ETag", etag);
    pd_http_add_header(c->reply, "Cache-Control", "no-cache");
    pd_http_add_header(c->reply, "Vary", "Accept-Encoding");
    pd_http_add_header(c->reply, "Content-Security-Policy", policy);
    pd_http_add_header(c->reply, "X-Content-Type-Options", "nosniff");
    pd_http_add_header(c->reply, "Referrer-Policy", "no-referrer");
    if (is_known(pd_http_header(c->request, "If-None-Match"), etag)) {
        pd_http_send(c->reply, 304, NULL, NULL, 0);
        return;
    }
    if (zipped) pd_http_add_header(c->reply, "Content-Encoding", "gzip");
    pd_http_send(c->reply, 200, f->content_type, zipped ? f->gzip : f->plain,
                 zipped ? f->n_gzip : f->n_plain);
}
