/* Tensors of an image encoder: found by name and shape, stored otherwise than they are used, and in
 * a small encoder one at a time absent, changed, added or renamed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_vision_file.h"

#include "support_data.h"

static float at(const pd_tensor *t, uint64_t row, uint64_t col) {
    float value;
    const pd_type_info *type = pd_type_get((uint32_t)t->type);
    assert_int_equal(type->block_values, 1);
    pd_decode(t->type, t->data + (row * t->ne[0] + col) * type->block_bytes, 1, &value);
    return value;
}

static void expect_shape(const pd_tensor *t, pd_type type, uint64_t rows, uint64_t cols) {
    assert_int_equal(t->type, type);
    assert_int_equal(t->ne[0], cols);
    assert_int_equal(t->ne[1], rows);
    assert_int_equal(t->ne[2] * t->ne[3], 1);
    assert_int_equal(t->n_dims, rows == 1 ? 1 : 2);
    assert_int_equal(t->n_bytes, rows * cols * pd_type_get((uint32_t)type)->block_bytes);
}

/* ---- the sound file -------------------------------------------------------------------------- */

static void test_binding_by_name(void **state) {
    (void)state;
    load_good((variant){0});
    const pd_vision_layer *l = &weights.layers[1];
    assert_string_equal(l->ln1_weight->name, "v.blk.1.ln1.weight");
    assert_string_equal(l->ln1_bias->name, "v.blk.1.ln1.bias");
    assert_string_equal(l->attn_q->name, "v.blk.1.attn_q.weight");
    assert_string_equal(l->attn_k->name, "v.blk.1.attn_k.weight");
    assert_string_equal(l->attn_v->name, "v.blk.1.attn_v.weight");
    assert_string_equal(l->attn_out->name, "v.blk.1.attn_out.weight");
    assert_string_equal(l->attn_q_bias->name, "v.blk.1.attn_q.bias");
    assert_string_equal(l->attn_k_bias->name, "v.blk.1.attn_k.bias");
    assert_string_equal(l->attn_v_bias->name, "v.blk.1.attn_v.bias");
    assert_string_equal(l->attn_out_bias->name, "v.blk.1.attn_out.bias");
    assert_string_equal(l->ln2_weight->name, "v.blk.1.ln2.weight");
    assert_string_equal(l->ln2_bias->name, "v.blk.1.ln2.bias");
    assert_string_equal(l->ffn_up->name, "v.blk.1.ffn_up.weight");
    assert_string_equal(l->ffn_up_bias->name, "v.blk.1.ffn_up.bias");
    assert_string_equal(l->ffn_down->name, "v.blk.1.ffn_down.weight");
    assert_string_equal(l->ffn_down_bias->name, "v.blk.1.ffn_down.bias");
    assert_string_equal(weights.post_ln_weight->name, "v.post_ln.weight");
    assert_string_equal(weights.post_ln_bias->name, "v.post_ln.bias");
    assert_string_equal(weights.patch_bias->name, "v.patch_embd.bias");
    assert_string_equal(weights.soft_emb_norm->name, "mm.soft_emb_norm.weight");
    expect_shape(weights.position_embd, PD_TYPE_F32, GRID * GRID, EMBD);
    unload();
}

static void test_figures(void **state) {
    (void)state;
    load_good((variant){0});
    uint64_t layer = 4 * (EMBD * EMBD + EMBD) + 2 * 2 * EMBD + 2 * EMBD * FF + FF + EMBD;
    uint64_t patches = EMBD * 3 * PATCH * PATCH + EMBD + GRID * GRID * EMBD;
    assert_int_equal(weights.n_params, LAYERS * layer + patches + 2 * EMBD + EMBD + OUT * EMBD);
    assert_int_equal(weights.main_type, PD_TYPE_F16);
    unload();
}

/* ---- what is stored otherwise than it is used ---------------------------------------------- */

static void expect_projection(pd_type stored, pd_type used) {
    static const char name[] = "mm.input_projection.weight";
    load_good((variant){.key = name, .change = TENSOR, .type = stored, .ne0 = OUT, .ne1 = EMBD});
    const pd_tensor *t = weights.projection, *file = pd_gguf_find_tensor(gguf, name);
    expect_shape(t, used, OUT, EMBD);
    float row[OUT];
    for (uint64_t k = 0; k < EMBD; k++) {
        pd_decode(stored, file->data + k * (file->n_bytes / EMBD), OUT, row);
        for (uint64_t n = 0; n < OUT; n++) assert_true(at(t, n, k) == row[n]);
    }
    unload();
}

static void test_projection_is_transposed(void **state) {
    (void)state;
    expect_projection(PD_TYPE_F32, PD_TYPE_F32);
    expect_projection(PD_TYPE_F16, PD_TYPE_F16);
    expect_projection(PD_TYPE_BF16, PD_TYPE_BF16);
    expect_projection(PD_TYPE_Q8_0, PD_TYPE_F32);
    expect_projection(PD_TYPE_Q4_0, PD_TYPE_F32);
}

static void test_patches_become_a_matrix(void **state) {
    (void)state;
    static const pd_type types[] = {PD_TYPE_F32, PD_TYPE_F16, PD_TYPE_BF16};
    static const char name[] = "v.patch_embd.weight";
    for (int i = 0; i < 3; i++) {
        load_good((variant){.key = name, .change = TENSOR, .type = types[i]});
        const pd_tensor *t = weights.patch_embd;
        expect_shape(t, types[i], EMBD, 3 * PATCH * PATCH);
        assert_ptr_equal(t->data, pd_gguf_find_tensor(gguf, name)->data);
        uint64_t col = (2 * PATCH + 5) * PATCH + 9; /* channel 2, y 5, x 9 */
        assert_true(at(t, 3, col) == value_of(name, 3 * 3 * PATCH * PATCH + col));
        unload();
    }
}

