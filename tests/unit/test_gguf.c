/* GGUF: what the writer wrote is what the reader sees; every check of the reader, one damaged file
 * each; split files.
 *
 * Damaged files are made by hand, byte by byte, so that the writer cannot hide a mistake that it
 * shares with the reader.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "file/gguf.h"
#include "support_data.h"

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/peridot-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static const char *in_folder(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- bytes by hand ------------------------------------------------------------------------- */

static void u8(pd_bytes *b, unsigned v) {
    uint8_t byte = (uint8_t)v;
    pd_bytes_write(b, &byte, 1);
}
static void u32(pd_bytes *b, uint32_t v) {
    for (unsigned i = 0; i < 4; i++) u8(b, v >> 8 * i & 255);
}
static void u64(pd_bytes *b, uint64_t v) {
    u32(b, (uint32_t)v);
    u32(b, (uint32_t)(v >> 32));
}
static void str(pd_bytes *b, const char *s) {
    u64(b, strlen(s));
    pd_bytes_write(b, s, strlen(s));
}
static void head(pd_bytes *b, uint64_t n_tensors, uint64_t n_values) {
    pd_bytes_write(b, "GGUF", 4);
    u32(b, 3);
    u64(b, n_tensors);
    u64(b, n_values);
}
static void key_u32(pd_bytes *b, const char *key, uint32_t v) {
    str(b, key);
    u32(b, PD_GGUF_U32);
    u32(b, v);
}
static void tensor(pd_bytes *b, const char *name, uint32_t n_dims, uint64_t ne0, uint64_t ne1,
                   uint32_t type, uint64_t offset) {
    const uint64_t ne[2] = {ne0, ne1};
    str(b, name);
    u32(b, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) u64(b, i < 2 ? ne[i] : 1);
    u32(b, type);
    u64(b, offset);
}
static void pad(pd_bytes *b, size_t to) {
    while (b->n % to != 0) u8(b, 0);
}
static void zeros(pd_bytes *b, size_t n) {
    for (size_t i = 0; i < n; i++) u8(b, 0);
}

static void put_file(const char *name, const pd_bytes *b) {
    FILE *f = fopen(in_folder(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b->data, 1, b->n, f), b->n);
    fclose(f);
}

/* Writes b, opens it, and expects the status and the words in the message. Frees b. */
static void expect(pd_bytes *b, pd_status status, const char *words) {
    pd_gguf *g = NULL;
    pd_error err = {0};
    put_file("case.gguf", b);
    pd_bytes_free(b);
    pd_status found = pd_gguf_open(in_folder("case.gguf"), &g, &err);
    if (found != status || (words && !strstr(err.message, words)))
        fail_msg("%s: \"%s\", expected %s and \"%s\"", pd_status_name(found), err.message,
                 pd_status_name(status), words ? words : "");
    assert_int_equal(found == PD_OK, g != NULL);
    pd_gguf_close(g);
}

/* ---- writer and reader --------------------------------------------------------------------- */

static const float floats[3] = {1.5f, -2, 1e30f};
static const int32_t ints[2] = {-1, 1 << 30};
static const pd_string strings[3] = {{"a", 1}, {"", 0}, {"b\0c", 3}};

static void write_sample(const char *path, const float *values, const uint8_t *blocks) {
    pd_gguf_writer *w;
    const uint64_t shape[2] = {32, 3}, vector[1] = {5};
    assert_int_equal(pd_gguf_writer_open(path, &w, NULL), PD_OK);
    pd_gguf_write_u32(w, "n", 4000000000u);
    pd_gguf_write_f32(w, "f", 0.25f);
    pd_gguf_write_bool(w, "yes", true);
    pd_gguf_write_string(w, "s", "text");
    pd_gguf_write_strings(w, "list", strings, 3);
    pd_gguf_write_f32s(w, "floats", floats, 3);
    pd_gguf_write_i32s(w, "ints", ints, 2);
    pd_gguf_write_tensor(w, "matrix", PD_TYPE_Q4_0, 2, shape);
    pd_gguf_write_tensor(w, "vector", PD_TYPE_F32, 1, vector);
    pd_gguf_begin_data(w);
    pd_gguf_write_data(w, blocks, 50); /* pieces need not end where tensors do */
    pd_gguf_write_data(w, blocks + 50, 4);
    pd_gguf_write_data(w, values, 5 * sizeof *values);
    assert_int_equal(pd_gguf_writer_commit(w, NULL), PD_OK);
}

