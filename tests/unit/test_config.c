/* Settings of a Gemma 3: the golden models, and a small model in which one thing at a time is
 * absent or changed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_model_file.h"

#include <math.h>

static void key_u32(const char *key, uint32_t number, pd_status status, const char *words) {
    variant v = {.key = key, .change = U32, .number = number};
    if (status == PD_OK) expect_good(v);
    if (status != PD_OK) expect_bad(v, status, words);
}

static void key_f32(const char *key, float number, pd_status status, const char *words) {
    variant v = {.key = key, .change = F32, .number = (double)number};
    if (status == PD_OK) expect_good(v);
    if (status != PD_OK) expect_bad(v, status, words);
}

static void key_text(const char *key, const char *text, pd_status status, const char *words) {
    variant v = {.key = key, .change = TEXT, .text = text};
    if (status == PD_OK) expect_good(v);
    if (status != PD_OK) expect_bad(v, status, words);
}

static unsigned count_global(void) {
    unsigned n = 0;
    for (uint32_t i = 0; i < config.n_layers; i++) n += config.layer_is_global[i];
    return n;
}

/* ---- the sound model ------------------------------------------------------------------------- */

static void test_sound_model(void **state) {
    (void)state;
    expect_good((variant){0});
    assert_int_equal(config.n_layers, LAYERS);
    assert_int_equal(config.n_embd, EMBD);
    assert_int_equal(config.n_ff, FF);
    assert_int_equal(config.n_heads, HEADS);
    assert_int_equal(config.n_kv_heads, KV_HEADS);
    assert_int_equal(config.head_dim, HEAD_DIM);
    assert_int_equal(config.n_vocab, VOCAB);
    assert_int_equal(config.n_ctx_train, 2048);
    assert_int_equal(config.window, 16);
    assert_true(config.norm_eps == 1e-6f);
    assert_true(config.embd_scale == 8.0f);
    assert_true(config.attn_scale == (float)(1 / sqrt(32.0)));
    assert_true(config.rope_base_global == 1e6f && config.rope_base_local == 1e4f);
    assert_true(config.rope_scale_global == 1.0f);
    assert_string_equal(config.name, "small one");
    assert_string_equal(config.size_label, "custom");
    for (uint32_t i = 0; i < LAYERS; i++) assert_int_equal(config.layer_is_global[i], i == 5);
}

/* ---- one thing changed ----------------------------------------------------------------------- */

static void test_architectures(void **state) {
    (void)state;
    static const char *const others[] = {"gemma", "gemma2", "gemma3n", "gemma4", "gemma-embedding",
                                         "llama", "qwen3",  "",        "GEMMA3", "gemma3\n"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        key_text("general.architecture", others[i], PD_ERR_UNSUPPORTED, "Peridot handles Gemma 3");
    key_text("general.architecture", "gemma2", PD_ERR_UNSUPPORTED, "Gemma 2");
    key_text("general.architecture", "clip", PD_ERR_UNSUPPORTED, "image encoder");
    key_u32("general.architecture", 3, PD_ERR_MODEL, "general.architecture");
    const variant clip = {.key = "general.architecture", .change = TEXT, .text = "clip"};
    pd_error err = {0};
    assert_int_equal(load(&clip, &err), PD_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.hint, "text model"));
    pd_gguf_close(gguf);
}

static void test_absent_keys(void **state) {
    (void)state;
    static const char *const optional[] = {
        "general.name", "gemma3.attention.value_length", "gemma3.attention.layer_norm_rms_epsilon",
        "gemma3.attention.sliding_window", "gemma3.rope.freq_base"};
    for (int i = 0; i < N_KEYS; i++) {
        bool needed = true;
        for (size_t k = 0; k < sizeof optional / sizeof optional[0]; k++)
            if (strcmp(sound_keys[i].key, optional[k]) == 0) needed = false;
        variant v = {.key = sound_keys[i].key, .change = ABSENT};
        if (needed) expect_bad(v, PD_ERR_MODEL, sound_keys[i].key);
        if (!needed) expect_good(v);
    }
    expect_good((variant){.key = "general.name", .change = ABSENT});
    assert_string_equal(config.name, variant_name);
    expect_good((variant){.key = "gemma3.rope.freq_base", .change = ABSENT});
    assert_true(config.rope_base_global == 1e6f);
}

