/* The GGUF writer: header in memory, data streamed.
 *
 * Values and tensor declarations are collected as bytes, because their counts come first in the
 * file; begin_data writes them out and from then on nothing is held. Between tensors and behind the
 * last one the writer pads with zeros to the alignment of 32 (the default, so no key says it).
 *
 * The first failure is kept, later calls do nothing, and commit reports it and leaves no file. A
 * call out of order, data that is more or less than declared, or a shape that the type cannot hold
 * is a failure like a full disk.
 *
 * SPDX-License-Identifier: MIT
 */
#include "file/gguf.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"

enum { ALIGNMENT = 32 };

typedef struct declared {
    char name[64];
    uint64_t n_bytes;
} declared;

struct pd_gguf_writer {
    pd_file_writer file;
    pd_bytes values, directory, tensors; /* tensors: an array of `declared` */
    uint64_t n_values, n_tensors;
    uint64_t data_bytes; /* declared so far, padding included */
    bool in_data;
    uint64_t current, written; /* tensor being written, bytes of it that are */
    pd_status status;
    pd_error error; /* of the first failure */
};

#define FAIL(w, ...)                                                                               \
    do {                                                                                           \
        if ((w)->status == PD_OK) (w)->status = PD_RAISE(&(w)->error, __VA_ARGS__);                \
    } while (0)

static const declared *declared_at(const pd_gguf_writer *w, uint64_t i) {
    return (const declared *)(const void *)w->tensors.data + i;
}

/* ---- little-endian numbers into a byte string ---------------------------------------------- */

static void put_u32(pd_bytes *b, uint32_t v) {
    uint8_t bytes[4];
    for (unsigned i = 0; i < 4; i++) bytes[i] = (uint8_t)(v >> 8 * i);
    pd_bytes_write(b, bytes, sizeof bytes);
}

static void put_u64(pd_bytes *b, uint64_t v) {
    put_u32(b, (uint32_t)v);
    put_u32(b, (uint32_t)(v >> 32));
}

static void put_f32(pd_bytes *b, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_u32(b, bits);
}

static void put_string(pd_bytes *b, const char *s, uint64_t n) {
    put_u64(b, n);
    pd_bytes_write(b, s, (size_t)n);
}

/* ---- values -------------------------------------------------------------------------------- */

/* Key and type of the next value; false: nothing may be written. */
static bool begin_value_n(pd_gguf_writer *w, const char *key, uint64_t n, pd_gguf_kind kind) {
    if (w->n_tensors > 0 || w->in_data)
        FAIL(w, PD_ERR_INTERNAL, "the key %.*s was written behind the tensors",
             (int)(n < 100 ? n : 100), key);
    if (w->status != PD_OK) return false;
    put_string(&w->values, key, n);
    put_u32(&w->values, kind);
    w->n_values++;
    return true;
}

static bool begin_value(pd_gguf_writer *w, const char *key, pd_gguf_kind kind) {
    return begin_value_n(w, key, strlen(key), kind);
}

static bool begin_array(pd_gguf_writer *w, const char *key, pd_gguf_kind item_kind, uint64_t n) {
    if (!begin_value(w, key, PD_GGUF_ARRAY)) return false;
    put_u32(&w->values, item_kind);
    put_u64(&w->values, n);
    return true;
}

void pd_gguf_write_u32(pd_gguf_writer *w, const char *key, uint32_t v) {
    if (begin_value(w, key, PD_GGUF_U32)) put_u32(&w->values, v);
}

void pd_gguf_write_i32(pd_gguf_writer *w, const char *key, int32_t v) {
    if (begin_value(w, key, PD_GGUF_I32)) put_u32(&w->values, (uint32_t)v);
}

void pd_gguf_write_f32(pd_gguf_writer *w, const char *key, float v) {
    if (begin_value(w, key, PD_GGUF_F32)) put_f32(&w->values, v);
}

void pd_gguf_write_bool(pd_gguf_writer *w, const char *key, bool v) {
    uint8_t byte = v;
    if (begin_value(w, key, PD_GGUF_BOOL)) pd_bytes_write(&w->values, &byte, 1);
}

void pd_gguf_write_string(pd_gguf_writer *w, const char *key, const char *v) {
    if (begin_value(w, key, PD_GGUF_STRING)) put_string(&w->values, v, strlen(v));
}

