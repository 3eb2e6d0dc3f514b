/* Encoding over pruned vocabularies, compared with the slow tokenizer of support_vocab.h; limits,
 * long texts, and other merge orders than that of the ids.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_golden_vocab.h"

#include "base/memory.h"
#include "base/thread.h"

static void random_texts_agree(void **state) {
    (void)state;
    compare_random_texts(file, vocab, 20000, 1);
}

/* Texts long enough for the word cache: words come again in other surroundings. */
static void long_texts_agree(void **state) {
    (void)state;
    enum { N = 6000, PARTS = 12 };
    static char text[N + 256], parts[PARTS][256];
    static uint32_t got[N + 256], want[N + 256];
    slow_vocab slow = slow_open(file);
    rng r = {5};
    for (int i = 0; i < 20; i++) {
        size_t n = 0, n_parts[PARTS], n_got;
        for (int k = 0; k < PARTS; k++) n_parts[k] = random_text(&r, vocab, parts[k]);
        while (n < N) {
            uint32_t k = rng_below(&r, PARTS);
            memcpy(text + n, parts[k], n_parts[k]);
            n += n_parts[k];
            text[n++] = "\n ,x"[rng_below(&r, 4)];
        }
        assert_int_equal(pd_vocab_encode(vocab, text, n, false, got, N + 256, &n_got, NULL), PD_OK);
        size_t n_want = slow_encode(&slow, text, n, false, want);
        assert_same_ids("a long text", 11, got, n_got, want, n_want);
    }
    slow_close(&slow);
}

/* The token list of the golden model, to be changed and written again. */
static pd_hf_tokenizer copy_tokens(void) {
    const pd_gguf_value *tokens = pd_gguf_find(file, "tokenizer.ggml.tokens");
    const pd_gguf_value *types = pd_gguf_find(file, "tokenizer.ggml.token_type");
    pd_hf_tokenizer t = {.n = (uint32_t)tokens->count};
    t.tokens = pd_arena_alloc(&t.arena, t.n, sizeof *t.tokens);
    t.scores = pd_arena_alloc(&t.arena, t.n, sizeof *t.scores);
    t.types = pd_arena_alloc(&t.arena, t.n, sizeof *t.types);
    assert_non_null(t.types);
    uint64_t cursor = 0;
    for (uint32_t i = 0; i < t.n; i++) {
        t.tokens[i] = pd_gguf_string_next(tokens, &cursor);
        t.scores[i] = -(float)i;
    }
    memcpy(t.types, types->data, t.n * sizeof *t.types);
    return t;
}

/* Pieces that overlap themselves: which pair goes first decides, so the leftmost must. */
static void ties_go_to_the_left(void **state) {
    (void)state;
    static const char *const pieces[] = {"aa", "ea", "aaaa", "aea", "aaa", "ee"};
    pd_hf_tokenizer t = copy_tokens();
    for (uint32_t i = 0; i < 6; i++)
        t.tokens[t.n - 6 + i] = (pd_string){pieces[i], strlen(pieces[i])};
    pd_gguf *g = gguf_of_tokens(&t);
    pd_vocab *v = open_vocab(g);
    slow_vocab slow = slow_open(g);
    rng r = {13};
    for (uint32_t i = 0; i < 2000; i++) {
        char text[200];
        uint32_t got[200], want[200];
        size_t n = 1 + rng_below(&r, i % 10 ? 30 : 199), n_got;
        for (size_t k = 0; k < n; k++) text[k] = "ae"[rng_below(&r, 4) == 0];
        assert_int_equal(pd_vocab_encode(v, text, n, false, got, 200, &n_got, NULL), PD_OK);
        size_t n_want = slow_encode(&slow, text, n, false, want);
        assert_same_ids(text, n, got, n_got, want, n_want);
    }
    slow_close(&slow);
    pd_vocab_close(v);
    pd_gguf_close(g);
    pd_hf_tokenizer_free(&t);
}

