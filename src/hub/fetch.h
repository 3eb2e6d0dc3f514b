/* Parts of hub_fetch, from the outside in:
 *
 *     fetch.c         the whole of it
 *     fetch_place.c   what is asked for and of whom: repository, server, token, URLs
 *     fetch_http.c    one request; what the server refuses, in words: fetch_refusal.c
 *     fetch_list.c    the files a repository has
 *     fetch_choose.c  which of them make a model
 *     fetch_store.c   the folder on the disk, and what of it is complete
 *     fetch_part.c    the transfer of one file: continued, checked, moved to its name
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_HUB_FETCH_H
#define PD_HUB_FETCH_H

#include "base/bytes.h"
#include "base/memory.h"
#include "hub/hub.h"

/* ---- the caller's watch ---------------------------------------------------------------------- */

static inline bool fetch_stopped(const hub_watch *w) {
    return w->cancel && atomic_load(w->cancel) != 0;
}
static inline void fetch_begin(const hub_watch *w, const char *what, uint64_t bytes_before) {
    if (w->begin) w->begin(w->ctx, what, bytes_before);
}
static inline void fetch_progress(const hub_watch *w, uint64_t done, uint64_t total) {
    if (w->progress) w->progress(w->ctx, done, total);
}
static inline void fetch_end(const hub_watch *w) {
    if (w->end) w->end(w->ctx);
}

/* ---- fetch_place.c --------------------------------------------------------------------------- */

typedef struct fetch_place {
    const char *endpoint; /* "https://huggingface.co", without a slash behind it */
    const char *token;    /* NULL: none */
    const char *repo;     /* "user/name": letters, digits, '-', '_', '.' */
    const char *type;     /* "q4_0" as written; NULL: none was named */
    const char *file;     /* NULL: none was named */
    const char *revision;
    pd_arena arena;
} fetch_place;

/* `what` is USER/REPO[:TYPE]. Errors: ARGUMENT (also for an unusable HF_ENDPOINT or token), IO when
 * the file that HF_TOKEN_PATH names cannot be read, MEMORY_HOST. fetch_place_free in any case. */
pd_status fetch_place_init(const char *what, const char *file, const char *revision,
                           fetch_place *out, pd_error *err);
void fetch_place_free(fetch_place *p);
/* Fresh strings in the place's arena, NULL when memory ran out. */
const char *fetch_place_list_url(fetch_place *p);
const char *fetch_place_file_url(fetch_place *p, const char *path);
/* The revision as one folder's name. */
const char *fetch_place_revision_folder(fetch_place *p);
/* The same scheme, host and port. */
bool fetch_same_server(const char *a, const char *b);
/* `next` as seen from `base`, absolute; NULL when it is no URL. */
const char *fetch_place_resolve(fetch_place *p, const char *base, const char *next);

/* ---- fetch_http.c ---------------------------------------------------------------------------- */

typedef struct fetch_http fetch_http;

/* What the headers said; of a chain of redirects the last answer's, or where noted any answer's. */
typedef struct fetch_answer {
    long status;          /* 0: none came */
    bool ranged;          /* there was a Content-Range, and it began at: */
    uint64_t range_at;    /* bytes */
    char next[4096];      /* of Link: <...>; rel="next" */
    char error_code[32];  /* X-Error-Code: "GatedRepo", "RepoNotFound", ... */
    char linked_id[72];   /* X-Linked-Etag without quotes: the file's SHA-256; any answer's */
    char commit[72];      /* X-Repo-Commit; any answer's */
    unsigned retry_after; /* seconds; 0: not said */
} fetch_answer;

/* Takes a piece of a 2xx answer's body; a failure ends the transfer. */
typedef pd_status (*fetch_sink)(void *ctx, const fetch_answer *answer, const void *data, size_t n,
                                pd_error *err);

typedef struct fetch_request {
    const char *url;
    uint64_t from; /* asks for the bytes from here on; 0: for all */
    fetch_sink sink;
    void *ctx;
    fetch_answer answer;
    bool transient; /* the failure may pass: try again */
} fetch_request;

/* Errors: MEMORY_HOST, INTERNAL. */
pd_status fetch_http_create(const fetch_place *place, const hub_watch *watch, fetch_http **out,
                            pd_error *err);
void fetch_http_destroy(fetch_http *h); /* NULL is allowed */
/* One GET, redirects followed; the token goes to the place's server alone. Errors: IO, ARGUMENT
 * (what the place names is not there), FORMAT, CANCELLED, and the sink's. */
pd_status fetch_http_get(fetch_http *h, fetch_request *r, pd_error *err);
/* Some server answered something at some time. */
bool fetch_http_answered(const fetch_http *h);
/* Waits before attempt number `attempt` (from 1): 1 s, 2 s, 4 s, up to 30 s. Errors: CANCELLED. */
pd_status fetch_http_pause(const fetch_http *h, unsigned attempt, const char *why, pd_error *err);

/* fetch_refusal.c: the sentence for an answer that is no 2xx; sets r->transient. */
pd_status fetch_raise_refusal(const fetch_place *place, fetch_request *r, pd_error *err);

/* ---- fetch_list.c ---------------------------------------------------------------------------- */

enum { FETCH_ID_BYTES = 65 };

typedef struct fetch_file {
    const char *path; /* in the repository, folders separated by '/' */
    uint64_t size;
    /* Lower-case hexadecimal: 64 digits are the SHA-256 of the content, 40 the SHA-1 of git's blob,
     * which is "blob SIZE\0" and the content. */
    char id[FETCH_ID_BYTES];
    bool wanted, have; /* have: complete in the store */
} fetch_file;

