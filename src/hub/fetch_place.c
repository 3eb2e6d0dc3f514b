/* What is asked for, and of whom.
 *
 *     list  {endpoint}/api/models/{user}/{name}/tree/{revision}?recursive=true
 *     file  {endpoint}/{user}/{name}/resolve/{revision}/{path}
 *
 * as the hub's HTTP interface has them; a revision's slashes are escaped, a path's are not. The
 * environment names another server (HF_ENDPOINT) and the token, as the hub's own clients read it:
 * HF_TOKEN, else the file HF_TOKEN_PATH, else `token` in HF_HOME, in XDG_CACHE_HOME/huggingface, or
 * in ~/.cache/huggingface.
 *
 * SPDX-License-Identifier: MIT
 */
#include <curl/curl.h>
#include <string.h>

#include "base/env.h"
#include "base/file.h"
#include "base/os_file.h"
#include "base/system_folders.h"
#include "hub/fetch.h"

#define DEFAULT_ENDPOINT "https://huggingface.co"
enum { MAX_NAME = 128, MAX_REVISION = 200, MAX_TOKEN = 4096 };

static pd_status raise_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the name of a repository");
}

/* ---- the repository ------------------------------------------------------------------------- */

static bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* A name of letters, digits, '-', '_' and '.', and not one of dots alone or like a flag. */
static bool is_name(const char *text, size_t n) {
    if (n == 0 || n > MAX_NAME || text[0] == '.' || text[0] == '-') return false;
    for (size_t i = 0; i < n; i++)
        if (!is_alnum(text[i]) && !strchr("-_.", text[i])) return false;
    return true;
}

static pd_status read_repo(const char *what, fetch_place *p, pd_error *err) {
    size_t n = strcspn(what, ":");
    const char *slash = memchr(what, '/', n), *type = what[n] ? what + n + 1 : NULL;
    bool good = slash && is_name(what, (size_t)(slash - what)) &&
                is_name(slash + 1, n - (size_t)(slash + 1 - what)) &&
                (!type || is_name(type, strlen(type)));
    if (!good) {
        pd_status status =
            PD_RAISE(err, PD_ERR_ARGUMENT, "\"%.200s\" is not the name of a repository", what);
        return pd_error_hint(err, status,
                             "USER/REPO or USER/REPO:TYPE, such as "
                             "google/gemma-3-4b-it-qat-q4_0-gguf");
    }
    p->repo = pd_arena_printf(&p->arena, "%.*s", (int)n, what);
    p->type = type;
    return p->repo ? PD_OK : raise_memory(err);
}

static pd_status check_revision(const char *revision, pd_error *err) {
    size_t n = strlen(revision);
    bool good = n > 0 && n <= MAX_REVISION && revision[0] != '-' && !strstr(revision, "..");
    for (size_t i = 0; i < n; i++)
        good = good && (is_alnum(revision[i]) || strchr("-_./+", revision[i]));
    if (good && strcmp(revision, ".") != 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "\"%.100s\" cannot be a branch, tag or commit", revision);
}

/* ---- the server ----------------------------------------------------------------------------- */

static bool is_printable(const char *text) {
    for (; *text; text++)
        if (*text <= ' ' || *text > '~') return false;
    return true;
}

static pd_status read_endpoint(fetch_place *p, pd_error *err) {
    const char *given = pd_env("HF_ENDPOINT");
    if (!given || !given[0]) given = DEFAULT_ENDPOINT;
    char *url = pd_arena_strdup(&p->arena, given);
    if (!url) return raise_memory(err);
    for (size_t n = strlen(url); n > 0 && url[n - 1] == '/'; n--) url[n - 1] = '\0';
    bool web = strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;
    if (!web || !is_printable(url) || strpbrk(url, "?#@\\") || !fetch_same_server(url, url))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "HF_ENDPOINT is \"%.200s\", not a server's address",
                        given);
    p->endpoint = url;
    return PD_OK;
}

static const char *token_path(fetch_place *p) {
    const char *path = pd_env("HF_TOKEN_PATH"), *hub = pd_env("HF_HOME");
    const char *xdg = pd_env("XDG_CACHE_HOME"), *home = pd_system_home();
    if (path && path[0]) return path;
    if (hub && hub[0]) return pd_arena_printf(&p->arena, "%s/token", hub);
    if (xdg && pd_path_is_absolute(xdg))
        return pd_arena_printf(&p->arena, "%s/huggingface/token", xdg);
    if (home) return pd_arena_printf(&p->arena, "%s/.cache/huggingface/token", home);
    return NULL;
}