/* Tokens changing places while their scores go with them must not change any text's pieces. */
static void scores_rule_over_ids(void **state) {
    (void)state;
    pd_hf_tokenizer t = copy_tokens();
    uint32_t *old_id = pd_arena_alloc(&t.arena, t.n, sizeof *old_id);
    for (uint32_t i = 0; i < t.n; i++) old_id[i] = i;
    rng r = {7};
    for (uint32_t i = t.n - 1; i > 500; i--) {
        uint32_t k = 500 + rng_below(&r, i - 500 + 1), id = old_id[i];
        pd_string s = t.tokens[i];
        float score = t.scores[i];
        t.tokens[i] = t.tokens[k];
        t.scores[i] = t.scores[k];
        old_id[i] = old_id[k];
        t.tokens[k] = s;
        t.scores[k] = score;
        old_id[k] = id;
    }
    pd_gguf *g = gguf_of_tokens(&t);
    pd_vocab *shuffled = open_vocab(g);
    for (uint32_t i = 0; i < 2000; i++) {
        char text[256];
        uint32_t got[512], want[512];
        size_t n = random_text(&r, vocab, text), n_got, n_want;
        assert_int_equal(pd_vocab_encode(shuffled, text, n, true, got, 512, &n_got, NULL), PD_OK);
        assert_int_equal(pd_vocab_encode(vocab, text, n, true, want, 512, &n_want, NULL), PD_OK);
        for (size_t k = 0; k < n_got; k++) got[k] = old_id[got[k]];
        assert_same_ids(text, n, got, n_got, want, n_want);
    }
    pd_vocab_close(shuffled);
    pd_gguf_close(g);
    pd_hf_tokenizer_free(&t);
}

/* Long words take another way through merging; "in" and "er" repeat without a break. */
static void long_words_agree(void **state) {
    (void)state;
    slow_vocab slow = slow_open(file);
    rng r = {11};
    for (uint32_t i = 0; i < 60; i++) {
        char text[400];
        uint32_t got[400], want[400];
        size_t n = 40 + rng_below(&r, 350), n_got;
        for (size_t k = 0; k < n; k++) text[k] = "eintraosh"[rng_below(&r, 2 + i % 8)];
        assert_int_equal(pd_vocab_encode(vocab, text, n, false, got, 400, &n_got, NULL), PD_OK);
        size_t n_want = slow_encode(&slow, text, n, false, want);
        assert_same_ids(text, n, got, n_got, want, n_want);
    }
    slow_close(&slow);
}

/* A megabyte without a space: quadratic merging would not return. */
static void huge_words_finish(void **state) {
    (void)state;
    size_t n = 1 << 20, n_ids;
    char *text = malloc(n);
    uint32_t *ids = malloc(pd_tokenize_bound(n) * sizeof *ids);
    for (size_t i = 0; i < n; i++) text[i] = "the"[i % 3];
    assert_int_equal(
        pd_vocab_encode(vocab, text, n, false, ids, pd_tokenize_bound(n), &n_ids, NULL), PD_OK);
    size_t n_bytes = 0;
    for (size_t i = 0; i < n_ids; i++) n_bytes += pd_vocab_text(vocab, ids[i]).n;
    assert_int_equal(n_bytes, n);
    free(text);
    free(ids);
}

static void too_little_room_tells_the_size(void **state) {
    (void)state;
    const char text[] = "\n\xFF\xFEin\n";
    uint32_t ids[8] = {0};
    size_t n_ids;
    pd_error err;
    assert_int_equal(pd_vocab_encode(vocab, text, 6, false, NULL, 0, &n_ids, &err),
                     PD_ERR_ARGUMENT);
    assert_int_equal(n_ids, 5);
    assert_int_equal(pd_vocab_encode(vocab, text, 6, false, ids, 4, &n_ids, &err), PD_ERR_ARGUMENT);
    assert_int_equal(n_ids, 5);
    assert_int_equal(ids[4], 0);
    assert_int_equal(pd_vocab_encode(vocab, text, 6, false, ids, 5, &n_ids, &err), PD_OK);
    const uint32_t want[] = {107, 238 + 0xFF, 238 + 0xFE, 495, 107};
    assert_same_ids(text, 6, ids, n_ids, want, 5);
    assert_int_equal(pd_vocab_encode(vocab, NULL, 0, false, NULL, 0, &n_ids, &err), PD_OK);
    assert_int_equal(n_ids, 0);
}

static void every_byte_survives(void **state) {
    (void)state;
    char text[256];
    uint32_t ids[256];
    size_t n_ids, n = 0;
    for (int i = 0; i < 256; i++) text[i] = (char)i;
    assert_int_equal(pd_vocab_encode(vocab, text, 256, false, ids, 256, &n_ids, NULL), PD_OK);
    for (size_t i = 0; i < n_ids; i++) {
        pd_string s = pd_vocab_text(vocab, ids[i]);
        assert_memory_equal(s.data, text + n, s.n);
        n += s.n;
    }
    assert_int_equal(n, 256);
}