static void test_round_trip(void **state) {
    (void)state;
    const float values[5] = {1, 2, 3, 4, 5};
    uint8_t blocks[54];
    for (unsigned i = 0; i < sizeof blocks; i++) blocks[i] = (uint8_t)(i * 7);
    write_sample(in_folder("sample.gguf"), values, blocks);
    pd_gguf *g;
    assert_int_equal(pd_gguf_open(in_folder("sample.gguf"), &g, NULL), PD_OK);
    assert_string_equal(pd_gguf_path(g), in_folder("sample.gguf"));
    assert_int_equal(pd_gguf_value_count(g), 7);
    assert_int_equal(pd_gguf_tensor_count(g), 2);
    assert_null(pd_gguf_value_at(g, 7));
    assert_null(pd_gguf_tensor_at(g, 2));
    const pd_tensor *m = pd_gguf_find_tensor(g, "matrix"), *v = pd_gguf_find_tensor(g, "vector");
    assert_ptr_equal(m, pd_gguf_tensor_at(g, 0));
    assert_ptr_equal(v, pd_gguf_tensor_at(g, 1));
    assert_int_equal(m->type, PD_TYPE_Q4_0);
    assert_int_equal(m->n_dims, 2);
    assert_true(m->ne[0] == 32 && m->ne[1] == 3 && m->ne[2] == 1 && m->ne[3] == 1);
    assert_int_equal(m->n_bytes, 54);
    assert_memory_equal(m->data, blocks, 54);
    assert_int_equal(v->n_bytes, 20);
    assert_memory_equal(v->data, values, 20);
    assert_int_equal(m->offset % 32, 0);
    assert_int_equal(v->offset, m->offset + 64);
    assert_int_equal(pd_gguf_file_bytes(g), v->offset + 32);
    pd_gguf_forget(g, m);
    assert_memory_equal(m->data, blocks, 54);
    assert_null(pd_gguf_find_tensor(g, "matri"));
    assert_null(pd_gguf_find_tensor(g, "matrixx"));
    assert_null(pd_gguf_find_tensor(g, ""));
    pd_gguf_close(g);
    pd_gguf_close(NULL);
}

/* A file written from what another one holds is that file. */
static void test_copied_values(void **state) {
    (void)state;
    const float values[5] = {1, 2, 3, 4, 5};
    uint8_t blocks[54] = {0};
    write_sample(in_folder("sample.gguf"), values, blocks);
    pd_gguf *g, *copy;
    pd_gguf_writer *w;
    assert_int_equal(pd_gguf_open(in_folder("sample.gguf"), &g, NULL), PD_OK);
    assert_int_equal(pd_gguf_part_count(g), 1);
    assert_string_equal(pd_gguf_part_name(g, 0), "sample.gguf");
    assert_int_equal(pd_gguf_writer_open(in_folder("copy.gguf"), &w, NULL), PD_OK);
    for (uint64_t i = 0; i < pd_gguf_value_count(g); i++)
        pd_gguf_write_value(w, pd_gguf_value_at(g, i));
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++) {
        const pd_tensor *t = pd_gguf_tensor_at(g, i);
        pd_gguf_write_tensor(w, t->name, t->type, t->n_dims, t->ne);
    }
    pd_gguf_begin_data(w);
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++)
        pd_gguf_write_data(w, pd_gguf_tensor_at(g, i)->data, pd_gguf_tensor_at(g, i)->n_bytes);
    assert_false(pd_gguf_writer_failed(w));
    assert_int_equal(pd_gguf_writer_commit(w, NULL), PD_OK);
    assert_int_equal(pd_gguf_open(in_folder("copy.gguf"), &copy, NULL), PD_OK);
    const pd_mapping *a = pd_gguf_part_mapping(g, 0), *b = pd_gguf_part_mapping(copy, 0);
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->data, b->data, a->size);
    pd_gguf_close(g);
    pd_gguf_close(copy);
}

