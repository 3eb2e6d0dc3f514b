/* Reading safetensors: good files and folders, every truncation, and headers that lie.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_folder.h"

#include <sys/stat.h>

#include "file/safetensors.h"

static int remove_files(void **state) {
    static const char *const names[] = {"a.safetensors", "model.safetensors", "b.safetensors",
                                        "model.safetensors.index.json"};
    for (size_t i = 0; i < 4; i++) unlink(in_folder(names[i]));
    return remove_empty_folder(state);
}

/* The file of a header and n_data bytes 0, 1, 2, ... */
static size_t put_file(const char *name, const char *header, size_t n_data) {
    uint8_t bytes[4096] = {0};
    size_t n = strlen(header);
    assert_true(8 + n + n_data <= sizeof bytes);
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)n >> 8 * i);
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < n_data; i++) bytes[8 + n + i] = (uint8_t)i;
    put_bytes(name, bytes, 8 + n + n_data);
    return 8 + n + n_data;
}

static const char good[] =
    "{\"__metadata__\": {\"format\": \"pt\"},"
    " \"w\": {\"dtype\": \"BF16\", \"shape\": [2, 3], \"data_offsets\": [4, 16]},"
    " \"b\": {\"dtype\": \"F32\", \"shape\": [], \"data_offsets\": [0, 4]},"
    " \"ids\": {\"dtype\": \"I64\", \"shape\": [1, 2], \"data_offsets\": [16, 32]},"
    " \"none\": {\"dtype\": \"F16\", \"shape\": [0, 7], \"data_offsets\": [16, 16]}}   ";

static void a_file_is_read(void **state) {
    (void)state;
    pd_safetensors *s;
    pd_error err;
    size_t n_bytes = put_file("a.safetensors", good, 32);
    if (pd_safetensors_open(in_folder("a.safetensors"), &s, &err) != PD_OK)
        fail_msg("%s", err.message);
    assert_int_equal(pd_safetensors_count(s), 4);
    assert_int_equal(pd_safetensors_bytes(s), n_bytes);
    const pd_safetensor *w = pd_safetensors_find(s, "w");
    assert_non_null(w);
    assert_true(w->is_float && w->type == PD_TYPE_BF16);
    assert_int_equal(w->n_dims, 2);
    assert_int_equal(w->shape[0], 2);
    assert_int_equal(w->shape[1], 3);
    assert_int_equal(w->shape[2], 1);
    assert_int_equal(w->n_values, 6);
    assert_int_equal(w->n_bytes, 12);
    assert_int_equal(w->data[0], 4);
    pd_safetensors_forget(s, w, 0, w->n_bytes);
    assert_int_equal(w->data[11], 15);
    assert_false(pd_safetensors_find(s, "ids")->is_float);
    assert_string_equal(pd_safetensors_find(s, "ids")->dtype, "I64");
    assert_int_equal(pd_safetensors_find(s, "b")->n_dims, 0);
    assert_int_equal(pd_safetensors_find(s, "b")->n_values, 1);
    assert_int_equal(pd_safetensors_find(s, "none")->n_values, 0);
    assert_null(pd_safetensors_find(s, "v"));
    assert_string_equal(pd_safetensors_at(s, 0)->name, "b");
    pd_safetensors_close(s);
}

static void expect(const char *path, pd_status status, const char *words) {
    pd_safetensors *s = NULL;
    pd_error err = {0};
    pd_status found = pd_safetensors_open(path, &s, &err);
    if (found == status && strstr(err.message, words) && !s) return;
    fail_msg("%s: status %d, \"%s\"; expected %d, \"%s\"", path, (int)found, err.message,
             (int)status, words);
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    size_t n = put_file("a.safetensors", good, 32);
    uint8_t bytes[4096];
    FILE *f = fopen(in_folder("a.safetensors"), "rb");
    assert_non_null(f);
    assert_int_equal(fread(bytes, 1, n, f), n);
    fclose(f);
    for (size_t cut = 0; cut < n; cut++) {
        put_bytes("a.safetensors", bytes, cut);
        expect(in_folder("a.safetensors"), PD_ERR_FORMAT, "a.safetensors");
    }
    bytes[n] = 0; /* and one byte more */
    put_bytes("a.safetensors", bytes, n + 1);
    expect(in_folder("a.safetensors"), PD_ERR_FORMAT, "goes on for 1 bytes");
}