/* It becomes part of a header: a line break in it would begin another one. */
static pd_status take_token(fetch_place *p, const char *text, size_t n, const char *where,
                            pd_error *err) {
    while (n > 0 && strchr(" \t\r\n", text[n - 1])) n--;
    while (n > 0 && strchr(" \t\r\n", text[0])) text++, n--;
    if (n == 0) return PD_OK;
    char *token = pd_arena_printf(&p->arena, "%.*s", (int)n, text);
    if (!token) return raise_memory(err);
    if (strlen(token) != n || n > MAX_TOKEN || !is_printable(token))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "the token of %s is not one word of printable text",
                        where);
    p->token = token;
    return PD_OK;
}

static pd_status read_token(fetch_place *p, pd_error *err) {
    const char *given = pd_env("HF_TOKEN");
    if (given && given[0]) return take_token(p, given, strlen(given), "HF_TOKEN", err);
    const char *path = token_path(p), *named = pd_env("HF_TOKEN_PATH");
    bool must = named && named[0];
    if (!path || (!must && !pd_path_can_read(path))) return PD_OK;
    char *text;
    size_t n;
    PD_TRY(pd_file_read_all(path, MAX_TOKEN, &text, &n, err));
    pd_status status = take_token(p, text, n, path, err);
    pd_free(text);
    return status;
}

pd_status fetch_place_init(const char *what, const char *file, const char *revision,
                           fetch_place *out, pd_error *err) {
    *out = (fetch_place){.file = file, .revision = revision};
    PD_TRY(read_repo(what, out, err));
    PD_TRY(check_revision(revision, err));
    if (file && out->type)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a type and --file cannot be used together");
    PD_TRY(read_endpoint(out, err));
    return read_token(out, err);
}

void fetch_place_free(fetch_place *p) {
    pd_arena_destroy(&p->arena);
}

/* ---- URLs ----------------------------------------------------------------------------------- */

/* Percent-encodes all but RFC 3986's unreserved characters and those of `kept`. */
static const char *escape(fetch_place *p, const char *text, const char *kept) {
    pd_bytes b = {0};
    for (; *text; text++) {
        if (is_alnum(*text) || strchr("-_.~", *text) || strchr(kept, *text))
            pd_bytes_write(&b, text, 1);
        else
            pd_bytes_printf(&b, "%%%02X", (unsigned char)*text);
    }
    const char *copy = b.failed ? NULL : pd_arena_strdup(&p->arena, b.data ? b.data : "");
    pd_bytes_free(&b);
    return copy;
}

const char *fetch_place_revision_folder(fetch_place *p) {
    return escape(p, p->revision, "");
}

const char *fetch_place_list_url(fetch_place *p) {
    const char *revision = escape(p, p->revision, "");
    return revision ? pd_arena_printf(&p->arena, "%s/api/models/%s/tree/%s?recursive=true",
                                      p->endpoint, p->repo, revision)
                    : NULL;
}

const char *fetch_place_file_url(fetch_place *p, const char *path) {
    const char *revision = escape(p, p->revision, ""), *name = escape(p, path, "/");
    return revision && name ? pd_arena_printf(&p->arena, "%s/%s/resolve/%s/%s", p->endpoint,
                                              p->repo, revision, name)
                            : NULL;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart what) {
    char *x = NULL, *y = NULL;
    bool same = curl_url_get(a, what, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                curl_url_get(b, what, &y, CURLU_DEFAULT_PORT) == CURLUE_OK && curl_strequal(x, y);
    curl_free(x);
    curl_free(y);
    return same;
}

bool fetch_same_server(const char *a, const char *b) {
    CURLU *x = curl_url(), *y = curl_url();
    bool same = x && y && curl_url_set(x, CURLUPART_URL, a, 0) == CURLUE_OK &&
                curl_url_set(y, CURLUPART_URL, b, 0) == CURLUE_OK &&
                same_part(x, y, CURLUPART_SCHEME) && same_part(x, y, CURLUPART_HOST) &&
                same_part(x, y, CURLUPART_PORT);
    curl_url_cleanup(x);
    curl_url_cleanup(y);
    return same;
}

const char *fetch_place_resolve(fetch_place *p, const char *base, const char *next) {
    CURLU *u = curl_url();
    char *text = NULL;
    const char *copy = NULL;
    if (u && curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK &&
        curl_url_set(u, CURLUPART_URL, next, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK)
        copy = pd_arena_strdup(&p->arena, text);
    curl_free(text);
    curl_url_cleanup(u);
    return copy;
}
