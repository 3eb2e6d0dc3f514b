/* GGUF in several files: opened by the first one's name, and what does not belong together.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_gguf_bytes.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
