/* Streaming decoding: characters split over byte tokens, broken sequences, hidden tokens, bounds.
 * Uses the pruned vocabulary of a golden model, whose ids below 494 are Gemma's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_golden_vocab.h"

enum { BYTE_0 = 238 };
#define BAD "\xEF\xBF\xBD"

/* Decodes bytes as byte tokens (an id of 1000 + x stands for token x) and flushes. */
static void expect_text(const uint32_t *ids, size_t n, bool show_special, const char *want) {
    char text[1024];
    size_t n_text = 0;
    pd_detokenizer d;
    pd_detokenizer_init(&d);
    d.show_special = show_special;
    for (size_t i = 0; i < n; i++)
        n_text += pd_vocab_decode(vocab, &d, ids[i] >= 1000 ? ids[i] - 1000 : BYTE_0 + ids[i],
                                  text + n_text);
    n_text += pd_detokenizer_flush(&d, text + n_text);
    text[n_text] = '\0';
    assert_string_equal(text, want);
    assert_int_equal(n_text, strlen(want));
}

#define EXPECT(want, ...)                                                                          \
    do {                                                                                           \
        const uint32_t ids_[] = {__VA_ARGS__};                                                     \
        expect_text(ids_, sizeof ids_ / sizeof *ids_, false, want);                                \
    } while (0)

static void complete_characters_come_out(void **state) {
    (void)state;
    EXPECT("A\xC3\xA9", 'A', 0xC3, 0xA9);
    EXPECT("\xF0\x9F\xA6\x99", 0xF0, 0x9F, 0xA6, 0x99);
    EXPECT("\xE6\x97\xA5\xE6\x9C\xAC", 0xE6, 0x97, 0xA5, 0xE6, 0x9C, 0xAC);
}

static void characters_come_out_whole(void **state) {
    (void)state;
    pd_detokenizer d;
    char out[PD_DETOKENIZE_MAX_BYTES];
    pd_detokenizer_init(&d);
    assert_int_equal(pd_vocab_decode(vocab, &d, BYTE_0 + 0xF0, out), 0);
    assert_int_equal(pd_vocab_decode(vocab, &d, BYTE_0 + 0x9F, out), 0);
    assert_int_equal(pd_vocab_decode(vocab, &d, BYTE_0 + 0xA6, out), 0);
    assert_int_equal(pd_vocab_decode(vocab, &d, BYTE_0 + 0x99, out), 4);
    assert_memory_equal(out, "\xF0\x9F\xA6\x99", 4);
    assert_int_equal(pd_detokenizer_flush(&d, out), 0);
}

static void broken_sequences_become_replacements(void **state) {
    (void)state;
    EXPECT(BAD, 0xFF);
    EXPECT(BAD BAD, 0x80, 0xBF);
    EXPECT(BAD BAD "A", 0xE6, 0x97, 'A');
    EXPECT(BAD "\xC3\xA9", 0xC3, 0xC3, 0xA9);
    EXPECT(BAD BAD BAD, 0xE0, 0x80, 0x80);           /* overlong */
    EXPECT(BAD BAD BAD, 0xED, 0xA0, 0x80);           /* a surrogate */
    EXPECT(BAD BAD BAD BAD, 0xF4, 0x90, 0x80, 0x80); /* above U+10FFFF */
    EXPECT(BAD BAD BAD, 0xF0, 0x9F, 0xA6);           /* the end comes first */
    EXPECT(BAD BAD "\n", 0xE6, 0x97, 1000 + 107);    /* another token comes first */
    EXPECT(BAD, 0xE6, 1000 + PD_TOKEN_END_OF_TURN);  /* even a hidden one */
}

static void control_tokens_hide(void **state) {
    (void)state;
    const uint32_t ids[] = {1000 + PD_TOKEN_BOS, 1000 + PD_TOKEN_START_OF_TURN, 1000 + 107,
                            1000 + PD_TOKEN_END_OF_TURN};
    expect_text(ids, 4, false, "\n");
    expect_text(ids, 4, true, "<bos><start_of_turn>\n<end_of_turn>");
    EXPECT("<unused0>[multimodal]<mask>", 1006, 1005, 1004);
    EXPECT("", 1000000000u);
}

static void pieces_keep_their_spaces(void **state) {
    (void)state;
    EXPECT(" t", 1494);
    EXPECT("in", 1495);
    EXPECT("  ", 1138);
    EXPECT("                               ", 1167);
    EXPECT("\n\n\n", 1109);
}

static void texts_of_tokens(void **state) {
    (void)state;
    pd_string a = pd_vocab_text(vocab, BYTE_0 + 'a');
    assert_int_equal(a.n, 1);
    assert_int_equal(a.data[0], 'a');
    assert_int_equal(pd_vocab_text(vocab, pd_vocab_count(vocab)).n, 0);
    assert_true(pd_vocab_is_control(vocab, PD_TOKEN_START_OF_TURN));
    assert_true(pd_vocab_is_control(vocab, 498)); /* <start_of_image> in this list */
    assert_false(pd_vocab_is_control(vocab, 107));
    assert_false(pd_vocab_is_control(vocab, 6));
    assert_false(pd_vocab_is_control(vocab, UINT32_MAX));
}

static void stop_tokens(void **state) {
    (void)state;
    assert_true(pd_token_is_stop(PD_TOKEN_EOS));
    assert_true(pd_token_is_stop(PD_TOKEN_END_OF_TURN));
    assert_false(pd_token_is_stop(PD_TOKEN_START_OF_TURN));
    assert_false(pd_token_is_stop(212)); /* the HTML tag </s> */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complete_characters_come_out),
        cmocka_unit_test(characters_come_out_whole),
        cmocka_unit_test(broken_sequences_become_replacements),
        cmocka_unit_test(control_tokens_hide),
        cmocka_unit_test(pieces_keep_their_spaces),
        cmocka_unit_test(texts_of_tokens),
        cmocka_unit_test(stop_tokens),
    };
    return cmocka_run_group_tests(tests, open_golden_vocab, close_golden_vocab);
}
