/* Reading a tokenizer.json and a tokenizer.model: small ones written here, and damaged ones.
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

static void put_sp_model(char *path, const uint8_t *data, size_t n) {
    temp_path(path, "tokenizer.model");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

/* The special tokens, a trainer's setting among them, two spaces (user-defined), U+2581 t
 * (ordinary), <0x0A> (byte), <unused3> (user-defined in the file). */
static size_t make_sp_model(uint8_t *out) {
    static const struct {
        const char *text;
        float score;
        uint8_t type;
    } pieces[] = {{"<pad>", 0, 3},
                  {"<eos>", 0, 3},
                  {"<bos>", 0, 3},
                  {"<unk>", 0, 2},
                  {"<mask>", 0, 4},
                  {"\xE2\x96\x81\xE2\x96\x81", 0, 4},
                  {"\xE2\x96\x81t", -1.5f, 1},
                  {"<0x0A>", 0, 6},
                  {"<unused3>", 0, 4}};
    static const uint8_t setting[] = {0x12, 3, 0x18, 0x80, 1},
                         fixed[] = {0x19, 1, 2, 3, 4, 5, 6, 7, 8};
    size_t n = 0;
    for (size_t i = 0; i < 9; i++) {
        size_t length = strlen(pieces[i].text);
        out[n++] = 1 << 3 | 2;
        out[n++] = (uint8_t)(2 + length + 5 + 2);
        out[n++] = 1 << 3 | 2;
        out[n++] = (uint8_t)length;
        memcpy(out + n, pieces[i].text, length);
        n += length;
        out[n++] = 2 << 3 | 5;
        memcpy(out + n, &pieces[i].score, 4);
        n += 4;
        out[n++] = 3 << 3;
        out[n++] = pieces[i].type;
        const uint8_t *between = i ? fixed : setting;
        size_t n_between = i ? sizeof fixed : sizeof setting;
        if (i < 2) memcpy(out + n, between, n_between);
        if (i < 2) n += n_between;
    }
    return n;
}

static void a_sentencepiece_model_is_read(void **state) {
    (void)state;
    char path[64];
    uint8_t data[256];
    pd_hf_tokenizer t;
    pd_error err;
    put_sp_model(path, data, make_sp_model(data));
    pd_status status = pd_sp_model_read(path, &t, &err);
    unlink(path);
    if (status != PD_OK) fail_msg("%s", err.message);
    assert_int_equal(t.n, 9);
    expect_token(&t, 3, "<unk>", -1000, SLOW_CONTROL);
    expect_token(&t, 4, "<mask>", -1000, SLOW_CONTROL);
    expect_token(&t, 0, "<pad>", -1000, SLOW_CONTROL);
    expect_token(&t, 5, "  ", -1000, SLOW_USER);
    expect_token(&t, 6, "\xE2\x96\x81t", -1.5f, SLOW_NORMAL);
    expect_token(&t, 7, "<0x0A>", 0, SLOW_BYTE);
    expect_token(&t, 8, "<unused3>", -1000, SLOW_CONTROL);
    pd_hf_tokenizer_free(&t);
}

/* A cut between two fields leaves a shorter list, any other an error; no changed byte may do more
 * than change the list. */
static void a_damaged_model_ends_in_an_error_or_a_list(void **state) {
    (void)state;
    char path[64];
    uint8_t data[256];
    pd_hf_tokenizer t;
    size_t n = make_sp_model(data), n_whole = 0;
    for (size_t cut = 1; cut < n; cut++) {
        put_sp_model(path, data, cut);
        pd_status status = pd_sp_model_read(path, &t, NULL);
        assert_true(status == PD_OK || status == PD_ERR_FORMAT);
        n_whole += status == PD_OK;
        pd_hf_tokenizer_free(&t);
    }
    assert_int_equal(n_whole, 10); /* behind eight pieces and two other fields */
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            data[i] ^= (uint8_t)(1 << bit);
            put_sp_model(path, data, n);
            pd_status status = pd_sp_model_read(path, &t, NULL);
            assert_true(status == PD_OK || status == PD_ERR_FORMAT || status == PD_ERR_UNSUPPORTED);
            for (uint32_t k = 0; k < t.n; k++) assert_non_null(t.tokens[k].data);
            pd_hf_tokenizer_free(&t);
            data[i] ^= (uint8_t)(1 << bit);
        }
    unlink(path);
    assert_int_equal(pd_sp_model_read("/nonexistent/tokenizer.model", &t, NULL), PD_ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_read),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(a_sentencepiece_model_is_read),
        cmocka_unit_test(a_damaged_model_ends_in_an_error_or_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