static void plain_text_never_yields_control_tokens(void **state) {
    (void)state;
    static const char text[] = "<bos><eos><pad><unk><start_of_turn><end_of_turn>"
                               "<start_of_image><end_of_image><image_soft_token>";
    uint32_t ids[256];
    size_t n_ids;
    assert_int_equal(pd_vocab_encode(vocab, text, sizeof text - 1, false, ids, 256, &n_ids, NULL),
                     PD_OK);
    for (size_t i = 0; i < n_ids; i++) assert_false(pd_vocab_is_control(vocab, ids[i]));
    assert_int_equal(pd_vocab_encode(vocab, text, 48, true, ids, 256, &n_ids, NULL), PD_OK);
    const uint32_t want[] = {2, 1, 0, 3, 105, 106};
    assert_same_ids(text, 48, ids, n_ids, want, 6);
}

/* ---- lists that cannot be used ------------------------------------------------------------- */

static void expect_refusal(const pd_hf_tokenizer *t, const char *part) {
    pd_gguf *g = gguf_of_tokens(t);
    pd_vocab *v;
    pd_error err;
    assert_int_equal(pd_vocab_open(g, &v, &err), PD_ERR_MODEL);
    assert_null(v);
    assert_non_null(strstr(err.message, part));
    pd_gguf_close(g);
}

static void bad_lists_are_refused(void **state) {
    (void)state;
    static char long_text[300];
    memset(long_text, 'x', sizeof long_text);
    pd_hf_tokenizer t = copy_tokens();
    pd_string saved = t.tokens[510];
    t.tokens[510] = (pd_string){"a\xFF", 2};
    expect_refusal(&t, "token 510 is not UTF-8");
    t.tokens[510] = (pd_string){long_text, sizeof long_text};
    expect_refusal(&t, "token 510 has 300 bytes");
    t.tokens[510] = saved;
    t.tokens[300] = saved;
    expect_refusal(&t, "no byte token <0x3E>");
    pd_hf_tokenizer_free(&t);
}

/* ---- threads ------------------------------------------------------------------------------- */

typedef struct encoding {
    pd_vocab *v;
    uint32_t ids[4096];
    size_t n_ids;
} encoding;

static void encode_in_thread(void *ctx) {
    encoding *e = ctx;
    static const char text[] = "in the on there are of and to the thing is in an era of the air ";
    char all[sizeof text * 40];
    size_t n = 0;
    for (int i = 0; i < 40; i++, n += sizeof text - 1) memcpy(all + n, text, sizeof text - 1);
    if (pd_vocab_encode(e->v, all, n, false, e->ids, 4096, &e->n_ids, NULL) != PD_OK) e->n_ids = 0;
}

static void threads_share_a_vocabulary(void **state) {
    (void)state;
    enum { N = 4 };
    static encoding e[N];
    pd_thread *threads[N];
    pd_vocab *fresh = open_vocab(file);
    for (int i = 0; i < N; i++) {
        e[i].v = fresh;
        assert_int_equal(pd_thread_start(encode_in_thread, &e[i], &threads[i], NULL), PD_OK);
    }
    for (int i = 0; i < N; i++) pd_thread_join(threads[i]);
    assert_true(e[0].n_ids > 40);
    for (int i = 1; i < N; i++) assert_same_ids("", 0, e[i].ids, e[i].n_ids, e[0].ids, e[0].n_ids);
    pd_vocab_close(fresh);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_texts_agree),
        cmocka_unit_test(long_texts_agree),
        cmocka_unit_test(ties_go_to_the_left),
        cmocka_unit_test(scores_rule_over_ids),
        cmocka_unit_test(long_words_agree),
        cmocka_unit_test(huge_words_finish),
        cmocka_unit_test(too_little_room_tells_the_size),
        cmocka_unit_test(every_byte_survives),
        cmocka_unit_test(plain_text_never_yields_control_tokens),
        cmocka_unit_test(bad_lists_are_refused),
        cmocka_unit_test(threads_share_a_vocabulary),
    };
    return cmocka_run_group_tests(tests, open_golden_vocab, close_golden_vocab);
}
