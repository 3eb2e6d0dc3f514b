/* Models from the Hugging Face hub, and the cache that they are kept in.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_HUB_HUB_H
#define PD_HUB_HUB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* How the caller follows the work, and stops it. All may be NULL. */
typedef struct hub_watch {
    const atomic_int *cancel; /* not 0: stop soon, with CANCELLED */
    /* Work on bytes begins, "fetching" or "checking", of which some were done before. */
    void (*begin)(void *ctx, const char *what, uint64_t bytes_before);
    void (*progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_total);
    void (*end)(void *ctx); /* also when nothing began */
    /* A file is complete: n_bytes of it came now, what it has besides came earlier. */
    void (*fetched)(void *ctx, const char *name, uint64_t size, uint64_t n_bytes, uint64_t ns);
    void *ctx;
} hub_watch;

typedef struct hub_desc {
    const char *what;     /* USER/REPO[:TYPE] */
    const char *file;     /* one file of the repository; NULL: those that make a model */
    const char *revision; /* branch, tag or commit; NULL: "main" */
    const char *folder;   /* where the files go; NULL: the cache */
    bool with_mmproj;     /* its image encoder too */
    bool offline;         /* ask nobody: what was fetched before, or an error */
    unsigned n_retries;   /* of a transfer that breaks off, since it last brought something */
    hub_watch watch;
} hub_desc;

typedef struct hub_file {
    const char *name; /* in the repository, folders separated by '/' */
    uint64_t size;
    const char *id; /* 64 hexadecimal digits: SHA-256; 40: SHA-1 of git's blob */
} hub_file;

typedef struct hub_model {
    const char *repo, *revision;
    const char *commit; /* NULL: the server did not tell */
    const char *folder;
    const char *model;  /* the path of the file to open; NULL: the folder is a checkpoint */
    const char *mmproj; /* NULL: none */
    const hub_file *files;
    size_t n_files;
} hub_model;

/* Fetches what is not there yet. *out: hub_model_free; NULL after an error. The environment names
 * the server (HF_ENDPOINT) and the token (HF_TOKEN and others, see fetch_place.c). Errors: ARGUMENT
 * (no such repository, type or file, an unusable name or setting), IO, FORMAT (what arrives is not
 * what was listed), UNSUPPORTED (nothing in it is a model), CANCELLED, MEMORY_HOST, INTERNAL. */
pd_status hub_fetch(const hub_desc *desc, hub_model **out, pd_error *err);
void hub_model_free(hub_model *m); /* NULL is allowed */

/* A complete file of the cache. */
typedef struct hub_entry {
    const char *repo; /* "user/name" or, of another revision than main, "user/name@revision" */
    const char *name, *path;
    uint64_t n_bytes;
} hub_entry;

/* Calls fn with every one, in the order of their paths. Errors: MEMORY_HOST. */
pd_status hub_list(void (*fn)(void *ctx, const hub_entry *entry), void *ctx, pd_error *err);

#endif
