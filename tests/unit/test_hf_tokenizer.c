/* Reading a tokenizer.json: a small one written here, and files that are not one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_vocab.h"

static pd_status read_json(const char *json, pd_hf_tokenizer *t, pd_error *err) {
    char path[64];
    temp_path(path, "tokenizer.json");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(json, f);
    fclose(f);
    pd_status status = pd_hf_tokenizer_read(path, t, err);
    unlink(path);
    return status;
}

static void expect_token(const pd_hf_tokenizer *t, uint32_t id, const char *text, float score,
                         int32_t type) {
    assert_int_equal(t->tokens[id].n, strlen(text));
    assert_memory_equal(t->tokens[id].data, text, strlen(text));
    assert_true(t->scores[id] == score);
    assert_int_equal(t->types[id], type);
}

static void a_list_is_read(void **state) {
    (void)state;
    pd_hf_tokenizer t;
    pd_error err;
    const char *json =
        "{\"added_tokens\": [{\"id\": 0, \"content\": \"<pad>\", \"special\": true},"
        "  {\"id\": 1, \"content\": \"\xE2\x96\x81\xE2\x96\x81\", \"special\": false},"
        "  {\"id\": 2, \"content\": \"<unused3>\", \"special\": false},"
        "  {\"id\": 9, \"content\": \"<image_soft_token>\", \"special\": true}],"
        " \"model\": {\"type\": \"BPE\", \"vocab\": {\"<pad>\": 0, \"\\u2581\\u2581\": 1, "
        "  \"<unused3>\": 2, \"<0x0A>\": 4, \"\\u2581t\": 3}, \"merges\": []}}";
    if (read_json(json, &t, &err) != PD_OK) fail_msg("%s", err.message);
    assert_int_equal(t.n, 5);
    expect_token(&t, 0, "<pad>", -1000, SLOW_CONTROL);
    expect_token(&t, 1, "  ", -1000, SLOW_USER);
    expect_token(&t, 2, "<unused3>", -1000, SLOW_CONTROL);
    expect_token(&t, 3, "\xE2\x96\x81t", 0, SLOW_NORMAL);
    expect_token(&t, 4, "<0x0A>", 0, SLOW_BYTE);
    assert_int_equal(pd_hf_tokenizer_resize(&t, 7, &err), PD_OK);
    expect_token(&t, 3, "\xE2\x96\x81t", 0, SLOW_NORMAL);
    expect_token(&t, 6, "[PAD6]", -1000, 5);
    assert_int_equal(pd_hf_tokenizer_resize(&t, 6, &err), PD_ERR_ARGUMENT);
    pd_hf_tokenizer_free(&t);
}

static void other_files_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *json;
        pd_status status;
    } cases[] = {
        {"{\"model\": ", PD_ERR_FORMAT},
        {"[]", PD_ERR_UNSUPPORTED},
        {"{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 0}}}", PD_ERR_UNSUPPORTED},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": [\"a\"]}}", PD_ERR_UNSUPPORTED},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {}}}", PD_ERR_UNSUPPORTED},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 1}}}", PD_ERR_UNSUPPORTED},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": -1}}}", PD_ERR_UNSUPPORTED},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 0}}}", PD_ERR_UNSUPPORTED},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": \"0\"}}}", PD_ERR_UNSUPPORTED},
        {"", PD_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_hf_tokenizer t;
        pd_error err;
        assert_int_equal(read_json(cases[i].json, &t, &err), cases[i].status);
        assert_int_equal(t.n, 0);
    }
    pd_hf_tokenizer t;
    assert_int_equal(pd_hf_tokenizer_read("/nonexistent/tokenizer.json", &t, NULL), PD_ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_read),
        cmocka_unit_test(other_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