static void test_vectors_become_f32(void **state) {
    (void)state;
    static const pd_type types[] = {PD_TYPE_F32, PD_TYPE_F16, PD_TYPE_BF16};
    static const char bias[] = "v.blk.0.ffn_up.bias", positions[] = "v.position_embd.weight";
    for (int i = 0; i < 3; i++) {
        load_good((variant){.key = bias, .change = TENSOR, .type = types[i]});
        expect_shape(weights.layers[0].ffn_up_bias, PD_TYPE_F32, 1, FF);
        for (uint64_t k = 0; k < FF; k++)
            assert_true(at(weights.layers[0].ffn_up_bias, 0, k) == value_of(bias, k));
        unload();
        load_good((variant){.key = positions, .change = TENSOR, .type = types[i]});
        expect_shape(weights.position_embd, PD_TYPE_F32, GRID * GRID, EMBD);
        assert_true(at(weights.position_embd, 9, 4) == value_of(positions, 9 * EMBD + 4));
        unload();
    }
}

static void test_matrix_types(void **state) {
    (void)state;
    static const pd_type types[] = {PD_TYPE_F32, PD_TYPE_BF16, PD_TYPE_Q8_0, PD_TYPE_Q4_0,
                                    PD_TYPE_Q5_1};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        load_good((variant){.key = "v.blk.1.attn_k.weight", .change = TENSOR, .type = types[i]});
        assert_int_equal(weights.layers[1].attn_k->type, types[i]);
        assert_int_equal(weights.main_type, PD_TYPE_F16);
        unload();
    }
}

/* ---- swapped names ------------------------------------------------------------------------- */

static void expect_feed_forward(bool swapped, uint32_t n) {
    set_feed_forward(swapped, n);
    load_good((variant){0});
    for (unsigned i = 0; i < LAYERS; i++) {
        const pd_vision_layer *l = &weights.layers[i];
        expect_shape(l->ffn_up, PD_TYPE_F16, n, EMBD);
        expect_shape(l->ffn_up_bias, PD_TYPE_F32, 1, n);
        expect_shape(l->ffn_down, PD_TYPE_F16, EMBD, n);
        expect_shape(l->ffn_down_bias, PD_TYPE_F32, 1, EMBD);
        bool by_name = strstr(l->ffn_up->name, "ffn_up") != NULL;
        assert_int_equal(by_name, !swapped || n == EMBD);
        assert_int_equal(strstr(l->ffn_up_bias->name, "ffn_up") != NULL, by_name);
        assert_int_equal(strstr(l->ffn_down->name, "ffn_down") != NULL, by_name);
        assert_int_equal(strstr(l->ffn_down_bias->name, "ffn_down") != NULL, by_name);
    }
    unload();
}

static void test_swapped_names(void **state) {
    (void)state;
    expect_feed_forward(false, 48);
    expect_feed_forward(true, 48);
    expect_feed_forward(true, 16); /* narrower than the width */
    expect_feed_forward(false, EMBD);
    expect_feed_forward(true, EMBD); /* no shape tells: names are right */
    set_feed_forward(true, FF);
    variant v = {.key = "v.blk.1.ffn_up.bias", .change = ABSENT};
    expect_bad(v, PD_ERR_MODEL, "v.blk.1.ffn_up.bias is absent, expected [1, 32]");
    set_feed_forward(false, FF);
    v = (variant){.key = "v.blk.1.ffn_down.weight", .change = TENSOR, .ne0 = EMBD, .ne1 = FF};
    expect_bad(v, PD_ERR_MODEL, "v.blk.1.ffn_down.weight is [48, 32], expected [32, 48]");
}

/* ---- one thing wrong ------------------------------------------------------------------------- */

static void test_tensors(void **state) {
    (void)state;
    list_tensors(&(variant){0});
    static listed_tensor all[sizeof tensors.list / sizeof *tensors.list];
    const unsigned n = tensors.n;
    memcpy(all, tensors.list, sizeof all);
    for (unsigned i = 0; i < n; i++) {
        char words[160];
        snprintf(words, sizeof words, "the tensor %.63s is absent", all[i].name);
        expect_bad((variant){.key = all[i].name, .change = ABSENT}, PD_ERR_MODEL, words);
        snprintf(words, sizeof words, "the tensor %.63s is [3, 64], expected", all[i].name);
        expect_bad((variant){.key = all[i].name, .change = TENSOR, .ne0 = 64, .ne1 = 3},
                   PD_ERR_MODEL, words);
    }
    static const char *const strangers[] = {
        "v.blk.0.attn_q_norm.weight", "v.class_embd",     "mm.0.weight",
        "v.blk.2.ln1.weight",         "v.blk.x.ln1.bias", "v.post_ln"};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        variant v = {.key = strangers[i], .change = TENSOR, .added = true, .ne0 = 32, .ne1 = 1};
        expect_bad(v, PD_ERR_UNSUPPORTED, strangers[i]);
    }
    expect_good((variant){.key = "a.conv", .change = TENSOR, .added = true, .ne0 = 32, .ne1 = 1});
}

static void test_golden_weights(void **state) {
    (void)state;
    pd_error err = {0};
    if (load_file(test_data("golden/mm-mmproj.gguf"), &err) != PD_OK) fail_msg("%s", err.message);
    expect_shape(weights.projection, PD_TYPE_F16, 128, config.n_embd);
    unload();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binding_by_name),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_projection_is_transposed),
        cmocka_unit_test(test_patches_become_a_matrix),
        cmocka_unit_test(test_vectors_become_f32),
        cmocka_unit_test(test_matrix_types),
        cmocka_unit_test(test_swapped_names),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_golden_weights),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
