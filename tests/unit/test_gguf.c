/* GGUF: what the writer wrote is what the reader sees, of every kind of value; what the writer
 * refuses; the golden files.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_gguf_bytes.h"

#include <dirent.h>
#include <math.h>

#include "support_data.h"

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
    DIR *d = opendir(test_folder);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        assert_null(strstr(e->d_name, "refused"));
    closedir(d);
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
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_copied_values),
        cmocka_unit_test(test_values),         cmocka_unit_test(test_number_kinds),
        cmocka_unit_test(test_writer_refuses), cmocka_unit_test(test_golden_files_open),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