static void test_absurd_keys(void **state) {
    (void)state;
    key_u32("gemma3.block_count", 0, PD_ERR_MODEL, "expected 1 to 256");
    key_u32("gemma3.block_count", 257, PD_ERR_MODEL, "expected 1 to 256");
    key_u32("gemma3.block_count", 8, PD_ERR_MODEL, "blk.7.attn_norm.weight is absent");
    key_u32("gemma3.block_count", 6, PD_ERR_UNSUPPORTED, "blk.6.");
    key_u32("gemma3.embedding_length", 65, PD_ERR_UNSUPPORTED, "multiple of 32");
    key_u32("gemma3.embedding_length", UINT32_MAX, PD_ERR_MODEL, "gemma3.embedding_length");
    key_u32("gemma3.feed_forward_length", 100, PD_ERR_UNSUPPORTED, "multiple of 32");
    key_u32("gemma3.feed_forward_length", 128, PD_ERR_MODEL, "[96, 64], expected [128, 64]");
    key_u32("gemma3.context_length", 0, PD_ERR_MODEL, "gemma3.context_length");
    key_u32("gemma3.attention.head_count", UINT32_MAX, PD_ERR_MODEL, "head_count");
    key_u32("gemma3.attention.head_count_kv", 3, PD_ERR_MODEL, "multiple of the 3");
    key_u32("gemma3.attention.head_count_kv", 0, PD_ERR_MODEL, "head_count_kv");
    key_u32("gemma3.attention.key_length", 288, PD_ERR_UNSUPPORTED, "32 to 256");
    key_u32("gemma3.attention.key_length", 16, PD_ERR_UNSUPPORTED, "32 to 256");
    key_u32("gemma3.attention.key_length", 48, PD_ERR_UNSUPPORTED, "multiples of 32");
    key_u32("gemma3.attention.value_length", 64, PD_ERR_UNSUPPORTED, "value_length is 64");
    key_u32("gemma3.rope.dimension_count", 16, PD_ERR_UNSUPPORTED, "dimension_count is 16");
    key_u32("gemma3.rope.dimension_count", HEAD_DIM, PD_OK, NULL);
    key_text("gemma3.block_count", "7", PD_ERR_MODEL, "not a whole number");
    key_f32("gemma3.block_count", 6.5f, PD_ERR_MODEL, "not a whole number");
    key_f32("gemma3.attention.layer_norm_rms_epsilon", NAN, PD_ERR_MODEL, "finite");
    key_f32("gemma3.attention.layer_norm_rms_epsilon", -1, PD_ERR_MODEL, "expected");
    key_f32("gemma3.rope.freq_base", 0, PD_ERR_MODEL, "freq_base is 0");
    key_f32("gemma3.final_logit_softcapping", 30, PD_ERR_UNSUPPORTED, "soft-capping");
    key_f32("gemma3.attn_logit_softcapping", 50, PD_ERR_UNSUPPORTED, "soft-capping");
    key_f32("gemma3.final_logit_softcapping", 0, PD_OK, NULL);
    expect_bad((variant){.key = "tokenizer.ggml.tokens", .change = STRINGS, .count = VOCAB + 1},
               PD_ERR_MODEL, "lists 41 tokens, but token_embd.weight has only 40 rows");
    expect_good((variant){.key = "tokenizer.ggml.tokens", .change = STRINGS, .count = VOCAB});
}

static void test_rope(void **state) {
    (void)state;
    key_f32("gemma3.rope.scaling.factor", 8, PD_OK, NULL);
    assert_true(config.rope_scale_global == 0.125f);
    key_f32("gemma3.rope.scaling.factor", 0, PD_OK, NULL);
    assert_true(config.rope_scale_global == 1.0f);
    key_f32("gemma3.rope.scaling.factor", -2, PD_ERR_MODEL, "factor");
    key_f32("gemma3.rope.scaling.factor", 1e-38f, PD_ERR_MODEL, "factor");
    key_f32("gemma3.rope.scaling.factor", 5e-4f, PD_ERR_MODEL, "factor");
    key_text("gemma3.rope.scaling.type", "linear", PD_OK, NULL);
    key_text("gemma3.rope.scaling.type", "none", PD_OK, NULL);
    key_text("gemma3.rope.scaling.type", "yarn", PD_ERR_UNSUPPORTED, "\"yarn\"");
    key_f32("gemma3.rope.freq_base_swa", 5000, PD_OK, NULL);
    assert_true(config.rope_base_local == 5000);
}

