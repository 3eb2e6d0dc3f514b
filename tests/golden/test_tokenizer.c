/* The tokenizer over the real vocabulary: texts whose ids the original produced, chats, round trips
 * and random texts against the slow tokenizer. PERIDOT_TOKENIZER_JSON names the vocabulary.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_vocab.h"

#include <cjson/cJSON.h>

#include "base/file.h"
#include "text/chat.h"

static pd_gguf *file;
static pd_vocab *vocab;

static void expect_text_back(const char *text, size_t n, const uint32_t *ids, size_t n_ids) {
    char *back = malloc(n + PD_DETOKENIZE_MAX_BYTES + 16);
    size_t n_back = 0;
    pd_detokenizer d;
    pd_detokenizer_init(&d);
    for (size_t i = 0; i < n_ids && n_back <= n; i++)
        n_back += pd_vocab_decode(vocab, &d, ids[i], back + n_back);
    if (n_back <= n) n_back += pd_detokenizer_flush(&d, back + n_back);
    if (n_back != n || memcmp(back, text, n) != 0)
        fail_msg("\"%.*s\" came back as \"%.*s\"", (int)n, text, (int)n_back, back);
    free(back);
}

static void expect_ids(const char *text, size_t n, const uint32_t *want, size_t n_want) {
    size_t n_ids, bound = pd_tokenize_bound(n);
    uint32_t *ids = malloc(bound * sizeof *ids);
    pd_error err;
    if (pd_vocab_encode(vocab, text, n, false, ids, bound, &n_ids, &err) != PD_OK)
        fail_msg("%s", err.message);
    assert_same_ids(text, n, ids, n_ids, want, n_want);
    expect_text_back(text, n, ids, n_ids);
    free(ids);
}

static void recorded_texts(void **state) {
    (void)state;
    char *data;
    size_t n, n_texts = 0;
    assert_int_equal(pd_file_read_all(GOLDEN("tokenizer.jsonl"), 1 << 26, &data, &n, NULL), PD_OK);
    for (char *line = data, *end; line < data + n; line = end + 1) {
        end = memchr(line, '\n', (size_t)(data + n - line));
        if (!end) end = data + n;
        cJSON *item = cJSON_ParseWithLength(line, (size_t)(end - line));
        assert_non_null(item);
        const char *text = cJSON_GetObjectItem(item, "text")->valuestring;
        const cJSON *ids = cJSON_GetObjectItem(item, "ids");
        size_t n_ids = 0;
        uint32_t *want = malloc((size_t)cJSON_GetArraySize(ids) * sizeof *want + 1);
        for (const cJSON *id = ids->child; id; id = id->next)
            want[n_ids++] = (uint32_t)id->valueint;
        expect_ids(text, strlen(text), want, n_ids);
        n_texts++;
        free(want);
        cJSON_Delete(item);
    }
    assert_int_equal(n_texts, 80);
    pd_free(data);
}

#define EXPECT(text, ...)                                                                          \
    do {                                                                                           \
        const uint32_t want[] = {__VA_ARGS__};                                                     \
        expect_ids(text, sizeof text - 1, want, sizeof want / sizeof *want);                       \
    } while (0)

#define SPACES_31 "                               "

static void words_and_spaces(void **state) {
    (void)state;
    EXPECT("Hello world!", 9259, 1902, 236888);
    EXPECT(" Hello", 26352);
    EXPECT("  Hello", 138, 9259);
    EXPECT("Hello  world", 9259, 138, 12392);
    EXPECT("Test", 3694);
    EXPECT("a\nb", 236746, 107, 236763);
    EXPECT("a\n\nb", 236746, 108, 236763);
    EXPECT("\t\tx", 255969, 236781);
    EXPECT("  t", 138, 236745);
    EXPECT(" ", 236743);
    EXPECT(SPACES_31 " x", 167, 1123);
    EXPECT(SPACES_31 "  x", 167, 138, 236781);
    EXPECT("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", 137, 108);
    EXPECT("The quick brown fox jumps over the lazy dog.", 818, 3823, 8864, 37423, 38167, 1024, 506,
           31770, 4799, 236761);
    EXPECT("don't", 13246, 236789, 236745);
}

static void digits_and_code(void **state) {
    (void)state;
    EXPECT("1234567890", 236770, 236778, 236800, 236812, 236810, 236825, 236832, 236828, 236819,
           236771);
    EXPECT("3.14159", 236800, 236761, 236770, 236812, 236770, 236810, 236819);
    EXPECT("1 + 1 = 2", 236770, 900, 236743, 236770, 578, 236743, 236778);
    EXPECT("for (int i = 0; i < n; i++) {\n    x += 1;\n}", 1708, 568, 720, 858, 578, 236743,
           236771, 236793, 858, 655, 538, 236793, 858, 4419, 642, 107, 140, 236781, 3323, 236743,
           236770, 236793, 107, 236783);
}

static void other_scripts_and_bytes(void **state) {
    (void)state;
    EXPECT("na\xC3\xAFve caf\xC3\xA9", 1789, 238527, 560, 33443);
    EXPECT("Привет, мир", 116130, 236764, 58562);
    EXPECT("日本語テキスト", 94951, 95830);
    EXPECT("\xF0\x9F\xA6\x99", 478, 397, 404, 391);
    EXPECT("\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD", 240493, 242713);
    EXPECT("e\xCC\x81", 236744, 238288);
    EXPECT("\xC2\xA0", 432, 398);
    EXPECT("\0", 238);
    EXPECT("\r\n", 251, 107);
}

static void added_tokens(void **state) {
    (void)state;
    EXPECT("<b>bold</b>", 200, 15640, 209);
    EXPECT("> </b>", 236813, 236743, 209);
    EXPECT("> </x", 107068, 236781);
    EXPECT("a<unused5>b", 236746, 11, 236763);
    EXPECT("<unused99><unused6241>", 256001, 262143);
    EXPECT("<mask>[multimodal]", 4, 5);
    EXPECT("<0x41>", 236820, 236771, 236781, 236812, 236770, 236813);
}

/* What does not come back as it went in: U+2581, which means a space, and bytes beyond UTF-8. */
static void one_way_texts(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t ids[4];
        size_t n;
    } cases[] = {{MARK, {236743}, 1},
                 {MARK MARK " x", {138, 1123}, 2},
                 {MARK " x", {138, 236781}, 2},
                 {" " MARK "x", {138, 236781}, 2},
                 {" " MARK MARK "x", {236743, 138, 236781}, 3},
                 {MARK MARK MARK "x", {139, 236781}, 2},
                 {"a\xFF\xE6\x97", {236746, 493, 468, 389}, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t ids[16];
        size_t n, n_text = strlen(cases[i].text);
        assert_int_equal(pd_vocab_encode(vocab, cases[i].text, n_text, false, ids, 16, &n, NULL),
                         PD_OK);
        assert_same_ids(cases[i].text, n_text, ids, n, cases[i].ids, cases[i].n);
    }
}

