/* Files: read-only mappings, writing that is all or nothing, the cache directory.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_FILE_H
#define PD_BASE_FILE_H

#include <stdio.h>

#include "base/error.h"

typedef struct pd_mapping {
    const uint8_t *data;
    uint64_t size;
} pd_mapping;

/* Maps a regular file read-only. Errors: IO (missing, unreadable, a directory), FORMAT (empty). */
pd_status pd_mapping_open(const char *path, pd_mapping *out, pd_error *err);
void pd_mapping_close(pd_mapping *m);
/* Tells the system that the pages of [offset, offset + n) will not be read again soon. */
void pd_mapping_forget(const pd_mapping *m, uint64_t offset, uint64_t n);
/* From now on fn is called when pages of a mapped file cannot be read any more, since it was
 * shortened or its disk failed: as a signal handler, in the thread that read. The process ends with
 * it, as if fn were not there when it returns. */
void pd_mapping_on_fault(void (*fn)(const char *path));

/* A file that appears under its name only when complete: written without a name, or beside it,
 * renamed on commit, gone after abort, and where the system can do that also after a kill. Exactly
 * one of commit and abort ends it. Paths that are not regular files (/dev/stdout, a pipe) are
 * written directly. */
typedef struct pd_file_writer {
    FILE *stream;
    char *path, *temp_path; /* temp_path is NULL while the file has no name */
    char *old_path;         /* what path led to before, while others are committed; or NULL */
    bool is_direct, replaces;
    bool failed;
    int failure; /* errno of the first write that failed */
} pd_file_writer;

pd_status pd_file_writer_open(const char *path, pd_file_writer *w, pd_error *err);
/* What open does where there are no files without a name. */
pd_status pd_file_writer_open_named(const char *path, pd_file_writer *w, pd_error *err);
void pd_file_writer_write(pd_file_writer *w, const void *data, size_t n); /* failure is sticky */
/* Everything that takes long or may not fit: after it a commit only gives the name. For files that
 * are to appear together. May be left out; repeated, it syncs again. */
pd_status pd_file_writer_finish(pd_file_writer *w, pd_error *err);
/* Between finish and commit: a path by which the file can be read; NULL where it is not a file. */
const char *pd_file_writer_path(const pd_file_writer *w, char out[32]);
pd_status pd_file_writer_commit(pd_file_writer *w, pd_error *err);
/* Ends all of them: either each has its name afterwards, or what was under the names is there
 * again. Where the file system links no files, a replaced one is not brought back. */
pd_status pd_file_writers_commit(pd_file_writer *const *list, uint32_t n, pd_error *err);
void pd_file_writer_abort(pd_file_writer *w);

typedef pd_status (*pd_file_write_fn)(void *ctx, pd_file_writer *w, pd_error *err);
/* The whole life of such a file: fn writes it, and it appears unless fn fails. What cannot be
 * written is told before fn begins. */
pd_status pd_file_write(const char *path, pd_file_write_fn fn, void *ctx, pd_error *err);
/* The same of bytes that are there. */
pd_status pd_file_write_all(const char *path, const void *data, size_t n, pd_error *err);

/* Errors: ARGUMENT when `output` is the regular file that `input` is, by whatever names and links:
 * what replaces its input leaves nothing to go back to. Where `input` is a folder, the files in it
 * count, but not GGUF files: those lie beside a checkpoint and are no part of it. */
pd_status pd_file_check_output(const char *output, const char *input, pd_error *err);
/* Errors: ARGUMENT when both paths, which need not exist yet, name one file to be written. */
pd_status pd_file_check_outputs(const char *a, const char *b, pd_error *err);

/* Errors: IO when the folder of `path` has less room than n_bytes. Writing for minutes only to find
 * the disk full helps nobody. */
pd_status pd_disk_check(const char *path, uint64_t n_bytes, pd_error *err);

/* Whole file into memory (pd_free); at most max_bytes. `path` "-" is standard input. */
pd_status pd_file_read_all(const char *path, uint64_t max_bytes, char **data, size_t *n,
                           pd_error *err);
/* The same for files that nobody named, in the cache folder: what is not a regular file, and could
 * make it wait for ever, is an error (IO), and "-" is a name like any other. */
pd_status pd_file_read_regular(const char *path, uint64_t max_bytes, char **data, size_t *n,
                               pd_error *err);

/* "<cache>/peridot/<name>" in a fresh string (pd_free), the directory made; NULL when there is no
 * usable place. <cache>: $PERIDOT_CACHE_DIR itself, else $XDG_CACHE_HOME, else ~/.cache. */
char *pd_cache_path(const char *name);
/* The same of what a program remembers for its user. <state>: $XDG_STATE_HOME, else
 * ~/.local/state. */
char *pd_state_path(const char *name);

#endif