void pd_gguf_write_strings(pd_gguf_writer *w, const char *key, const pd_string *v, uint64_t n) {
    if (!begin_array(w, key, PD_GGUF_STRING, n)) return;
    for (uint64_t i = 0; i < n; i++) put_string(&w->values, v[i].data, v[i].n);
}

void pd_gguf_write_f32s(pd_gguf_writer *w, const char *key, const float *v, uint64_t n) {
    if (!begin_array(w, key, PD_GGUF_F32, n)) return;
    for (uint64_t i = 0; i < n; i++) put_f32(&w->values, v[i]);
}

void pd_gguf_write_i32s(pd_gguf_writer *w, const char *key, const int32_t *v, uint64_t n) {
    if (!begin_array(w, key, PD_GGUF_I32, n)) return;
    for (uint64_t i = 0; i < n; i++) put_u32(&w->values, (uint32_t)v[i]);
}

void pd_gguf_write_value(pd_gguf_writer *w, const pd_gguf_value *v) {
    if (!begin_value_n(w, v->key.data, v->key.n, v->kind)) return;
    if (v->kind == PD_GGUF_ARRAY) {
        put_u32(&w->values, v->item_kind);
        put_u64(&w->values, v->count);
    }
    pd_bytes_write(&w->values, v->data, (size_t)v->n_bytes);
}

/* ---- directory ----------------------------------------------------------------------------- */

static bool tensor_bytes(const pd_type_info *type, uint32_t n_dims, const uint64_t *ne,
                         uint64_t *out) {
    if (!type || n_dims < 1 || n_dims > PD_GGUF_MAX_DIMS) return false;
    if (ne[0] == 0 || ne[0] % type->block_values != 0) return false;
    *out = type->block_bytes;
    if (!pd_mul_u64(*out, ne[0] / type->block_values, out)) return false;
    for (uint32_t i = 1; i < n_dims; i++)
        if (ne[i] == 0 || !pd_mul_u64(*out, ne[i], out)) return false;
    return *out <= INT64_MAX;
}

void pd_gguf_write_tensor(pd_gguf_writer *w, const char *name, pd_type type, uint32_t n_dims,
                          const uint64_t *ne) {
    declared t = {0};
    if (w->in_data) FAIL(w, PD_ERR_INTERNAL, "the tensor %s was declared behind the data", name);
    if (strlen(name) == 0 || strlen(name) >= sizeof t.name)
        FAIL(w, PD_ERR_ARGUMENT, "the tensor name \"%s\" has %zu bytes, expected 1 to %zu", name,
             strlen(name), sizeof t.name - 1);
    if (!tensor_bytes(pd_type_get((uint32_t)type), n_dims, ne, &t.n_bytes))
        FAIL(w, PD_ERR_ARGUMENT, "the tensor %s has a shape that %s cannot hold", name,
             pd_type_name((uint32_t)type));
    if (w->data_bytes > INT64_MAX) /* each tensor is below that: the sum cannot have wrapped yet */
        FAIL(w, PD_ERR_ARGUMENT, "the tensors have more than 2^63 bytes");
    if (w->status != PD_OK) return;
    memcpy(t.name, name, strlen(name));
    pd_bytes_write(&w->tensors, &t, sizeof t);
    put_string(&w->directory, name, strlen(name));
    put_u32(&w->directory, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) put_u64(&w->directory, ne[i]);
    put_u32(&w->directory, (uint32_t)type);
    put_u64(&w->directory, w->data_bytes);
    w->data_bytes += pd_round_up(t.n_bytes, ALIGNMENT);
    w->n_tensors++;
}

/* ---- data ---------------------------------------------------------------------------------- */

static void write_padding(pd_gguf_writer *w, uint64_t behind) {
    static const uint8_t zeros[ALIGNMENT];
    pd_file_writer_write(&w->file, zeros, (size_t)(pd_round_up(behind, ALIGNMENT) - behind));
}

