/* What a model's file says of its special tokens: it is used, or refused in a sentence. Every case
 * is the golden model with one setting or token changed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/log.h"
#include "engine/model.h"
#include "support_vocab.h"

typedef struct change { /* NULL members: as the golden file has it */
    const char *key;    /* is left out, and written by `write` */
    void (*write)(pd_gguf_writer *w);
    uint32_t token; /* with `text`: a token spelled otherwise */
    const char *text;
} change;

static char path[64];

static void copy_tokens(const pd_gguf_value *v, const change *c, pd_gguf_writer *w) {
    pd_string *texts = calloc(v->count, sizeof *texts);
    uint64_t cursor = 0;
    assert_non_null(texts);
    for (uint64_t i = 0; i < v->count; i++) texts[i] = pd_gguf_string_next(v, &cursor);
    texts[c->token] = (pd_string){c->text, strlen(c->text)};
    pd_gguf_write_strings(w, "tokenizer.ggml.tokens", texts, v->count);
    free(texts);
}

static bool is_key(const pd_gguf_value *v, const char *key) {
    return key && v->key.n == strlen(key) && memcmp(v->key.data, key, v->key.n) == 0;
}

/* Writes the changed model to `path`. */
static void make_model(const change *c) {
    pd_gguf *g = open_gguf(GOLDEN("small-q4_0.gguf"));
    pd_gguf_writer *w;
    pd_error err;
    if (pd_gguf_writer_open(path, &w, &err) != PD_OK) fail_msg("%s", err.message);
    for (uint64_t i = 0; i < pd_gguf_value_count(g); i++) {
        const pd_gguf_value *v = pd_gguf_value_at(g, i);
        if (is_key(v, c->key)) continue;
        if (c->text && is_key(v, "tokenizer.ggml.tokens"))
            copy_tokens(v, c, w);
        else
            pd_gguf_write_value(w, v);
    }
    if (c->write) c->write(w);
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++) {
        const pd_tensor *t = pd_gguf_tensor_at(g, i);
        pd_gguf_write_tensor(w, t->name, t->type, t->n_dims, t->ne);
    }
    pd_gguf_begin_data(w);
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++)
        pd_gguf_write_data(w, pd_gguf_tensor_at(g, i)->data, pd_gguf_tensor_at(g, i)->n_bytes);
    if (pd_gguf_writer_commit(w, &err) != PD_OK) fail_msg("%s", err.message);
    pd_gguf_close(g);
}

static pd_model *open_changed(const change *c, bool vocab_only) {
    pd_model_desc desc = {.device = "cpu", .vocab_only = vocab_only};
    pd_model *model;
    pd_error err;
    make_model(c);
    if (pd_model_open(path, &desc, &model, &err) != PD_OK) fail_msg("%s", err.message);
    return model;
}

/* ---- what is used --------------------------------------------------------------------------- */

static void expect_ids(const pd_model *model, bool no_bos, size_t n_expected,
                       const uint32_t *expected) {
    pd_tokenize_desc desc = {.no_bos = no_bos};
    uint32_t ids[8];
    size_t n;
    pd_error err;
    if (pd_tokenize(model, "\n", 1, &desc, ids, 8, &n, &err) != PD_OK) fail_msg("%s", err.message);
    assert_int_equal(n, n_expected);
    assert_memory_equal(ids, expected, n * sizeof *ids);
    assert_true(n <= pd_tokenize_bound(1));
    for (size_t room = 0; room < n; room++) {
        size_t needed;
        assert_int_equal(pd_tokenize(model, "\n", 1, &desc, ids, room, &needed, NULL),
                         PD_ERR_ARGUMENT);
        assert_int_equal(needed, n);
    }
}

static void no_bos(pd_gguf_writer *w) {
    pd_gguf_write_bool(w, "tokenizer.ggml.add_bos_token", false);
}
static void with_eos(pd_gguf_writer *w) {
    pd_gguf_write_bool(w, "tokenizer.ggml.add_eos_token", true);
}
static void bos_500(pd_gguf_writer *w) {
    pd_gguf_write_u32(w, "tokenizer.ggml.bos_token_id", 500);
}

static void test_begin_and_end(void **state) {
    (void)state;
    static const change changes[] = {
        {0},
        {.key = "tokenizer.ggml.add_bos_token", .write = no_bos},
        {.key = "tokenizer.ggml.add_eos_token", .write = with_eos},
        {.key = "tokenizer.ggml.bos_token_id", .write = bos_500},
    };
    static const uint32_t expected[][4] = {{2, 2, 107}, {1, 107}, {3, 2, 107, 106}, {2, 500, 107}};
    static const uint32_t bare = 107;
    for (size_t i = 0; i < 4; i++) {
        pd_model *model = open_changed(&changes[i], true);
        expect_ids(model, false, expected[i][0], expected[i] + 1);
        expect_ids(model, true, 1, &bare);
        pd_chat_turn turn = {.role = "user", .text = "x", .n_bytes = 1};
        uint32_t ids[32];
        size_t n;
        assert_int_equal(pd_chat_encode(model, &turn, 1, ids, 32, &n, NULL), PD_OK);
        assert_int_equal(ids[0], i == 3 ? 500 : 2); /* the template says so */
        assert_int_equal(ids[1], PD_TOKEN_START_OF_TURN);
        char text[PD_DETOKENIZE_MAX_BYTES];
        pd_detokenizer d;
        pd_detokenizer_init(&d);
        assert_int_equal(pd_detokenize(model, &d, 500, text) == 0, i == 3); /* hidden as <bos> */
        pd_model_close(model);
    }
}