static void test_values(void **state) {
    (void)state;
    const float values[5] = {0};
    uint8_t blocks[54] = {0};
    write_sample(in_folder("sample.gguf"), values, blocks);
    pd_gguf *g;
    uint32_t u;
    float f;
    bool b;
    pd_string s;
    assert_int_equal(pd_gguf_open(in_folder("sample.gguf"), &g, NULL), PD_OK);
    assert_true(pd_gguf_get_u32(g, "n", &u) && u == 4000000000u);
    assert_true(pd_gguf_get_f32(g, "n", &f) && f == 4e9f);
    assert_true(pd_gguf_get_f32(g, "f", &f) && f == 0.25f);
    assert_false(pd_gguf_get_u32(g, "f", &u)); /* 0.25 is no whole number */
    assert_true(pd_gguf_get_bool(g, "yes", &b) && b);
    assert_true(pd_gguf_get_u32(g, "yes", &u) && u == 1);
    assert_false(pd_gguf_get_bool(g, "n", &b));
    assert_true(pd_gguf_get_string(g, "s", &s) && s.n == 4 && memcmp(s.data, "text", 4) == 0);
    assert_false(pd_gguf_get_string(g, "n", &s));
    assert_false(pd_gguf_get_u32(g, "s", &u));
    assert_false(pd_gguf_get_u32(g, "ints", &u));
    assert_false(pd_gguf_get_u32(g, "absent", &u));
    const pd_gguf_value *list = pd_gguf_find(g, "list");
    assert_non_null(list);
    assert_int_equal(list->kind, PD_GGUF_ARRAY);
    assert_int_equal(list->item_kind, PD_GGUF_STRING);
    assert_int_equal(list->count, 3);
    uint64_t cursor = 0;
    for (int i = 0; i < 3; i++) {
        s = pd_gguf_string_next(list, &cursor);
        assert_int_equal(s.n, strings[i].n);
        assert_memory_equal(s.data, strings[i].data, s.n);
    }
    assert_int_equal(cursor, list->n_bytes);
    assert_int_equal(pd_gguf_string_next(list, &cursor).n, 0); /* once too often: empty */
    assert_memory_equal(pd_gguf_find(g, "floats")->data, floats, sizeof floats);
    assert_memory_equal(pd_gguf_find(g, "ints")->data, ints, sizeof ints);
    pd_gguf_close(g);
}

/* Every scalar kind through the three numeric getters. */
static void test_number_kinds(void **state) {
    (void)state;
    static const struct {
        pd_gguf_kind kind;
        unsigned n_bytes;
        uint64_t bits;
        double number;
    } rows[] = {
        {PD_GGUF_U8, 1, 200, 200},
        {PD_GGUF_I8, 1, 0xff, -1},
        {PD_GGUF_U16, 2, 0xfffe, 65534},
        {PD_GGUF_I16, 2, 0xfffe, -2},
        {PD_GGUF_I32, 4, 7, 7},
        {PD_GGUF_I32, 4, 0xffffffff, -1},
        {PD_GGUF_U64, 8, 1ull << 32, 4294967296.0},
        {PD_GGUF_I64, 8, UINT64_MAX, -1},
        {PD_GGUF_I64, 8, 12, 12},
        {PD_GGUF_F64, 8, 0x4008000000000000u, 3},
        {PD_GGUF_F32, 4, 0x7fc00000, (double)NAN},
        {PD_GGUF_F64, 8, 0x7fefffffffffffffu, 1.7976931348623157e308},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pd_bytes b = {0};
        pd_gguf *g;
        head(&b, 0, 1);
        str(&b, "k");
        u32(&b, rows[i].kind);
        for (unsigned k = 0; k < rows[i].n_bytes; k++) u8(&b, rows[i].bits >> 8 * k & 255);
        put_file("kind.gguf", &b);
        pd_bytes_free(&b);
        assert_int_equal(pd_gguf_open(in_folder("kind.gguf"), &g, NULL), PD_OK);
        double x = rows[i].number;
        uint32_t u = 1;
        float f = 0;
        assert_int_equal(pd_gguf_get_u32(g, "k", &u), x >= 0 && x <= 4294967295.0);
        if (x >= 0 && x <= 4294967295.0) assert_true((double)u == x);
        assert_int_equal(pd_gguf_get_f32(g, "k", &f), fabs(x) < 1e39);
        if (fabs(x) < 1e39) assert_true(f == (float)x);
        pd_gguf_close(g);
    }
}

