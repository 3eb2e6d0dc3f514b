/* GGUF v3: a reader over read-only mappings, and a streaming writer.
 *
 * The reader checks every length, offset, count and type against the file's size with
 * overflow-checked arithmetic before use; after pd_gguf_open returned PD_OK, every view it hands
 * out lies inside the mapping. Split files (NAME-00001-of-0000N.gguf): open the first part, the
 * others are found beside it and their tensors join the same directory.
 *
 *     char[4] "GGUF"; u32 version = 3; u64 n_tensors; u64 n_kv
 *     n_kv      x { string key; u32 value type; value }
 *     n_tensors x { string name; u32 n_dims; u64 ne[n_dims]; u32 type; u64 offset }
 *     zero bytes up to a multiple of the alignment; data (offsets count from here)
 *     string = u64 length + bytes
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_FILE_GGUF_H
#define PD_FILE_GGUF_H

#include "base/error.h"
#include "base/file.h"
#include "file/quant.h"

enum { PD_GGUF_MAX_DIMS = 4 };

typedef enum pd_gguf_kind {
    PD_GGUF_U8,
    PD_GGUF_I8,
    PD_GGUF_U16,
    PD_GGUF_I16,
    PD_GGUF_U32,
    PD_GGUF_I32,
    PD_GGUF_F32,
    PD_GGUF_BOOL,
    PD_GGUF_STRING,
    PD_GGUF_ARRAY,
    PD_GGUF_U64,
    PD_GGUF_I64,
    PD_GGUF_F64
} pd_gguf_kind;

typedef struct pd_string {
    const char *data; /* not NUL-terminated; points into the mapping */
    uint64_t n;
} pd_string;

typedef struct pd_gguf_value {
    pd_string key;
    pd_gguf_kind kind;
    pd_gguf_kind item_kind; /* of an array */
    uint64_t count;         /* items of an array, else 1 */
    const uint8_t *data;    /* the first item's bytes; a string's are its length, then its text */
    uint64_t n_bytes;       /* of the items, string lengths included */
} pd_gguf_value;

typedef struct pd_tensor {
    char name[64];
    pd_type type;
    uint32_t n_dims;
    uint64_t ne[PD_GGUF_MAX_DIMS]; /* ne[0] is contiguous; unused ones are 1 */
    const uint8_t *data;           /* rows of ne[0] values in the blocks of `type`; 8-aligned */
    uint64_t n_bytes;
    uint32_t part;   /* which split file it lies in */
    uint64_t offset; /* of its data in that file */
} pd_tensor;

typedef struct pd_gguf pd_gguf;

/* Errors: IO, FORMAT (names the field or tensor, what was expected and found), UNSUPPORTED
 * (version, big-endian file, a tensor type Peridot does not handle), ARGUMENT (a part of a split
 * file that is not its first), MEMORY_HOST. */
pd_status pd_gguf_open(const char *path, pd_gguf **out, pd_error *err);
void pd_gguf_close(pd_gguf *g);

const char *pd_gguf_path(const pd_gguf *g);
uint64_t pd_gguf_file_bytes(const pd_gguf *g); /* all parts */
/* A hash of names, types, shapes and the beginning of each tensor's values. */
uint64_t pd_gguf_identity(const pd_gguf *g);
uint64_t pd_gguf_value_count(const pd_gguf *g);
const pd_gguf_value *pd_gguf_value_at(const pd_gguf *g, uint64_t i);
uint64_t pd_gguf_tensor_count(const pd_gguf *g);
const pd_tensor *pd_gguf_tensor_at(const pd_gguf *g, uint64_t i);

const pd_gguf_value *pd_gguf_find(const pd_gguf *g, const char *key);     /* NULL: absent */
const pd_tensor *pd_gguf_find_tensor(const pd_gguf *g, const char *name); /* NULL: absent */