#define ENTRY(dtype, shape, offsets)                                                               \
    "{\"w\": {\"dtype\": \"" dtype "\", \"shape\": " shape ", \"data_offsets\": " offsets "}}"

static void lying_headers_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *header, *words;
        size_t n_data;
        pd_status status;
    } cases[] = {
        {ENTRY("F32", "[2]", "[0, 9]"), "lies at bytes 0 to 9", 8, PD_ERR_FORMAT},
        {ENTRY("F32", "[2]", "[8, 0]"), "lies at bytes 8 to 0", 8, PD_ERR_FORMAT},
        {ENTRY("F32", "[2]", "[0]"), "data_offsets", 8, PD_ERR_FORMAT},
        {ENTRY("F32", "[2]", "[0, 4, 8]"), "data_offsets", 8, PD_ERR_FORMAT},
        {ENTRY("F32", "[2]", "[0, 8.5]"), "data_offsets", 8, PD_ERR_FORMAT},
        {ENTRY("F32", "[2]", "[-8, 0]"), "data_offsets", 8, PD_ERR_FORMAT},
        {ENTRY("F32", "[2]", "[0, 1e300]"), "data_offsets", 8, PD_ERR_FORMAT},
        {ENTRY("F32", "[3]", "[0, 8]"), "holds 3 values of F32", 8, PD_ERR_FORMAT},
        {ENTRY("BF16", "[2]", "[0, 8]"), "holds 2 values of BF16", 8, PD_ERR_FORMAT},
        {ENTRY("F64", "[2]", "[0, 8]"), "holds 2 values of F64", 8, PD_ERR_FORMAT},
        {ENTRY("F32", "[-2]", "[0, 8]"), "shape", 8, PD_ERR_FORMAT},
        {ENTRY("F32", "[\"2\"]", "[0, 8]"), "shape", 8, PD_ERR_FORMAT},
        {ENTRY("F32", "2", "[0, 8]"), "has no shape", 8, PD_ERR_FORMAT},
        {ENTRY("F32", "[4294967296, 4294967296]", "[0, 8]"), "shape", 8, PD_ERR_FORMAT},
        {ENTRY("F32", "[4611686018427387904, 1]", "[0, 0]"), "shape", 0, PD_ERR_FORMAT},
        {ENTRY("F64", "[4503599627370496, 1024]", "[0, 0]"), "bytes of data", 0, PD_ERR_FORMAT},
        {ENTRY("F32", "[1,1,1,1,1,1,1,1,2]", "[0, 8]"), "dimensions", 8, PD_ERR_UNSUPPORTED},
        {ENTRY("Q9", "[2]", "[0, 8]"), "unknown dtype \"Q9\"", 8, PD_ERR_UNSUPPORTED},
        {ENTRY("F32", "[2]", "[0, 8]"), "goes on for 4 bytes", 12, PD_ERR_FORMAT},
        {ENTRY("F32", "[2]", "[4, 12]"), "begins at byte 4", 12, PD_ERR_FORMAT},
        {"{\"\\u001b[2J\": 3}", "not printable", 0, PD_ERR_FORMAT},
        {"{\"\xff\": 3}", "not printable", 0, PD_ERR_FORMAT},
        {"{\"w\": 3}", "has no dtype", 0, PD_ERR_FORMAT},
        {"{\"w\": {\"shape\": [], \"data_offsets\": [0, 4]}}", "has no dtype", 4, PD_ERR_FORMAT},
        {"[]", "not a JSON object", 0, PD_ERR_FORMAT},
        {" {}", "not a JSON object", 0, PD_ERR_FORMAT},
        {"{} x", "not a JSON object", 0, PD_ERR_FORMAT},
        {"{\"w\": ", "not a JSON object", 0, PD_ERR_FORMAT},
        {"{\"a\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [0, 4]},"
         " \"b\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [2, 6]}}",
         "the one before it ends only there at byte 4", 6, PD_ERR_FORMAT},
        {"{\"a\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [0, 4]},"
         " \"b\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [6, 10]}}",
         "ends already there at byte 4", 10, PD_ERR_FORMAT},
        {"{\"a\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [0, 4]},"
         " \"a\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [4, 8]}}",
         "is there twice", 8, PD_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_file("a.safetensors", cases[i].header, cases[i].n_data);
        expect(in_folder("a.safetensors"), cases[i].status, cases[i].words);
    }
    static const uint8_t huge[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'};
    put_bytes("a.safetensors", huge, sizeof huge);
    expect(in_folder("a.safetensors"), PD_ERR_FORMAT, "header does not end");
    expect("/nonexistent/a.safetensors", PD_ERR_IO, "/nonexistent/a.safetensors");
}

static void put_index(const char *map) {
    char text[512];
    int n = snprintf(text, sizeof text, "{\"metadata\": {}, \"weight_map\": %s}", map);
    put_bytes("model.safetensors.index.json", text, (size_t)n);
}

static void a_folder_of_shards_is_read(void **state) {
    (void)state;
    pd_safetensors *s;
    pd_error err;
    put_file("a.safetensors", ENTRY("F32", "[1]", "[0, 4]"), 4);
    put_file("b.safetensors",
             "{\"v\": {\"dtype\": \"U8\", \"shape\": [2], \"data_offsets\": "
             "[0, 2]}}",
             2);
    put_index("{\"w\": \"a.safetensors\", \"v\": \"b.safetensors\"}");
    if (pd_safetensors_open(test_folder, &s, &err) != PD_OK) fail_msg("%s", err.message);
    assert_int_equal(pd_safetensors_count(s), 2);
    assert_int_not_equal(pd_safetensors_find(s, "v")->part, pd_safetensors_find(s, "w")->part);
    pd_safetensors_close(s);
    put_index("{\"w\": \"b.safetensors\", \"v\": \"b.safetensors\"}");
    expect(test_folder, PD_ERR_FORMAT, "says that the tensor \"w\" is in \"b.safetensors\"");
    put_index("{\"w\": \"a.safetensors\", \"v\": \"a.safetensors\"}");
    expect(test_folder, PD_ERR_FORMAT, "says that the tensor \"v\" is in \"a.safetensors\"");
    put_index("{\"w\": \"c.safetensors\"}");
    expect(test_folder, PD_ERR_IO, "c.safetensors");
    static const char *const outside[] = {"{\"w\": \"../a.safetensors\"}", "{\"w\": \"/etc/x\"}",
                                          "{\"w\": \"\"}", "{\"w\": 1}"};
    for (size_t i = 0; i < 4; i++) {
        put_index(outside[i]);
        expect(test_folder, PD_ERR_FORMAT, "names no file beside it");
    }
    put_index("[]");
    expect(test_folder, PD_ERR_FORMAT, "is not an index");
    put_file("b.safetensors", ENTRY("F32", "[1]", "[0, 4]"), 4);
    put_index("{\"w\": \"a.safetensors\", \"v\": \"b.safetensors\"}");
    expect(test_folder, PD_ERR_FORMAT, "is there twice");
    unlink(in_folder("model.safetensors.index.json"));
    expect(test_folder, PD_ERR_IO, "model.safetensors");
    put_file("model.safetensors", ENTRY("F16", "[2]", "[0, 4]"), 4);
    assert_int_equal(pd_safetensors_open(test_folder, &s, &err), PD_OK);
    pd_safetensors_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(lying_headers_are_refused),
        cmocka_unit_test(a_folder_of_shards_is_read),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_files);
}