static void test_writer_refuses(void **state) {
    (void)state;
    const uint64_t odd[1] = {33}, fine[1] = {4};
    const float data[8] = {0};
    for (int k = 0; k < 8; k++) {
        pd_gguf_writer *w;
        pd_error err;
        assert_int_equal(pd_gguf_writer_open(in_folder("refused.gguf"), &w, NULL), PD_OK);
        if (k == 0) pd_gguf_write_tensor(w, "t", PD_TYPE_Q4_0, 1, odd);
        if (k == 1) pd_gguf_write_tensor(w, "", PD_TYPE_F32, 1, fine);
        if (k == 2) pd_gguf_write_tensor(w, "t", PD_TYPE_F32, 5, fine);
        if (k == 3)
            pd_gguf_write_tensor(w,
                                 "0123456789012345678901234567890123456789012345678901234567890123",
                                 PD_TYPE_F32, 1, fine);
        if (k >= 4) pd_gguf_write_tensor(w, "t", PD_TYPE_F32, 1, fine);
        if (k == 4) pd_gguf_write_u32(w, "late", 1);
        if (k != 5) pd_gguf_begin_data(w);
        pd_gguf_write_data(w, data, k == 6 ? 15 : k == 7 ? 17 : 16);
        assert_int_not_equal(pd_gguf_writer_commit(w, &err), PD_OK);
        assert_true(strlen(err.message) > 0);
    }
    pd_gguf_writer *w;
    assert_int_equal(pd_gguf_writer_open(in_folder("refused.gguf"), &w, NULL), PD_OK);
    pd_gguf_begin_data(w);
    pd_gguf_writer_abort(w);
    DIR *d = opendir(folder);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        assert_null(strstr(e->d_name, "refused"));
    closedir(d);
}

/* ---- damage -------------------------------------------------------------------------------- */

static void test_header_damage(void **state) {
    (void)state;
    pd_bytes b = {0};
    pd_bytes_write(&b, "PK\x03\x04 and more", 13);
    expect(&b, PD_ERR_FORMAT, "50 4b 03 04 (\"PK..\")");
    pd_bytes_write(&b, "GG", 2);
    expect(&b, PD_ERR_FORMAT, "47 47 (\"GG\")");
    pd_bytes_write(&b, "GGUF\0\0\0\3", 8);
    zeros(&b, 16);
    expect(&b, PD_ERR_UNSUPPORTED, "big-endian");
    pd_bytes_write(&b, "GGUF\2\0\0\0", 8);
    zeros(&b, 16);
    expect(&b, PD_ERR_UNSUPPORTED, "version 2");
    head(&b, 0, 0);
    b.n -= 1;
    expect(&b, PD_ERR_FORMAT, "the header needs 8 bytes at 16, the file has 23");
    head(&b, 0, 0);
    expect(&b, PD_OK, NULL);
    head(&b, 1ull << 60, 0);
    zeros(&b, 100);
    expect(&b, PD_ERR_FORMAT, "announces 1152921504606846976 tensors, but only 100 bytes");
    head(&b, 0, UINT64_MAX);
    zeros(&b, 100);
    expect(&b, PD_ERR_FORMAT, "announces 18446744073709551615 keys");
}

/* A file with the one key "k" of the kind, whose value's bytes `value` appends. */
static void with_key(pd_bytes *b, uint32_t kind) {
    head(b, 0, 1);
    str(b, "k");
    u32(b, kind);
}