/* A list too short for Gemma's ids has the images' markers where it spells them. */
static void test_image_markers(void **state) {
    (void)state;
    static const change changes[] = {{0}, {.token = 499, .text = "<end>"}};
    static const pd_image_place place = {0};
    const pd_chat_turn turn = {
        .role = "user", .text = "x", .n_bytes = 1, .images = &place, .n_images = 1};
    for (size_t i = 0; i < 2; i++) {
        pd_model *model = open_changed(&changes[i], true);
        uint32_t ids[32];
        size_t n;
        assert_int_equal(pd_chat_encode(model, &turn, 1, ids, 32, &n, NULL), PD_OK);
        size_t at = 0;
        while (at < n && ids[at] != PD_TOKEN_IMAGE) at++;
        assert_in_range(at, 1, n - 2);
        assert_int_equal(ids[at - 1], 498);
        assert_int_equal(ids[at + 1], i == 0 ? 499 : PD_TOKEN_END_OF_IMAGE);
        pd_model_close(model);
    }
}

static void test_no_image_markers(void **state) {
    (void)state;
    static const uint32_t prompt[] = {2, PD_TOKEN_START_OF_IMAGE};
    pd_model *model = open_changed(&(change){0}, false);
    pd_session_desc desc = {.n_ctx = 32};
    pd_session *session;
    pd_error err;
    assert_int_equal(pd_session_create(model, &desc, &session, &err), PD_OK);
    assert_int_equal(pd_session_sync(session, prompt, 2, &err), PD_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "the model takes no images"));
    pd_session_destroy(session);
    pd_model_close(model);
}

static uint32_t stop_id;
static void with_stop(pd_gguf_writer *w) {
    pd_gguf_write_u32(w, "tokenizer.ggml.eos_token_id", stop_id);
}
static void with_turn_end(pd_gguf_writer *w) {
    pd_gguf_write_u32(w, "tokenizer.ggml.eot_token_id", stop_id);
}

typedef struct answer {
    uint32_t ids[8], n;
} answer;

static bool take(void *ctx, uint32_t id) {
    answer *a = ctx;
    a->ids[a->n++] = id;
    return true;
}

static answer generate(pd_model *model) {
    static const uint32_t prompt[] = {2, 10, 300, 7};
    pd_session_desc desc = {.n_ctx = 32};
    pd_session *session;
    pd_sampler sampler;
    pd_error err;
    answer a = {0};
    pd_generate_desc generation = {.n_max = 8, .fn = take, .fn_ctx = &a};
    if (pd_session_create(model, &desc, &session, &err) != PD_OK ||
        pd_session_sync(session, prompt, 4, &err) != PD_OK ||
        pd_sampler_init(&sampler, &(pd_sampler_desc){0}, &err) != PD_OK ||
        pd_session_generate(session, &sampler, &generation, &err) != PD_OK)
        fail_msg("%s", err.message);
    pd_session_destroy(session);
    return a;
}

static void test_stops(void **state) {
    (void)state;
    static const change changes[] = {
        {.key = "tokenizer.ggml.eos_token_id", .write = with_stop},
        {.key = "tokenizer.ggml.eot_token_id", .write = with_turn_end},
    };
    pd_model *model = open_changed(&(change){0}, false);
    answer whole = generate(model);
    pd_model_close(model);
    assert_int_equal(whole.n, 8);
    uint32_t first = 0;
    stop_id = whole.ids[3];
    while (whole.ids[first] != stop_id) first++;
    for (int i = 0; i < 2; i++) {
        model = open_changed(&changes[i], false);
        answer cut = generate(model);
        assert_int_equal(cut.n, first + 1);
        assert_memory_equal(cut.ids, whole.ids, cut.n * sizeof *cut.ids);
        assert_true(pd_model_is_stop(model, stop_id));
        assert_true(pd_model_is_stop(model, PD_TOKEN_EOS));
        assert_true(pd_model_is_stop(model, PD_TOKEN_END_OF_TURN));
        assert_false(pd_model_is_stop(model, 107));
        pd_model_close(model);
    }
}

/* ---- what is warned of ---------------------------------------------------------------------- */