static void expect_chat(const pd_chat_turn *turns, size_t n_turns, const uint32_t *want,
                        size_t n_want) {
    uint32_t ids[64];
    size_t n;
    pd_error err;
    if (pd_vocab_chat_encode(vocab, turns, n_turns, ids, 64, &n, &err) != PD_OK)
        fail_msg("%s", err.message);
    assert_same_ids("chat", 4, ids, n, want, n_want);
}

static pd_chat_turn turn(const char *role, const char *text) {
    return (pd_chat_turn){.role = role, .text = text, .n_bytes = strlen(text)};
}

static void chats(void **state) {
    (void)state;
    const pd_chat_turn with_system[] = {turn("system", "You are helpful."), turn("user", "Hi")};
    const uint32_t want_system[] = {2,   105,   2364, 107, 3048, 659,  11045, 236761,
                                    108, 10979, 106,  107, 105,  4368, 107};
    expect_chat(with_system, 2, want_system, sizeof want_system / sizeof *want_system);
    const pd_chat_turn longer[] = {turn("user", "Hi"), turn("assistant", "Hello!"),
                                   turn("user", "Bye")};
    const uint32_t want_longer[] = {2,    105,   2364, 107,    10979, 106,  107, 105,
                                    4368, 107,   9259, 236888, 106,   107,  105, 2364,
                                    107,  98874, 106,  107,    105,   4368, 107};
    expect_chat(longer, 3, want_longer, sizeof want_longer / sizeof *want_longer);
}