typedef struct fetch_list {
    fetch_file *files; /* by their paths' bytes */
    size_t n, cap;
    char commit[72]; /* or empty */
    pd_arena arena;  /* of the paths */
} fetch_list;

/* Errors: those of fetch_http_get; FORMAT for a listing that is damaged or too large. */
pd_status fetch_list_get(fetch_http *h, fetch_place *place, unsigned n_retries, fetch_list *out,
                         pd_error *err);
/* A copy of path; false: no memory. */
bool fetch_list_add(fetch_list *list, const char *path, uint64_t size, const char *id);
void fetch_list_sort(fetch_list *list);
fetch_file *fetch_list_find(const fetch_list *list, const char *path); /* NULL: none */
void fetch_list_free(fetch_list *list);
/* 40 or 64 lower-case hexadecimal digits. */
bool fetch_is_id(const char *text);
/* A relative path that stays in its folder: printable UTF-8 without empty, "." and ".." components,
 * backslashes and the store's own name. */
bool fetch_is_safe(const char *path);

/* ---- fetch_choose.c -------------------------------------------------------------------------- */

typedef struct fetch_choice {
    fetch_file *model;  /* the file to open; NULL: the folder is a checkpoint for `convert` */
    fetch_file *mmproj; /* NULL: none */
} fetch_choice;

/* Sets `wanted` of the files that the place asks for. Errors: ARGUMENT (nothing of that name or
 * type), UNSUPPORTED (neither GGUF nor safetensors), FORMAT (a part is missing, a hostile name). */
pd_status fetch_choose(const fetch_place *place, fetch_list *list, bool with_mmproj,
                       fetch_choice *out, pd_error *err);

/* ---- fetch_store.c --------------------------------------------------------------------------- */

#define FETCH_STATE_NAME ".peridot-fetch.json"

typedef struct fetch_store {
    const hub_watch *watch;
    const char *folder;
    int lock; /* descriptor of the locked folder; -1: none */
    pd_arena arena;
} fetch_store;

/* <folder>, or <cache>/models/<user>/<name>/<revision>; makes nothing. Errors: IO, MEMORY_HOST. */
pd_status fetch_store_open(fetch_place *place, const char *folder, const hub_watch *watch,
                           fetch_store *out, pd_error *err);
/* Makes the folder and waits until no other process fetches into it. Errors: IO, CANCELLED. */
pd_status fetch_store_lock(fetch_store *s, pd_error *err);
void fetch_store_unlock(fetch_store *s); /* also when it was not locked */
void fetch_store_close(fetch_store *s);
const char *fetch_store_path(fetch_store *s, const char *path); /* NULL: no memory */
/* The listing of the last time; *out is empty when there is none of this place. */
pd_status fetch_store_read(fetch_store *s, const fetch_place *place, fetch_list *out,
                           pd_error *err);
pd_status fetch_store_write(fetch_store *s, const fetch_place *place, const fetch_list *list,
                            pd_error *err);
/* Sets `have` of the wanted files: those that `known` has as complete and the same, and those whose
 * content, which is read, is the right one. Errors: CANCELLED, MEMORY_HOST, INTERNAL. */
pd_status fetch_store_mark(fetch_store *s, fetch_list *list, const fetch_list *known,
                           pd_error *err);
/* `have`, and it is still there with its size. */
bool fetch_store_holds(fetch_store *s, const fetch_file *file);
/* Bytes of the wanted files that are not there yet, and what their unfinished parts have. */
void fetch_store_count(fetch_store *s, const fetch_list *list, uint64_t *n_missing,
                       uint64_t *n_partial);
/* "<path>.<12 digits of the id>.part": a file that changes on the server gets another name. */
const char *fetch_store_part_path(fetch_store *s, const fetch_file *file);
/* Makes the folders of a file, and removes unfinished parts of its other versions. */
pd_status fetch_store_prepare(fetch_store *s, const fetch_file *file, pd_error *err);

/* ---- fetch_part.c ---------------------------------------------------------------------------- */

/* The content's digest, of the kind that the id is of. */
typedef struct fetch_sum fetch_sum;
pd_status fetch_sum_create(const fetch_file *file, fetch_sum **out, pd_error *err);
void fetch_sum_reset(fetch_sum *s);
void fetch_sum_update(fetch_sum *s, const void *data, size_t n);
/* Errors: INTERNAL. */
pd_status fetch_sum_finish(fetch_sum *s, bool *matches, pd_error *err);
void fetch_sum_destroy(fetch_sum *s); /* NULL is allowed */
/* Reads n_bytes of a descriptor from its beginning. Errors: IO, CANCELLED. */
pd_status fetch_sum_read(fetch_sum *s, int fd, const char *path, uint64_t n_bytes,
                         const hub_watch *watch, pd_error *err);

typedef struct fetch_run {
    fetch_http *http;
    fetch_place *place;
    fetch_store *store;
    unsigned n_retries;
    const hub_watch *watch;
    uint64_t done, total; /* bytes of all files, those of parts from earlier included */
    char commit[72];      /* X-Repo-Commit, or empty */
} fetch_run;

/* Fetches a file that is not there; sets its `have`. Errors: those of fetch_http_get, IO, FORMAT
 * when the content is not what the listing says. The part stays, except then. */
pd_status fetch_part_get(fetch_run *run, fetch_file *file, pd_error *err);

#endif