static unsigned n_warnings;
static void count_warning(void *ctx, pd_log_level level, const char *subsystem, const char *line) {
    (void)ctx;
    (void)subsystem;
    n_warnings += level == PD_LOG_WARN && strstr(line, "chat template") != NULL;
}

static void chatml(pd_gguf_writer *w) {
    pd_gguf_write_string(w, "tokenizer.chat_template",
                         "{% for m in messages %}<|im_start|>{{ m.role }}{% endfor %}");
}

static void test_other_template(void **state) {
    (void)state;
    static const change changes[] = {{0},
                                     {.key = "tokenizer.chat_template"},
                                     {.key = "tokenizer.chat_template", .write = chatml}};
    pd_chat_turn turn = {.role = "user", .text = "x", .n_bytes = 1};
    uint32_t ids[32];
    size_t n;
    pd_log_set(count_warning, NULL, PD_LOG_WARN);
    for (unsigned i = 0; i < 3; i++) {
        n_warnings = 0;
        pd_model *model = open_changed(&changes[i], true);
        assert_int_equal(pd_tokenize(model, "x", 1, NULL, ids, 32, &n, NULL), PD_OK);
        assert_int_equal(n_warnings, 0);
        for (int k = 0; k < 3; k++)
            assert_int_equal(pd_chat_encode(model, &turn, 1, ids, 32, &n, NULL), PD_OK);
        assert_int_equal(n_warnings, i == 2);
        pd_model_close(model);
    }
    pd_log_set(NULL, NULL, PD_LOG_ERROR);
}

/* ---- what is refused ------------------------------------------------------------------------ */

static void bos_600(pd_gguf_writer *w) {
    pd_gguf_write_u32(w, "tokenizer.ggml.bos_token_id", 600);
}
static void eos_text(pd_gguf_writer *w) {
    pd_gguf_write_string(w, "tokenizer.ggml.eos_token_id", "<eos>");
}
static void bos_number(pd_gguf_writer *w) {
    pd_gguf_write_u32(w, "tokenizer.ggml.add_bos_token", 7);
}

static float scores[600];
static void write_scores(pd_gguf_writer *w) {
    pd_gguf_write_f32s(w, "tokenizer.ggml.scores", scores, 600);
}
static void zero_scores(pd_gguf_writer *w) {
    memset(scores, 0, sizeof scores);
    write_scores(w);
}
static void nan_score(pd_gguf_writer *w) {
    for (int i = 0; i < 600; i++) scores[i] = -(float)i;
    scores[599] = NAN;
    write_scores(w);
}
static void few_types(pd_gguf_writer *w) {
    int32_t types[599] = {0};
    pd_gguf_write_i32s(w, "tokenizer.ggml.token_type", types, 599);
}
static void float_types(pd_gguf_writer *w) {
    pd_gguf_write_f32s(w, "tokenizer.ggml.token_type", scores, 600);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        change change;
        const char *words;
    } cases[] = {
        {{"tokenizer.ggml.bos_token_id", bos_600, 0, NULL}, "bos_token_id is not the id of one"},
        {{"tokenizer.ggml.eos_token_id", eos_text, 0, NULL}, "eos_token_id is not the id of one"},
        {{"tokenizer.ggml.add_bos_token", bos_number, 0, NULL}, "neither true nor false"},
        {{"tokenizer.ggml.scores", NULL, 0, NULL}, "scores"},
        {{"tokenizer.ggml.scores", zero_scores, 0, NULL}, "no order of merging"},
        {{"tokenizer.ggml.scores", nan_score, 0, NULL}, "not finite for token 599"},
        {{"tokenizer.ggml.token_type", few_types, 0, NULL}, "token_type"},
        {{"tokenizer.ggml.token_type", float_types, 0, NULL}, "token_type"},
        {{NULL, NULL, 1, "</s>"}, "token 1 is not spelled <eos>"},
        {{NULL, NULL, 2, "<BOS>"}, "token 2 is not spelled <bos>"},
        {{NULL, NULL, 105, "<|im_start|>"}, "token 105 is not spelled <start_of_turn>"},
        {{NULL, NULL, 106, "<end_of_turn> "}, "token 106 is not spelled <end_of_turn>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pd_model_desc desc = {.vocab_only = true};
        pd_model *model;
        pd_error err = {0};
        make_model(&cases[i].change);
        pd_status status = pd_model_open(path, &desc, &model, &err);
        if (status != PD_ERR_MODEL || !strstr(err.message, cases[i].words))
            fail_msg("case %zu: %d, \"%s\" lacks \"%s\"", i, (int)status, err.message,
                     cases[i].words);
    }
}

static int name_file(void **state) {
    (void)state;
    temp_path(path, "special.gguf");
    return 0;
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begin_and_end),    cmocka_unit_test(test_image_markers),
        cmocka_unit_test(test_no_image_markers), cmocka_unit_test(test_stops),
        cmocka_unit_test(test_other_template),   cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, name_file, remove_file);
}