/* Scalar of any integer, float or bool kind, converted; false when absent, of another kind or out
 * of the target's range. */
bool pd_gguf_get_u32(const pd_gguf *g, const char *key, uint32_t *out);
bool pd_gguf_get_f32(const pd_gguf *g, const char *key, float *out);
bool pd_gguf_get_bool(const pd_gguf *g, const char *key, bool *out);
bool pd_gguf_get_string(const pd_gguf *g, const char *key, pd_string *out);

/* Walks an array of strings: start with *cursor = 0 and call exactly `count` times. */
pd_string pd_gguf_string_next(const pd_gguf_value *array, uint64_t *cursor);

/* Tells the system that a tensor's bytes in the mapping are no longer needed. */
void pd_gguf_forget(const pd_gguf *g, const pd_tensor *t);

/* The files themselves, for what must read every byte of them: 0 is the one that was opened. */
uint32_t pd_gguf_part_count(const pd_gguf *g);
const pd_mapping *pd_gguf_part_mapping(const pd_gguf *g, uint32_t part);
const char *pd_gguf_part_name(const pd_gguf *g, uint32_t part); /* without its folders */

/* As pd_file_check_output; where `input` is the first part of a split model, all its parts count.
 */
pd_status pd_gguf_check_output(const char *output, const char *input, pd_error *err);

/* ---- writer -------------------------------------------------------------------------------- */

typedef struct pd_gguf_writer pd_gguf_writer;

/* Order of calls: all values, all tensors' declarations, begin_data, then each tensor's bytes in
 * the declared order in pieces of any size; commit or abort ends it. Nothing appears under `path`
 * before commit. Failures are kept and reported by commit. */
pd_status pd_gguf_writer_open(const char *path, pd_gguf_writer **out, pd_error *err);
void pd_gguf_write_u32(pd_gguf_writer *w, const char *key, uint32_t v);
void pd_gguf_write_i32(pd_gguf_writer *w, const char *key, int32_t v);
void pd_gguf_write_f32(pd_gguf_writer *w, const char *key, float v);
void pd_gguf_write_bool(pd_gguf_writer *w, const char *key, bool v);
void pd_gguf_write_string(pd_gguf_writer *w, const char *key, const char *v);
void pd_gguf_write_strings(pd_gguf_writer *w, const char *key, const pd_string *v, uint64_t n);
void pd_gguf_write_f32s(pd_gguf_writer *w, const char *key, const float *v, uint64_t n);
void pd_gguf_write_i32s(pd_gguf_writer *w, const char *key, const int32_t *v, uint64_t n);
void pd_gguf_write_value(pd_gguf_writer *w, const pd_gguf_value *v); /* as another file has it */
void pd_gguf_write_tensor(pd_gguf_writer *w, const char *name, pd_type type, uint32_t n_dims,
                          const uint64_t *ne);
void pd_gguf_begin_data(pd_gguf_writer *w);
void pd_gguf_write_data(pd_gguf_writer *w, const void *data, uint64_t n);
/* True when commit is going to fail whatever comes: what is left to do is in vain. */
bool pd_gguf_writer_failed(const pd_gguf_writer *w);
/* As pd_file_writer_finish: commit or abort still follow. */
pd_status pd_gguf_writer_finish(pd_gguf_writer *w, pd_error *err);
/* Between finish and commit: what was written, as a reader sees it; NULL where it went into a pipe.
 * Errors: those of pd_gguf_open. */
pd_status pd_gguf_writer_read(const pd_gguf_writer *w, pd_gguf **out, pd_error *err);
pd_status pd_gguf_writer_commit(pd_gguf_writer *w, pd_error *err);
/* All or none of them, as pd_file_writers_commit has it; n is at most 2. */
pd_status pd_gguf_writers_commit(pd_gguf_writer *const *list, uint32_t n, pd_error *err);
void pd_gguf_writer_abort(pd_gguf_writer *w);

#endif