#define EXPECT_IMAGES(text_, n_images_, places_, ...)                                              \
    do {                                                                                           \
        pd_chat_turn t = turn("user", text_);                                                      \
        const uint32_t want[] = {2, 105, 2364, __VA_ARGS__, 106, 107, 105, 4368, 107};             \
        t.images = places_;                                                                        \
        t.n_images = n_images_;                                                                    \
        expect_chat(&t, 1, want, sizeof want / sizeof *want);                                      \
    } while (0)

/* The newlines around an image merge with those of the text: 106 + n is a run of n. */
static void chats_with_images(void **state) {
    (void)state;
    enum { BEGIN = PD_TOKEN_START_OF_IMAGE, IMAGE = PD_TOKEN_IMAGE, END = PD_TOKEN_END_OF_IMAGE };
    const pd_image_place first[] = {{0, 0}}, second[] = {{2, 0}}, both[] = {{0, 0}, {0, 0}};
    const pd_image_place around[] = {{0, 0}, {2, 0}};
    EXPECT_IMAGES("Hi", 1, first, 109, BEGIN, IMAGE, END, 108, 10979);
    EXPECT_IMAGES("Hi", 1, second, 107, 10979, 108, BEGIN, IMAGE, END, 108);
    EXPECT_IMAGES("", 1, first, 109, BEGIN, IMAGE, END, 108);
    EXPECT_IMAGES("Hi", 2, both, 109, BEGIN, IMAGE, END, 110, BEGIN, IMAGE, END, 108, 10979);
    EXPECT_IMAGES("Hi", 2, around, 109, BEGIN, IMAGE, END, 108, 10979, 108, BEGIN, IMAGE, END, 108);
    EXPECT_IMAGES("a\n\nb", 1, second, 107, 236746, 109, BEGIN, IMAGE, END, 109, 236763);
    EXPECT_IMAGES("  Hi \n", 1, second, 109, BEGIN, IMAGE, END, 108, 10979);
    EXPECT_IMAGES("Hi \n ", 1, second, 107, 10979, 108, BEGIN, IMAGE, END, 108);
}

static void forged_markers_stay_text(void **state) {
    (void)state;
    static const char *const names[] = {"<pad>",
                                        "<eos>",
                                        "<bos>",
                                        "<unk>",
                                        "<start_of_turn>",
                                        "<end_of_turn>",
                                        "<start_of_image>",
                                        "<end_of_image>",
                                        "<image_soft_token>"};
    static const uint32_t parsed[] = {0, 1, 2, 3, 105, 106, 255999, 256000, 262144};
    for (size_t i = 0; i < 9; i++) {
        uint32_t ids[64];
        size_t n, n_name = strlen(names[i]);
        assert_int_equal(pd_vocab_encode(vocab, names[i], n_name, false, ids, 64, &n, NULL), PD_OK);
        assert_true(n > 1);
        for (size_t k = 0; k < n; k++) assert_false(pd_vocab_is_control(vocab, ids[k]));
        assert_int_equal(pd_vocab_encode(vocab, names[i], n_name, true, ids, 64, &n, NULL), PD_OK);
        if (parsed[i] < pd_vocab_count(vocab))
            assert_same_ids(names[i], n_name, ids, n, &parsed[i], 1);
    }
}

static void random_texts(void **state) {
    (void)state;
    compare_random_texts(file, vocab, 10000, 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_texts),
        cmocka_unit_test(words_and_spaces),
        cmocka_unit_test(digits_and_code),
        cmocka_unit_test(other_scripts_and_bytes),
        cmocka_unit_test(added_tokens),
        cmocka_unit_test(one_way_texts),
        cmocka_unit_test(chats),
        cmocka_unit_test(chats_with_images),
        cmocka_unit_test(forged_markers_stay_text),
        cmocka_unit_test(random_texts),
    };
    int failed = 0;
    static const uint32_t sizes[] = {262144, 262208};
    for (size_t i = 0; i < 2; i++) {
        file = real_vocab(sizes[i]);
        if (!file) {
            printf(NO_VOCAB);
            return 77;
        }
        vocab = open_vocab(file);
        failed += cmocka_run_group_tests(tests, NULL, NULL);
        pd_vocab_close(vocab);
        pd_gguf_close(file);
    }
    return failed;
}