static void test_value_damage(void **state) {
    (void)state;
    pd_bytes b = {0};
    with_key(&b, 13);
    u64(&b, 0);
    expect(&b, PD_ERR_FORMAT, "value type 13");
    with_key(&b, PD_GGUF_BOOL);
    u8(&b, 2);
    expect(&b, PD_ERR_FORMAT, "a bool with the value 2");
    with_key(&b, PD_GGUF_ARRAY);
    u32(&b, PD_GGUF_BOOL);
    u64(&b, 3);
    pd_bytes_write(&b, "\1\0\3", 3);
    expect(&b, PD_ERR_FORMAT, "a bool with the value 3");
    with_key(&b, PD_GGUF_ARRAY);
    u32(&b, PD_GGUF_ARRAY);
    u64(&b, 0);
    expect(&b, PD_ERR_UNSUPPORTED, "array of arrays");
    with_key(&b, PD_GGUF_ARRAY);
    u32(&b, PD_GGUF_U64);
    u64(&b, 1ull << 61); /* times 8 is 0 in 64 bits */
    zeros(&b, 64);
    expect(&b, PD_ERR_FORMAT, "items in an array");
    with_key(&b, PD_GGUF_ARRAY);
    u32(&b, PD_GGUF_STRING);
    u64(&b, 9);
    zeros(&b, 64);
    expect(&b, PD_ERR_FORMAT, "strings in an array");
    with_key(&b, PD_GGUF_STRING);
    u64(&b, UINT64_MAX);
    expect(&b, PD_ERR_FORMAT, "key k needs 18446744073709551615 bytes");
    with_key(&b, PD_GGUF_STRING);
    u64(&b, 5);
    zeros(&b, 4);
    expect(&b, PD_ERR_FORMAT, "key k needs 5 bytes");
    head(&b, 0, 2);
    key_u32(&b, "k", 1);
    key_u32(&b, "k", 2);
    expect(&b, PD_ERR_FORMAT, "key k appears twice");
    head(&b, 0, 1);
    key_u32(&b, "\033[31m", 1);
    expect(&b, PD_ERR_FORMAT, "0x1b");
}

static void test_alignment_damage(void **state) {
    (void)state;
    static const uint32_t bad[] = {0, 1, 4, 24, 33, 0x80000001};
    pd_bytes b = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        head(&b, 0, 1);
        key_u32(&b, "general.alignment", bad[i]);
        expect(&b, PD_ERR_FORMAT, "power of two");
    }
    head(&b, 0, 1);
    str(&b, "general.alignment");
    u32(&b, PD_GGUF_F32);
    u32(&b, 0x42000000);
    expect(&b, PD_ERR_FORMAT, "general.alignment is not a u32");
    head(&b, 1, 1);
    key_u32(&b, "general.alignment", 64);
    tensor(&b, "t", 1, 1, 0, PD_TYPE_F32, 0);
    pad(&b, 64);
    zeros(&b, 4);
    expect(&b, PD_OK, NULL);
}

static void one_tensor(pd_bytes *b, const char *name, uint32_t n_dims, uint64_t ne0, uint64_t ne1,
                       uint32_t type, uint64_t offset) {
    head(b, 1, 0);
    tensor(b, name, n_dims, ne0, ne1, type, offset);
    pad(b, 32);
    zeros(b, 256);
}