static void test_windows(void **state) {
    (void)state;
    static const char pattern[] = "gemma3.attention.sliding_window_pattern";
    key_u32("gemma3.attention.sliding_window", 0, PD_OK, NULL);
    assert_int_equal(count_global(), LAYERS);
    expect_good((variant){.key = "gemma3.attention.sliding_window", .change = ABSENT});
    assert_int_equal(config.window, 0);
    assert_int_equal(count_global(), LAYERS);
    key_u32("gemma3.attention.sliding_window", 1u << 31, PD_OK, NULL);
    assert_int_equal(config.window, 2048);
    key_u32(pattern, 3, PD_OK, NULL);
    for (uint32_t i = 0; i < LAYERS; i++)
        assert_int_equal(config.layer_is_global[i], i == 2 || i == 5);
    key_u32(pattern, 1, PD_OK, NULL);
    assert_int_equal(count_global(), LAYERS);
    key_u32(pattern, 0, PD_OK, NULL);
    assert_int_equal(count_global(), 0);
    key_text(pattern, "6", PD_ERR_MODEL, "not a whole number");
    expect_bad((variant){.key = pattern, .change = STRINGS, .count = LAYERS}, PD_ERR_MODEL,
               "expected a bool for each of 7 layers");
    expect_good((variant){.key = pattern, .change = BOOLS});
    static const bool expected[LAYERS] = {false, false, true, false, false, true, false};
    assert_memory_equal(config.layer_is_global, expected, sizeof expected);
}

static void test_names(void **state) {
    (void)state;
    key_text("general.name", "a\033[31mb\xff\xe2\x82\xac", PD_OK, NULL);
    assert_string_equal(config.name, "a?[31mb?\xe2\x82\xac");
    char long_name[300];
    memset(long_name, 'x', sizeof long_name);
    memcpy(long_name + 126, "\xe2\x82\xac", 3); /* does not fit whole: it is left out */
    long_name[299] = '\0';
    key_text("general.name", long_name, PD_OK, NULL);
    assert_int_equal(strlen(config.name), 126);
}

/* ---- golden models --------------------------------------------------------------------------- */

static void test_golden_models(void **state) {
    (void)state;
    load_golden("small-q4_0.gguf");
    assert_int_equal(config.n_layers, 7);
    assert_int_equal(config.n_embd, 96);
    assert_int_equal(config.n_vocab, 600);
    assert_int_equal(config.window, 16);
    assert_int_equal(weights.main_type, PD_TYPE_Q4_0);
    assert_int_equal(count_global(), 1);
    load_golden("small-f16.gguf");
    assert_int_equal(weights.main_type, PD_TYPE_F16);
    load_golden("small-bf16.gguf");
    assert_int_equal(weights.main_type, PD_TYPE_BF16);
    load_golden("small-q6_k.gguf");
    load_golden("small-q8_0-scaled.gguf");
    assert_true(config.rope_scale_global == 0.125f);
    load_golden("mm-q4_0.gguf");
    load_golden("rule-27b-q4_0.gguf");
    assert_int_equal(config.n_layers, 62);
    assert_int_equal(count_global(), 10);
    double per_head = (double)config.n_embd / config.n_heads;
    assert_true(per_head != (double)config.head_dim);
    assert_true(config.attn_scale == (float)(1 / sqrt(per_head)));
}

static void test_golden_mmproj_is_refused(void **state) {
    (void)state;
    pd_error err = {0};
    assert_int_equal(pd_gguf_open(test_data("golden/mm-mmproj.gguf"), &gguf, &err), PD_OK);
    assert_int_equal(pd_config_read(gguf, &config, &err), PD_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.hint, "text model"));
    pd_gguf_close(gguf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_model),
        cmocka_unit_test(test_architectures),
        cmocka_unit_test(test_absent_keys),
        cmocka_unit_test(test_absurd_keys),
        cmocka_unit_test(test_rope),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_golden_models),
        cmocka_unit_test(test_golden_mmproj_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
