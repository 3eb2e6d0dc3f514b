/* Tensors of a Gemma 3: found by name, counted, and one at a time absent, changed or added.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_model_file.h"

static void test_figures(void **state) {
    (void)state;
    const uint64_t q = HEADS * HEAD_DIM, kv = KV_HEADS * HEAD_DIM;
    uint64_t matrices = EMBD * (2 * q + 2 * kv + 3 * FF), norms = 4 * EMBD + 2 * HEAD_DIM;
    expect_good((variant){0});
    assert_ptr_equal(weights.output, weights.token_embd);
    assert_int_equal(weights.n_params, LAYERS * (matrices + norms) + VOCAB * EMBD + EMBD);
    assert_int_equal(weights.bytes_per_token, (LAYERS * matrices + VOCAB * EMBD) / 32 * 18);
    assert_int_equal(weights.main_type, PD_TYPE_Q4_0);
    expect_good((variant){.key = "output.weight",
                          .change = TENSOR,
                          .added = true,
                          .ne0 = EMBD,
                          .ne1 = VOCAB,
                          .type = PD_TYPE_F16});
    assert_true(weights.output != weights.token_embd);
    assert_int_equal(weights.bytes_per_token,
                     LAYERS * matrices / 32 * 18 + 2 * (uint64_t)VOCAB * EMBD);
    assert_int_equal(weights.n_params, LAYERS * (matrices + norms) + 2 * VOCAB * EMBD + EMBD);
}

static void test_binding_by_name(void **state) {
    (void)state;
    pd_error err;
    assert_int_equal(load(&(variant){0}, &err), PD_OK);
    const pd_layer_weights *l = &weights.layers[3];
    assert_string_equal(l->attn_norm->name, "blk.3.attn_norm.weight");
    assert_string_equal(l->attn_q->name, "blk.3.attn_q.weight");
    assert_string_equal(l->attn_k->name, "blk.3.attn_k.weight");
    assert_string_equal(l->attn_v->name, "blk.3.attn_v.weight");
    assert_string_equal(l->attn_q_norm->name, "blk.3.attn_q_norm.weight");
    assert_string_equal(l->attn_k_norm->name, "blk.3.attn_k_norm.weight");
    assert_string_equal(l->attn_output->name, "blk.3.attn_output.weight");
    assert_string_equal(l->post_attn_norm->name, "blk.3.post_attention_norm.weight");
    assert_string_equal(l->ffn_norm->name, "blk.3.ffn_norm.weight");
    assert_string_equal(l->ffn_gate->name, "blk.3.ffn_gate.weight");
    assert_string_equal(l->ffn_up->name, "blk.3.ffn_up.weight");
    assert_string_equal(l->ffn_down->name, "blk.3.ffn_down.weight");
    assert_string_equal(l->post_ffn_norm->name, "blk.3.post_ffw_norm.weight");
    pd_gguf_close(gguf);
}

static void change_tensor(const char *name, uint64_t ne0, uint64_t ne1, pd_type type, bool extra,
                          pd_status status, const char *words) {
    variant v = {.key = name, .change = TENSOR, .ne0 = ne0, .ne1 = ne1, .type = type};
    v.added = extra;
    expect_bad(v, status, words);
}

static void test_tensors(void **state) {
    (void)state;
    char name[64];
    for (unsigned k = 0; k < N_TENSORS; k++) {
        uint64_t ne0 = sound_tensors[k].ne0, ne1 = sound_tensors[k].ne1;
        snprintf(name, sizeof name, "blk.2.%s.weight", sound_tensors[k].name);
        expect_bad((variant){.key = name, .change = ABSENT}, PD_ERR_MODEL, name);
        change_tensor(name, ne0 + 32, ne1, PD_TYPE_F32, false, PD_ERR_MODEL, name);
        change_tensor(name, ne0, ne1 + 2, PD_TYPE_F32, false, PD_ERR_MODEL, name);
        if (ne1 == 0) change_tensor(name, ne0, 0, PD_TYPE_F16, false, PD_ERR_UNSUPPORTED, "F16");
    }
    expect_bad((variant){.key = "token_embd.weight", .change = ABSENT}, PD_ERR_MODEL, "token_embd");
    expect_bad((variant){.key = "output_norm.weight", .change = ABSENT}, PD_ERR_MODEL,
               "output_norm.weight");
    change_tensor("token_embd.weight", EMBD + 32, VOCAB, PD_TYPE_F32, false, PD_ERR_MODEL,
                  "token_embd.weight is [40, 96], expected [40, 64]");
    change_tensor("token_embd.weight", EMBD, 0, PD_TYPE_F32, false, PD_ERR_MODEL, "dimensions");
    change_tensor("output.weight", EMBD, VOCAB + 1, PD_TYPE_F32, true, PD_ERR_MODEL,
                  "output.weight");
    change_tensor("blk.0.attn_q.bias", EMBD, 0, PD_TYPE_F32, true, PD_ERR_UNSUPPORTED,
                  "blk.0.attn_q.bias belongs to no layer");
    change_tensor("blk.x", 1, 0, PD_TYPE_F32, true, PD_ERR_UNSUPPORTED, "blk.x");
    expect_good((variant){
        .key = "v.patch_embd.weight", .change = TENSOR, .added = true, .ne0 = 14, .ne1 = 14});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_binding_by_name),
        cmocka_unit_test(test_tensors),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