static void test_tensor_damage(void **state) {
    (void)state;
    char name[80] = {0};
    pd_bytes b = {0};
    one_tensor(&b, "t", 2, 32, 2, PD_TYPE_Q4_0, 0);
    expect(&b, PD_OK, NULL);
    one_tensor(&b, "t", 0, 0, 0, PD_TYPE_F32, 0);
    expect(&b, PD_ERR_FORMAT, "tensor t has 0 dimensions");
    one_tensor(&b, "t", 5, 1, 1, PD_TYPE_F32, 0);
    expect(&b, PD_ERR_FORMAT, "5 dimensions");
    one_tensor(&b, "t", 2, 8, 0, PD_TYPE_F32, 0);
    expect(&b, PD_ERR_FORMAT, "dimension 1 of tensor t is 0");
    one_tensor(&b, "t", 2, 1ull << 32, 1ull << 32, PD_TYPE_F32, 0);
    expect(&b, PD_ERR_FORMAT, "2^63 values");
    one_tensor(&b, "t", 2, 1ull << 31, 1ull << 31, PD_TYPE_F32, 0);
    expect(&b, PD_ERR_FORMAT, "2^64 bytes");
    one_tensor(&b, "t", 1, 33, 0, PD_TYPE_Q4_0, 0);
    expect(&b, PD_ERR_FORMAT, "expected a multiple of 32 for Q4_0");
    one_tensor(&b, "t", 1, 256, 0, 10, 0);
    expect(&b, PD_ERR_UNSUPPORTED, "stored as Q2_K (type 10)");
    one_tensor(&b, "t", 1, 256, 0, 4711, 0);
    expect(&b, PD_ERR_UNSUPPORTED, "type 4711");
    one_tensor(&b, "t", 1, 1, 0, PD_TYPE_F32, 16);
    expect(&b, PD_ERR_FORMAT, "offset 16, expected a multiple of 32");
    one_tensor(&b, "t", 1, 1, 0, PD_TYPE_F32, UINT64_MAX - 31);
    expect(&b, PD_ERR_FORMAT, "impossible offset");
    one_tensor(&b, "t", 1, 65, 0, PD_TYPE_F32, 0);
    expect(&b, PD_ERR_FORMAT,
           "the file ends 4 bytes early: tensor t needs bytes 64..324, the file "
           "has 320");
    memset(name, 'n', 64);
    one_tensor(&b, name, 1, 1, 0, PD_TYPE_F32, 0);
    expect(&b, PD_ERR_FORMAT, "has 64 bytes, expected 1 to 63");
    name[63] = '\0';
    one_tensor(&b, name, 1, 1, 0, PD_TYPE_F32, 0);
    expect(&b, PD_OK, NULL);
    one_tensor(&b, "", 1, 1, 0, PD_TYPE_F32, 0);
    expect(&b, PD_ERR_FORMAT, "has 0 bytes");
    one_tensor(&b, "a b", 1, 1, 0, PD_TYPE_F32, 0);
    expect(&b, PD_ERR_FORMAT, "0x20");
    head(&b, 2, 0);
    tensor(&b, "t", 1, 1, 0, PD_TYPE_F32, 0);
    tensor(&b, "t", 1, 1, 0, PD_TYPE_F32, 32);
    zeros(&b, 256);
    expect(&b, PD_ERR_FORMAT, "tensor t appears twice");
    head(&b, 2, 0);
    tensor(&b, "t", 1, 9, 0, PD_TYPE_F32, 0);
    tensor(&b, "u", 1, 1, 0, PD_TYPE_F32, 32);
    zeros(&b, 256);
    expect(&b, PD_ERR_FORMAT, "tensor u begins at byte 128, inside the tensor before it");
}

/* ---- split files --------------------------------------------------------------------------- */

static void put_part(const char *name, uint32_t no, uint32_t count, uint32_t total,
                     const char *tensor_name, uint8_t fill) {
    pd_bytes b = {0};
    head(&b, 1, 4);
    key_u32(&b, "split.no", no);
    key_u32(&b, "split.count", count);
    key_u32(&b, "split.tensors.count", total);
    key_u32(&b, "own", no + 100);
    tensor(&b, tensor_name, 1, 1, 0, PD_TYPE_F32, 0);
    pad(&b, 32);
    for (int i = 0; i < 4; i++) u8(&b, fill);
    put_file(name, &b);
    pd_bytes_free(&b);
}

static void expect_split(const char *name, pd_status status, const char *words) {
    pd_gguf *g = NULL;
    pd_error err = {0};
    assert_int_equal(pd_gguf_open(in_folder(name), &g, &err), status);
    if (!strstr(err.message, words)) fail_msg("\"%s\", expected \"%s\"", err.message, words);
    assert_null(g);
}