void pd_gguf_begin_data(pd_gguf_writer *w) {
    pd_bytes head = {0};
    if (w->in_data) FAIL(w, PD_ERR_INTERNAL, "the data was begun twice");
    pd_bytes_write(&head, "GGUF", 4);
    put_u32(&head, 3);
    put_u64(&head, w->n_tensors);
    put_u64(&head, w->n_values);
    if (head.failed || w->values.failed || w->directory.failed || w->tensors.failed)
        FAIL(w, PD_ERR_MEMORY_HOST, "not enough memory for the header of \"%s\"", w->file.path);
    w->in_data = true;
    if (w->status == PD_OK) {
        pd_file_writer_write(&w->file, head.data, head.n);
        pd_file_writer_write(&w->file, w->values.data, w->values.n);
        pd_file_writer_write(&w->file, w->directory.data, w->directory.n);
        write_padding(w, head.n + w->values.n + w->directory.n);
    }
    pd_bytes_free(&head);
    pd_bytes_free(&w->values);
    pd_bytes_free(&w->directory);
}

void pd_gguf_write_data(pd_gguf_writer *w, const void *data, uint64_t n) {
    const uint8_t *at = data;
    if (!w->in_data) FAIL(w, PD_ERR_INTERNAL, "data was written before begin_data");
    while (n > 0 && w->status == PD_OK) {
        if (w->current >= w->n_tensors) {
            FAIL(w, PD_ERR_INTERNAL, "%" PRIu64 " bytes more than declared were written", n);
            return;
        }
        const declared *t = declared_at(w, w->current);
        uint64_t left = t->n_bytes - w->written, piece = n < left ? n : left;
        pd_file_writer_write(&w->file, at, (size_t)piece);
        w->written += piece;
        at += piece;
        n -= piece;
        if (w->written < t->n_bytes) continue;
        write_padding(w, t->n_bytes);
        w->current++;
        w->written = 0;
    }
}

/* ---- life ---------------------------------------------------------------------------------- */

pd_status pd_gguf_writer_open(const char *path, pd_gguf_writer **out, pd_error *err) {
    *out = NULL;
    pd_gguf_writer *w = pd_alloc(1, sizeof *w);
    if (!w) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to write \"%s\"", path);
    pd_status status = pd_file_writer_open(path, &w->file, err);
    if (status != PD_OK) {
        pd_free(w);
        return status;
    }
    *out = w;
    return PD_OK;
}

static void writer_free(pd_gguf_writer *w) {
    pd_bytes_free(&w->values);
    pd_bytes_free(&w->directory);
    pd_bytes_free(&w->tensors);
    pd_free(w);
}

bool pd_gguf_writer_failed(const pd_gguf_writer *w) {
    return w->status != PD_OK || w->file.failed;
}

pd_status pd_gguf_writer_finish(pd_gguf_writer *w, pd_error *err) {
    if (!w->in_data) pd_gguf_begin_data(w); /* a file without tensors */
    if (w->current < w->n_tensors && !w->file.failed)
        FAIL(w, PD_ERR_INTERNAL,
             "%" PRIu64 " bytes of the tensor %s were written, expected %" PRIu64, w->written,
             declared_at(w, w->current)->name, declared_at(w, w->current)->n_bytes);
    if (w->status == PD_OK) return pd_file_writer_finish(&w->file, err);
    if (err) *err = w->error;
    return w->status;
}

pd_status pd_gguf_writer_read(const pd_gguf_writer *w, pd_gguf **out, pd_error *err) {
    char link[32];
    const char *path = pd_file_writer_path(&w->file, link);
    *out = NULL;
    return path ? pd_gguf_open(path, out, err) : PD_OK;
}

pd_status pd_gguf_writers_commit(pd_gguf_writer *const *list, uint32_t n, pd_error *err) {
    pd_file_writer *files[2] = {0};
    pd_status status = PD_OK;
    for (uint32_t i = 0; i < n; i++) {
        files[i] = &list[i]->file;
        if (status == PD_OK) status = pd_gguf_writer_finish(list[i], err);
    }
    if (status == PD_OK)
        status = pd_file_writers_commit(files, n, err);
    else
        for (uint32_t i = 0; i < n; i++) pd_file_writer_abort(files[i]);
    for (uint32_t i = 0; i < n; i++) writer_free(list[i]);
    return status;
}

pd_status pd_gguf_writer_commit(pd_gguf_writer *w, pd_error *err) {
    return pd_gguf_writers_commit(&w, 1, err);
}

void pd_gguf_writer_abort(pd_gguf_writer *w) {
    if (!w) return;
    pd_file_writer_abort(&w->file);
    writer_free(w);
}
