/* Settings of an image encoder: the golden one, and a small one in which one thing at a time is
 * absent or changed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_vision_file.h"

#include <math.h>

#include "support_data.h"

static void key_u32(const char *name, uint32_t number, pd_status status, const char *words) {
    char key[80];
    snprintf(key, sizeof key, "clip.vision.%s", name);
    expect_bad((variant){.key = key, .change = U32, .number = number}, status, words);
}

/* ---- the sound file -------------------------------------------------------------------------- */

static void test_sound_settings(void **state) {
    (void)state;
    expect_good((variant){0});
    assert_int_equal(config.image_size, IMAGE);
    assert_int_equal(config.patch_size, PATCH);
    assert_int_equal(config.grid, GRID);
    assert_int_equal(config.pool, 4);
    assert_int_equal(config.n_tokens, 4);
    assert_int_equal(config.n_embd, EMBD);
    assert_int_equal(config.n_ff, FF);
    assert_int_equal(config.n_heads, HEADS);
    assert_int_equal(config.head_dim, EMBD / HEADS);
    assert_int_equal(config.n_layers, LAYERS);
    assert_int_equal(config.n_embd_out, OUT);
    assert_true(config.norm_eps == 1e-6f);
    assert_true(config.attn_scale == 0.25f);
    for (int i = 0; i < 3; i++) assert_true(config.mean[i] == 0.25f && config.std[i] == 0.5f);
    assert_string_equal(config.name, "small eye");
}

static void test_pool(void **state) {
    (void)state;
    static const char key[] = "clip.vision.projector.scale_factor";
    expect_good((variant){.key = key, .change = U32, .number = 2});
    assert_int_equal(config.pool, 2);
    assert_int_equal(config.n_tokens, 16);
    key_u32("projector.scale_factor", 3, PD_ERR_MODEL, "8 patches on a side");
    key_u32("projector.scale_factor", 0, PD_ERR_MODEL, "expected 1 to 8");
}

/* ---- one thing wrong ------------------------------------------------------------------------- */

static void test_kind_of_file(void **state) {
    (void)state;
    variant v = {.key = "general.architecture", .change = TEXT, .text = "gemma3"};
    expect_bad(v, PD_ERR_UNSUPPORTED, "text model");
    v.text = "llama";
    expect_bad(v, PD_ERR_UNSUPPORTED, "not an image encoder");
    v = (variant){.key = "clip.projector_type", .change = TEXT, .text = "qwen2vl_merger"};
    expect_bad(v, PD_ERR_UNSUPPORTED, "qwen2vl_merger");
    v = (variant){.key = "clip.has_vision_encoder", .change = BOOL, .number = 0};
    expect_bad(v, PD_ERR_UNSUPPORTED, "clip.has_vision_encoder is false");
    v = (variant){.key = "clip.use_gelu", .change = BOOL, .number = 0};
    expect_bad(v, PD_ERR_UNSUPPORTED, "clip.use_gelu is false");
    v = (variant){.key = "clip.use_gelu", .change = TEXT, .text = "yes"};
    expect_bad(v, PD_ERR_MODEL, "not a truth value");
    v = (variant){.key = "clip.use_silu", .change = BOOL, .number = 1};
    expect_bad(v, PD_ERR_UNSUPPORTED, "clip.use_silu is true");
}

static void test_absent_keys(void **state) {
    (void)state;
    static const char *const optional[] = {
        "general.name",          "clip.has_vision_encoder",
        "clip.use_gelu",         "clip.vision.image_mean",
        "clip.vision.image_std", "clip.vision.attention.layer_norm_epsilon"};
    for (int i = 0; i < N_KEYS; i++) {
        bool needed = true;
        for (size_t k = 0; k < sizeof optional / sizeof optional[0]; k++)
            if (strcmp(sound_keys[i].key, optional[k]) == 0) needed = false;
        variant v = {.key = sound_keys[i].key, .change = ABSENT};
        if (needed) expect_bad(v, PD_ERR_MODEL, sound_keys[i].key);
        if (!needed) expect_good(v);
    }
    expect_bad((variant){.key = "clip.vision.feed_forward_length", .change = ABSENT}, PD_ERR_MODEL,
               "feed_forward_length is absent");
    expect_good((variant){.key = "clip.vision.image_mean", .change = ABSENT});
    assert_true(config.mean[0] == 0.5f && config.mean[2] == 0.5f);
    expect_good((variant){.key = "general.name", .change = ABSENT});
    assert_string_equal(config.name, variant_name);
}

