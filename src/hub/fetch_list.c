/* The files of a repository, as its server lists them: an array of JSON objects a page,
 *
 *     {"type": "file", "path": "a/b.gguf", "size": 4096, "oid": SHA-1 of git's blob,
 *      "lfs": {"oid": SHA-256 of the content, "size": 4096}}
 *
 * and where more follow, their address in a Link header. Every field comes from outside: what is
 * not of this form is refused. Names are taken as they are; fetch_is_safe judges them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/fetch.h"
#include "file/json.h"

enum { MAX_LIST_BYTES = 32 << 20, MAX_PAGES = 1000, MAX_PATH_BYTES = 1024 };
#define MAX_SIZE 9007199254740992.0 /* 2^53: exact in JSON's doubles */

static pd_status raise_damaged(const fetch_place *place, const char *why, pd_error *err) {
    return PD_RAISE(err, PD_ERR_FORMAT, "the listing of %s is damaged: %s", place->repo, why);
}

static pd_status raise_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a listing");
}

/* ---- names and digests ---------------------------------------------------------------------- */

bool fetch_is_id(const char *text) {
    size_t n = strspn(text, "0123456789abcdef");
    return text[n] == '\0' && (n == 40 || n == 64);
}

static bool is_safe_part(const char *part, size_t n) {
    if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && memcmp(part, "..", 2) == 0))
        return false;
    return n != strlen(FETCH_STATE_NAME) || memcmp(part, FETCH_STATE_NAME, n) != 0;
}

bool fetch_is_safe(const char *path) {
    size_t n = strlen(path);
    if (n == 0 || n > MAX_PATH_BYTES) return false;
    for (size_t i = 0, step; i < n; i += step) {
        step = pd_utf8_length((const uint8_t *)path + i, n - i);
        unsigned char c = (unsigned char)path[i];
        bool control = c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)path[i + 1] < 0xa0);
        if (step == 0 || control || c == '\\') return false;
    }
    for (const char *at = path;; at++) {
        size_t length = strcspn(at, "/");
        if (!is_safe_part(at, length)) return false;
        at += length;
        if (*at == '\0') return true;
    }
}

/* ---- the list ------------------------------------------------------------------------------- */

bool fetch_list_add(fetch_list *list, const char *path, uint64_t size, const char *id) {
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 64;
        fetch_file *more = realloc(list->files, cap * sizeof *more);
        if (!more) return false;
        list->files = more;
        list->cap = cap;
    }
    fetch_file *f = &list->files[list->n];
    *f = (fetch_file){.path = pd_arena_strdup(&list->arena, path), .size = size};
    snprintf(f->id, sizeof f->id, "%s", id);
    list->n += f->path != NULL;
    return f->path != NULL;
}

static int compare_paths(const void *a, const void *b) {
    return strcmp(((const fetch_file *)a)->path, ((const fetch_file *)b)->path);
}

void fetch_list_sort(fetch_list *list) {
    if (list->n > 0) qsort(list->files, list->n, sizeof *list->files, compare_paths);
}

fetch_file *fetch_list_find(const fetch_list *list, const char *path) {
    fetch_file key = {.path = path};
    return list->n ? bsearch(&key, list->files, list->n, sizeof key, compare_paths) : NULL;
}

void fetch_list_free(fetch_list *list) {
    free(list->files);
    pd_arena_destroy(&list->arena);
    *list = (fetch_list){0};
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static const cJSON *field(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool is_size(const cJSON *item) {
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= MAX_SIZE &&
           item->valuedouble == (double)(uint64_t)item->valuedouble;
}

static pd_status read_file(const fetch_place *place, const cJSON *item, fetch_list *list,
                           pd_error *err) {
    const cJSON *path = field(item, "path"), *lfs = field(item, "lfs");
    bool large = cJSON_IsObject(lfs);
    const cJSON *size = field(large ? lfs : item, "size"), *oid = field(large ? lfs : item, "oid");
    const char *id = cJSON_IsString(oid) ? oid->valuestring : "";
    if (strncmp(id, "sha256:", 7) == 0) id += 7;
    if (!cJSON_IsString(path)) return raise_damaged(place, "a file has no path", err);
    if (!is_size(size)) return raise_damaged(place, "a file has no size", err);
    if (!fetch_is_id(id) || strlen(id) != (large ? 64u : 40u))
        return raise_damaged(place, "a file has no digest", err);
    return fetch_list_add(list, path->valuestring, (uint64_t)size->valuedouble, id)
               ? PD_OK
               : raise_memory(err);
}

static pd_status read_page(const fetch_place *place, const pd_bytes *text, fetch_list *list,
                           pd_error *err) {
    cJSON *root = pd_json_parse(text->data ? text->data : "", text->n);
    pd_status status = PD_OK;
    if (!cJSON_IsArray(root)) status = raise_damaged(place, "it is not a JSON array", err);
    for (const cJSON *item = root ? root->child : NULL; item && status == PD_OK;
         item = item->next) {
        const cJSON *type = field(item, "type");
        if (!cJSON_IsString(type))
            status = raise_damaged(place, "an entry has no type", err);
        else if (strcmp(type->valuestring, "file") == 0)
            status = read_file(place, item, list, err);
    }
    cJSON_Delete(root);
    return status;
}

/* ---- pages ---------------------------------------------------------------------------------- */

typedef struct page {
    const fetch_place *place;
    pd_bytes text;
    size_t room; /* bytes that all pages may still have */
} page;

static pd_status take_page(void *ctx, const fetch_answer *answer, const void *data, size_t n,
                           pd_error *err) {
    page *p = ctx;
    (void)answer;
    if (n > p->room - p->text.n)
        return PD_RAISE(err, PD_ERR_FORMAT, "the listing of %s is larger than %d MiB",
                        p->place->repo, MAX_LIST_BYTES >> 20);
    pd_bytes_write(&p->text, data, n);
    return p->text.failed ? raise_memory(err) : PD_OK;
}

static pd_status get_page(fetch_http *h, const char *url, unsigned n_retries, page *p,
                          fetch_request *r, pd_error *err) {
    for (unsigned attempt = 0;;) {
        p->text.n = 0;
        *r = (fetch_request){.url = url, .sink = take_page, .ctx = p};
        pd_status status = fetch_http_get(h, r, err);
        if (status == PD_OK || !r->transient || attempt++ == n_retries) return status;
        PD_TRY(fetch_http_pause(h, attempt, err ? err->message : "", err));
    }
}

pd_status fetch_list_get(fetch_http *h, fetch_place *place, unsigned n_retries, fetch_list *out,
                         pd_error *err) {
    page p = {.place = place, .room = MAX_LIST_BYTES};
    const char *url = fetch_place_list_url(place);
    pd_status status = url ? PD_OK : raise_memory(err);
    for (unsigned n = 0; url && status == PD_OK; n++) {
        fetch_request r;
        if (n == MAX_PAGES)
            status = raise_damaged(place, "its pages do not end", err);
        else
            status = get_page(h, url, n_retries, &p, &r, err);
        if (status == PD_OK) status = read_page(place, &p.text, out, err);
        if (status != PD_OK) break;
        p.room -= p.text.n;
        if (r.answer.commit[0]) memcpy(out->commit, r.answer.commit, sizeof out->commit);
        const char *next = NULL;
        if (r.answer.next[0]) {
            next = fetch_place_resolve(place, url, r.answer.next);
            if (!next) status = raise_damaged(place, "its next page has no address", err);
        }
        url = next;
    }
    pd_bytes_free(&p.text);
    fetch_list_sort(out);
    return status;
}
