/* A GGUF of a few keys and tensors, in which one thing at a time is absent, changed or added. The
 * includer lists the sound file's keys and tensors; a variant says what differs.
 *
 *     write_keys, then add_tensor for each of the sound file's, then write_tensors: between
 *     begin_variant and end_variant
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_TESTS_SUPPORT_GGUF_VARIANTS_H
#define PERIDOT_TESTS_SUPPORT_GGUF_VARIANTS_H

#include "support_folder.h"

#include "base/memory.h"
#include "file/gguf.h"
#include "file/quant.h"

typedef enum change { ABSENT, U32, F32, F32S, BOOL, BOOLS, TEXT, STRINGS, TENSOR } change;

/* What differs from the sound file; no key: nothing. */
typedef struct variant {
    const char *key; /* or tensor name */
    change change;
    double number;     /* U32, F32, BOOL; F32S: each item */
    const char *text;  /* TEXT */
    uint64_t count;    /* F32S, STRINGS: items */
    uint64_t ne0, ne1; /* TENSOR; ne1 0: a vector; ne0 0: the sound one's shape */
    pd_type type;      /* TENSOR */
    bool added;        /* TENSOR: at the end */
} variant;

typedef struct listed_tensor {
    char name[80];
    pd_type type;
    uint32_t n_dims;
    uint64_t ne[4];
} listed_tensor;

static struct {
    listed_tensor list[128];
    unsigned n;
} tensors; /* of the file that is being written */

/* ---- keys ---------------------------------------------------------------------------------- */

static inline void write_key(pd_gguf_writer *w, const variant *v) {
    static const int32_t ones_and_zeros[2] = {0x01000101, 0x00010001};
    static const pd_string names[64];
    const float x = (float)v->number, items[4] = {x, x, x, x};
    switch (v->change) {
    case U32: pd_gguf_write_u32(w, v->key, (uint32_t)v->number); break;
    case F32: pd_gguf_write_f32(w, v->key, x); break;
    case F32S: pd_gguf_write_f32s(w, v->key, items, v->count); break;
    case BOOL: pd_gguf_write_bool(w, v->key, v->number != 0); break;
    case BOOLS: pd_gguf_write_i32s(w, v->key, ones_and_zeros, 2); break; /* see make_bools */
    case TEXT: pd_gguf_write_string(w, v->key, v->text); break;
    case STRINGS: pd_gguf_write_strings(w, v->key, names, v->count); break;
    case ABSENT:
    case TENSOR: break;
    }
}

/* The writer has no bool arrays: two i32 become eight bools where they lie. */
static inline void make_bools(const char *file, const char *key) {
    static char head[8192];
    FILE *f = fopen(file, "r+b");
    assert_non_null(f);
    size_t n = fread(head, 1, sizeof head, f), n_key = strlen(key), at = 0;
    while (at + n_key < n && memcmp(head + at, key, n_key) != 0) at++;
    const uint8_t kind[12] = {PD_GGUF_BOOL, 0, 0, 0, 8};
    assert_int_equal(fseek(f, (long)(at + n_key + 4), SEEK_SET), 0);
    assert_int_equal(fwrite(kind, 1, sizeof kind, f), sizeof kind);
    assert_int_equal(fclose(f), 0);
}

static inline void write_keys(pd_gguf_writer *w, const variant *sound, size_t n, const variant *v) {
    bool known = false;
    for (size_t i = 0; i < n; i++) {
        bool same = v->key && strcmp(v->key, sound[i].key) == 0;
        known = known || same;
        write_key(w, same ? v : &sound[i]);
    }
    if (!known && v->key && v->change != TENSOR) write_key(w, v);
}

/* ---- tensors ------------------------------------------------------------------------------- */

/* One of the sound file's, as the variant has it. */
static inline void add_tensor(const variant *v, const char *name, pd_type type, uint32_t n_dims,
                              const uint64_t ne[4]) {
    listed_tensor t = {.type = type, .n_dims = n_dims, .ne = {ne[0], ne[1], ne[2], ne[3]}};
    if (v->key && strcmp(name, v->key) == 0) {
        if (v->change == ABSENT) return;
        t.type = v->type;
        if (v->ne0) {
            t.n_dims = v->ne1 ? 2 : 1;
            t.ne[0] = v->ne0;
            t.ne[1] = v->ne1 ? v->ne1 : 1;
            t.ne[2] = t.ne[3] = 1;
        }
    }
    snprintf(t.name, sizeof t.name, "%s", name);
    assert_true(tensors.n < sizeof tensors.list / sizeof *tensors.list);
    tensors.list[tensors.n++] = t;
}

/* Zeros, or by `value_of`. */
static inline void write_values(pd_gguf_writer *w, const listed_tensor *t,
                                float (*value_of)(const char *name, uint64_t i)) {
    uint64_t n = t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
    uint64_t n_bytes = pd_type_row_bytes(pd_type_get((uint32_t)t->type), n);
    void *stored = pd_alloc(n_bytes, 1);
    if (value_of) {
        float *values = pd_alloc(n, sizeof *values);
        for (uint64_t i = 0; i < n; i++) values[i] = value_of(t->name, i);
        pd_encode(t->type, values, n, stored);
        pd_free(values);
    }
    pd_gguf_write_data(w, stored, n_bytes);
    pd_free(stored);
}

/* All that were listed, and the one that the variant adds. */
static inline void write_tensors(pd_gguf_writer *w, const variant *v,
                                 float (*value_of)(const char *name, uint64_t i)) {
    static const uint64_t as_the_variant_says[4] = {1, 1, 1, 1};
    if (v->change == TENSOR && v->added) add_tensor(v, v->key, v->type, 1, as_the_variant_says);
    for (unsigned i = 0; i < tensors.n; i++) {
        const listed_tensor *t = &tensors.list[i];
        pd_gguf_write_tensor(w, t->name, t->type, t->n_dims, t->ne);
    }
    pd_gguf_begin_data(w);
    for (unsigned i = 0; i < tensors.n; i++) write_values(w, &tensors.list[i], value_of);
}

/* ---- the file ------------------------------------------------------------------------------ */

static const char variant_name[] = "variant"; /* of the file, in the scratch folder */

static inline pd_gguf_writer *begin_variant(void) {
    pd_gguf_writer *w;
    tensors.n = 0;
    assert_int_equal(pd_gguf_writer_open(in_folder(variant_name), &w, NULL), PD_OK);
    return w;
}

static inline void end_variant(pd_gguf_writer *w, const variant *v) {
    assert_int_equal(pd_gguf_writer_commit(w, NULL), PD_OK);
    if (v->change == BOOLS) make_bools(in_folder(variant_name), v->key);
}

static inline void expect_error(pd_status found, const pd_error *err, pd_status status,
                                const char *words) {
    if (found != status || !strstr(err->message, words))
        fail_msg("%s: \"%s\", expected %s and \"%s\"", pd_status_name(found), err->message,
                 pd_status_name(status), words);
}

#endif