static void test_absurd_keys(void **state) {
    (void)state;
    key_u32("image_size", 0, PD_ERR_MODEL, "image_size is 0");
    key_u32("image_size", UINT32_MAX, PD_ERR_MODEL, "image_size");
    key_u32("image_size", 113, PD_ERR_MODEL, "expected a multiple of the patch size 14");
    key_u32("image_size", 14 * 132, PD_ERR_UNSUPPORTED, "17424 patches");
    key_u32("image_size", 14 * 6, PD_ERR_MODEL, "6 patches on a side");
    key_u32("image_size", 14 * 4, PD_ERR_MODEL, "position_embd.weight is [64, 32]");
    key_u32("patch_size", 0, PD_ERR_MODEL, "patch_size is 0");
    key_u32("patch_size", 15, PD_ERR_MODEL, "expected a multiple of the patch size 15");
    key_u32("patch_size", 28, PD_ERR_MODEL, "v.patch_embd.weight is [32, 3, 14, 14], expected");
    key_u32("embedding_length", 0, PD_ERR_MODEL, "embedding_length is 0");
    key_u32("embedding_length", 34, PD_ERR_UNSUPPORTED, "multiple of 4");
    key_u32("embedding_length", 64, PD_ERR_MODEL, "v.patch_embd.weight");
    key_u32("feed_forward_length", 50, PD_ERR_UNSUPPORTED, "multiple of 4");
    key_u32("feed_forward_length", 64, PD_ERR_MODEL, "[48, 32], expected [64, 32]");
    key_u32("projection_dim", 65, PD_ERR_UNSUPPORTED, "multiple of 32");
    key_u32("projection_dim", 96, PD_ERR_MODEL, "[32, 64], expected [32, 96]");
    key_u32("block_count", 0, PD_ERR_MODEL, "expected 1 to 64");
    key_u32("block_count", 65, PD_ERR_MODEL, "expected 1 to 64");
    key_u32("block_count", 3, PD_ERR_MODEL, "v.blk.2.ln1.weight is absent");
    key_u32("block_count", 1, PD_ERR_UNSUPPORTED, "v.blk.1.");
    key_u32("attention.head_count", 0, PD_ERR_MODEL, "head_count");
    key_u32("attention.head_count", 3, PD_ERR_MODEL, "expected a divisor of the width 32");
    key_u32("attention.head_count", 16, PD_ERR_UNSUPPORTED, "multiples of 4");
}

static void test_absurd_numbers(void **state) {
    (void)state;
    variant v = {.key = "clip.vision.attention.layer_norm_epsilon", .change = F32, .number = -1};
    expect_bad(v, PD_ERR_MODEL, "layer_norm_epsilon is -1");
    v.number = (double)NAN;
    expect_bad(v, PD_ERR_MODEL, "finite");
    v = (variant){.key = "clip.vision.image_std", .change = F32S, .number = 0, .count = 3};
    expect_bad(v, PD_ERR_MODEL, "image_std holds 0");
    v.number = (double)NAN;
    expect_bad(v, PD_ERR_MODEL, "image_std holds nan");
    v = (variant){.key = "clip.vision.image_mean", .change = F32S, .number = 0.5, .count = 4};
    expect_bad(v, PD_ERR_MODEL, "not an array of 3 F32");
    v = (variant){.key = "clip.vision.image_mean", .change = F32, .number = 0.5};
    expect_bad(v, PD_ERR_MODEL, "not an array of 3 F32");
    v = (variant){.key = "clip.vision.image_size", .change = TEXT, .text = "big"};
    expect_bad(v, PD_ERR_MODEL, "not a whole number");
}

static void test_text_width(void **state) {
    (void)state;
    pd_error err = {0};
    expect_good((variant){0});
    assert_int_equal(pd_vision_check_text(&config, OUT, &err), PD_OK);
    assert_int_equal(pd_vision_check_text(&config, 2560, &err), PD_ERR_MODEL);
    assert_non_null(strstr(err.message, "64"));
    assert_non_null(strstr(err.message, "2560"));
}

/* ---- golden ---------------------------------------------------------------------------------- */

static void test_golden_encoder(void **state) {
    (void)state;
    pd_error err = {0};
    if (load_file(test_data("golden/mm-mmproj.gguf"), &err) != PD_OK) fail_msg("%s", err.message);
    assert_int_equal(config.image_size, 224);
    assert_int_equal(config.grid, 16);
    assert_int_equal(config.pool, 4);
    assert_int_equal(config.n_tokens, 16);
    assert_int_equal(config.head_dim, 36);
    assert_int_equal(config.n_embd_out, 128);
    unload();
    assert_int_equal(load_file(test_data("golden/mm-q4_0.gguf"), &err), PD_ERR_UNSUPPORTED);
    unload();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_settings), cmocka_unit_test(test_pool),
        cmocka_unit_test(test_kind_of_file),   cmocka_unit_test(test_absent_keys),
        cmocka_unit_test(test_absurd_keys),    cmocka_unit_test(test_absurd_numbers),
        cmocka_unit_test(test_text_width),     cmocka_unit_test(test_golden_encoder),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
