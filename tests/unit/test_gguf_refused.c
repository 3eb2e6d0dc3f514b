/* Every check of the GGUF reader, one damaged file each.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_gguf_bytes.h"

/* Writes b, opens it, and expects the status and the words in the message. Frees b. */
static void expect(pd_bytes *b, pd_status status, const char *words) {
    pd_gguf *g = NULL;
    pd_error err = {0};
    put_file("case.gguf", b);
    pd_status found = pd_gguf_open(in_folder("case.gguf"), &g, &err);
    if (found != status || (words && !strstr(err.message, words)))
        fail_msg("%s: \"%s\", expected %s and \"%s\"", pd_status_name(found), err.message,
                 pd_status_name(status), words ? words : "");
    assert_int_equal(found == PD_OK, g != NULL);
    pd_gguf_close(g);
}

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_damage),
        cmocka_unit_test(test_value_damage),
        cmocka_unit_test(test_alignment_damage),
        cmocka_unit_test(test_tensor_damage),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