static void test_split(void **state) {
    (void)state;
    pd_gguf *g;
    uint32_t own;
    put_part("m-00001-of-00003.gguf", 0, 3, 3, "a", 1);
    put_part("m-00002-of-00003.gguf", 1, 3, 3, "b", 2);
    expect_split("m-00001-of-00003.gguf", PD_ERR_IO, "m-00003-of-00003.gguf");
    put_part("m-00003-of-00003.gguf", 2, 3, 3, "c", 3);
    assert_int_equal(pd_gguf_open(in_folder("m-00001-of-00003.gguf"), &g, NULL), PD_OK);
    assert_int_equal(pd_gguf_tensor_count(g), 3);
    for (unsigned i = 0; i < 3; i++) {
        const char name[2] = {(char)('a' + i), 0};
        const pd_tensor *t = pd_gguf_find_tensor(g, name);
        assert_non_null(t);
        assert_ptr_equal(t, pd_gguf_tensor_at(g, i));
        assert_int_equal(t->part, i);
        assert_int_equal(t->data[0], i + 1);
        pd_gguf_forget(g, t);
    }
    assert_true(pd_gguf_get_u32(g, "own", &own) && own == 100); /* keys: the first part's */
    const pd_tensor *last = pd_gguf_find_tensor(g, "c");
    assert_int_equal(pd_gguf_file_bytes(g), 3 * (last->offset + 4));
    pd_gguf_close(g);

    expect_split("m-00002-of-00003.gguf", PD_ERR_ARGUMENT, "part 2 of 3");
    assert_int_equal(symlink("m-00001-of-00003.gguf", in_folder("renamed.gguf")), 0);
    expect_split("renamed.gguf", PD_ERR_ARGUMENT, "does not end in -00001-of-00003.gguf");
    put_part("m-00003-of-00003.gguf", 1, 3, 3, "c", 3);
    expect_split("m-00001-of-00003.gguf", PD_ERR_FORMAT,
                 "calls itself part 2 of 3, expected part 3");
    put_part("m-00003-of-00003.gguf", 2, 3, 3, "a", 3);
    expect_split("m-00001-of-00003.gguf", PD_ERR_FORMAT, "tensor a appears twice");
    put_part("m-00003-of-00003.gguf", 2, 3, 3, "c", 3);
    put_part("m-00001-of-00003.gguf", 0, 3, 5, "a", 1);
    expect_split("m-00001-of-00003.gguf", PD_ERR_FORMAT, "split.tensors.count is 5");
    put_part("m-00001-of-00003.gguf", 0, UINT32_MAX, 5, "a", 1);
    expect_split("m-00001-of-00003.gguf", PD_ERR_FORMAT, "split.count is 4294967295");
}

static void test_golden_files_open(void **state) {
    (void)state;
    static const char *const names[] = {
        "small-q4_0.gguf",        "small-f16.gguf", "small-bf16.gguf",    "small-q6_k.gguf",
        "small-q8_0-scaled.gguf", "mm-mmproj.gguf", "rule-27b-q4_0.gguf", "mm-q4_0.gguf"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[512];
        pd_gguf *g = NULL;
        pd_error err = {0};
        snprintf(path, sizeof path, "%s/%s", test_data("golden"), names[i]);
        if (pd_gguf_open(path, &g, &err) != PD_OK) fail_msg("%s", err.message);
        assert_true(pd_gguf_tensor_count(g) > 10);
        for (uint64_t k = 0; k < pd_gguf_tensor_count(g); k++) {
            const pd_tensor *t = pd_gguf_tensor_at(g, k);
            assert_ptr_equal(pd_gguf_find_tensor(g, t->name), t);
            assert_true(t->offset + t->n_bytes <= pd_gguf_file_bytes(g));
        }
        pd_gguf_close(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_copied_values),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_number_kinds),
        cmocka_unit_test(test_writer_refuses),
        cmocka_unit_test(test_header_damage),
        cmocka_unit_test(test_value_damage),
        cmocka_unit_test(test_alignment_damage),
        cmocka_unit_test(test_tensor_damage),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_golden_files_open),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
