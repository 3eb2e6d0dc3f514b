/* Hyper-parameters from config.json files as the released models have them, the names of tensors,
 * and what is refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_folder.h"

#include "model/hf_names.h"

static int remove_files(void **state) {
    unlink(in_folder("config.json"));
    unlink(in_folder("preprocessor_config.json"));
    unlink(in_folder("generation_config.json"));
    return remove_empty_folder(state);
}

static pd_hf_config read_good(const char *json) {
    pd_hf_config c;
    pd_error err;
    put_text("config.json", json);
    if (pd_hf_config_read(test_folder, &c, &err) != PD_OK) fail_msg("%s", err.message);
    return c;
}

#define SIGLIP                                                                                     \
    "\"vision_config\": {\"hidden_size\": 1152, \"image_size\": 896, \"intermediate_size\": "      \
    "4304, \"model_type\": \"siglip_vision_model\", \"num_attention_heads\": 16, "                 \
    "\"num_hidden_layers\": 27, \"patch_size\": 14, \"vision_use_head\": false}"
#define TEXT_4B                                                                                    \
    "\"hidden_size\": 2560, \"intermediate_size\": 10240, \"model_type\": \"gemma3_text\", "       \
    "\"num_hidden_layers\": 34, \"sliding_window\": 1024"

static void the_sparse_file_of_the_4b(void **state) {
    (void)state;
    pd_hf_config c = read_good(
        "{\"architectures\": [\"Gemma3ForConditionalGeneration\"], \"boi_token_index\": 255999, "
        "\"eos_token_id\": [1, 106], \"mm_tokens_per_image\": 256, \"model_type\": \"gemma3\", "
        "\"text_config\": {" TEXT_4B ", \"rope_scaling\": {\"factor\": 8.0, \"rope_type\": "
        "\"linear\"}}, " SIGLIP "}");
    const pd_config *t = &c.text;
    assert_int_equal(t->n_vocab, 0);
    assert_int_equal(t->n_embd, 2560);
    assert_int_equal(t->n_ff, 10240);
    assert_int_equal(t->n_layers, 34);
    assert_int_equal(t->n_heads, 8);
    assert_int_equal(t->n_kv_heads, 4);
    assert_int_equal(t->head_dim, 256);
    assert_int_equal(t->n_ctx_train, 131072);
    assert_int_equal(t->window, 1024);
    assert_true(t->attn_scale == 0.0625f);
    assert_true(t->norm_eps == 1e-6f);
    assert_true(t->rope_base_global == 1e6f && t->rope_base_local == 1e4f);
    assert_true(c.rope_factor == 8 && t->rope_scale_global == 0.125f);
    assert_int_equal(c.pattern, 6);
    for (uint32_t i = 0; i < 34; i++) assert_int_equal(t->layer_is_global[i], (i + 1) % 6 == 0);
    assert_true(c.tied && c.has_vision);
    assert_int_equal(c.eos, 0);
    assert_int_equal(c.vision.n_embd, 1152);
    assert_int_equal(c.vision.n_ff, 4304);
    assert_int_equal(c.vision.n_layers, 27);
    assert_int_equal(c.vision.head_dim, 72);
    assert_int_equal(c.vision.grid, 64);
    assert_int_equal(c.vision.pool, 4);
    assert_int_equal(c.vision.n_tokens, 256);
    assert_int_equal(c.vision.n_embd_out, 2560);
    assert_true(c.vision.norm_eps == 1e-6f && c.vision.mean[2] == 0.5f && c.vision.std[0] == 0.5f);
}

static void the_27b_has_its_own_scale(void **state) {
    (void)state;
    pd_hf_config c = read_good(
        "{\"model_type\": \"gemma3\", \"text_config\": {\"head_dim\": 128, \"hidden_size\": 5376, "
        "\"intermediate_size\": 21504, \"num_attention_heads\": 32, \"num_hidden_layers\": 62, "
        "\"num_key_value_heads\": 16, \"query_pre_attn_scalar\": 168, \"rope_scaling\": "
        "{\"factor\": 8.0, \"rope_type\": \"linear\"}, \"sliding_window\": 1024}, " SIGLIP "}");
    assert_int_equal(c.text.head_dim, 128);
    assert_true(c.text.attn_scale == 0.07715167498104596f);
}

static void the_complete_file_of_the_1b(void **state) {
    (void)state;
    pd_hf_config c = read_good(
        "{\"architectures\": [\"Gemma3ForCausalLM\"], \"attention_bias\": false, "
        "\"attn_logit_softcapping\": null, \"cache_implementation\": \"hybrid\", \"eos_token_id\": "
        "1, \"final_logit_softcapping\": null, \"head_dim\": 256, \"hidden_activation\": "
        "\"gelu_pytorch_tanh\", \"hidden_size\": 1152, \"intermediate_size\": 6912, "
        "\"max_position_embeddings\": 32768, \"model_type\": \"gemma3_text\", "
        "\"num_attention_heads\": 4, \"num_hidden_layers\": 26, \"num_key_value_heads\": 1, "
        "\"query_pre_attn_scalar\": 256, \"rms_norm_eps\": 1e-06, \"rope_local_base_freq\": 10000, "
        "\"rope_scaling\": null, \"rope_theta\": 1000000, \"sliding_window\": 512, "
        "\"sliding_window_pattern\": 6, \"vocab_size\": 262144}");
    assert_int_equal(c.text.n_vocab, 262144);
    assert_int_equal(c.text.n_heads, 4);
    assert_int_equal(c.text.n_kv_heads, 1);
    assert_int_equal(c.text.n_ctx_train, 32768);
    assert_int_equal(c.text.window, 512);
    assert_true(c.rope_factor == 1 && c.text.rope_scale_global == 1);
    assert_int_equal(c.eos, 1);
    assert_false(c.has_vision);
}

static void newer_fields_mean_the_same(void **state) {
    (void)state;
    pd_hf_config c = read_good(
        "{\"model_type\": \"gemma3\", \"text_config\": {" TEXT_4B ", \"rope_parameters\": "
        "{\"full_attention\": {\"factor\": 8.0, \"rope_theta\": 2000000.0, \"rope_type\": "
        "\"linear\"}, \"sliding_attention\": {\"rope_theta\": 20000.0, \"rope_type\": "
        "\"default\"}}, \"_sliding_window_pattern\": 3}, \"tie_word_embeddings\": false, " SIGLIP
        "}");
    assert_true(c.text.rope_base_global == 2e6f && c.text.rope_base_local == 2e4f);
    assert_true(c.rope_factor == 8);
    assert_int_equal(c.pattern, 3);
    assert_true(c.text.layer_is_global[2] && !c.text.layer_is_global[3]);
    assert_false(c.tied);
    c = read_good("{\"model_type\": \"gemma3_text\", \"num_hidden_layers\": 3, \"layer_types\": "
                  "[\"full_attention\", \"sliding_attention\", \"sliding_attention\"]}");
    assert_int_equal(c.pattern, 0);
    assert_true(c.text.layer_is_global[0] && !c.text.layer_is_global[2]);
    assert_int_equal(c.text.n_embd, 2304);
    assert_int_equal(c.text.window, 4096);
}

static void the_colours_range_is_read(void **state) {
    (void)state;
    put_text("preprocessor_config.json", "{\"image_mean\": [0.25, 0.5, 0.75], \"image_std\": "
                                         "[1, 0.5, 0.125]}");
    pd_hf_config c = read_good("{\"model_type\": \"gemma3\", \"text_config\": {}, " SIGLIP "}");
    assert_true(c.vision.mean[0] == 0.25f && c.vision.mean[2] == 0.75f);
    assert_true(c.vision.std[0] == 1 && c.vision.std[2] == 0.125f);
    unlink(in_folder("preprocessor_config.json"));
}

static void the_samplers_settings_are_read(void **state) {
    (void)state;
    pd_hf_config c = read_good("{\"model_type\": \"gemma3_text\"}");
    assert_true(c.sampling.top_k == 0 && c.sampling.top_p == 0 && c.sampling.temp == 0);
    put_text("generation_config.json",
             "{\"top_k\": 64, \"top_p\": 0.95, \"temperature\": 1.5, \"eos_token_id\": [1]}");
    c = read_good("{\"model_type\": \"gemma3_text\"}");
    assert_true(c.sampling.top_k == 64 && c.sampling.top_p == 0.95f && c.sampling.temp == 1.5f);
    put_text("generation_config.json", "{\"top_k\": -1, \"top_p\": \"0.9\", \"temperature\": 1e9}");
    c = read_good("{\"model_type\": \"gemma3_text\"}");
    assert_true(c.sampling.top_k == 0 && c.sampling.top_p == 0 && c.sampling.temp == 0);
    unlink(in_folder("generation_config.json"));
}

static void what_cannot_be_done_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *fields, *words;
        pd_status status;
    } cases[] = {
        {"\"model_type\": \"gemma2\"", "\"gemma2\"", PD_ERR_UNSUPPORTED},
        {"\"hidden_size\": 100", "multiples of 32", PD_ERR_UNSUPPORTED},
        {"\"hidden_size\": 0", "hidden_size", PD_ERR_MODEL},
        {"\"hidden_size\": \"2560\"", "hidden_size", PD_ERR_MODEL},
        {"\"num_hidden_layers\": 1e9", "num_hidden_layers", PD_ERR_MODEL},
        {"\"num_hidden_layers\": 2.5", "num_hidden_layers", PD_ERR_MODEL},
        {"\"num_key_value_heads\": 3", "num_attention_heads", PD_ERR_MODEL},
        {"\"query_pre_attn_scalar\": 168", "query_pre_attn_scalar", PD_ERR_UNSUPPORTED},
        {"\"final_logit_softcapping\": 30.0", "final_logit_softcapping", PD_ERR_UNSUPPORTED},
        {"\"attention_bias\": true", "attention_bias", PD_ERR_UNSUPPORTED},
        {"\"use_bidirectional_attention\": true", "bidirectional", PD_ERR_UNSUPPORTED},
        {"\"hidden_activation\": \"silu\"", "hidden_activation", PD_ERR_UNSUPPORTED},
        {"\"rope_scaling\": {\"rope_type\": \"yarn\"}", "\"yarn\"", PD_ERR_UNSUPPORTED},
        {"\"rope_scaling\": {\"factor\": 8.0}", "rope_scaling", PD_ERR_UNSUPPORTED},
        {"\"rope_scaling\": {\"rope_type\": null, \"factor\": 8.0}", "rope_scaling",
         PD_ERR_UNSUPPORTED},
        {"\"rope_scaling\": {\"rope_type\": \"default\", \"factor\": 8.0}", "rope_scaling",
         PD_ERR_UNSUPPORTED},
        {"\"rope_scaling\": {\"rope_type\": [\"linear\"], \"factor\": 8}", "rope_scaling",
         PD_ERR_UNSUPPORTED},
        {"\"rope_scaling\": {\"rope_type\": \"linear\"}", "no factor", PD_ERR_MODEL},
        {"\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 0}", "factor", PD_ERR_MODEL},
        {"\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 8, \"beta_fast\": 32}",
         "beta_fast", PD_ERR_UNSUPPORTED},
        {"\"rope_scaling\": 8", "rope_scaling", PD_ERR_UNSUPPORTED},
        {"\"rope_scaling\": \"nan\"", "rope_scaling", PD_ERR_UNSUPPORTED},
        {"\"rope_scaling\": [\"x\"]", "rope_scaling", PD_ERR_UNSUPPORTED},
        {"\"rope_parameters\": {\"full_attention\": 8}", "full_attention", PD_ERR_UNSUPPORTED},
        {"\"rope_parameters\": {\"full_attention\": {\"factor\": 8}}", "full_attention",
         PD_ERR_UNSUPPORTED},
        {"\"rope_parameters\": {\"full_attention\": {}, \"chunked\": {}}", "chunked",
         PD_ERR_UNSUPPORTED},
        {"\"rope_parameters\": {\"full_attention\": {}}, \"rope_scaling\": {\"rope_type\": "
         "\"linear\", \"factor\": 8}",
         "contradict", PD_ERR_MODEL},
        {"\"rope_parameters\": {}", "full_attention", PD_ERR_UNSUPPORTED},
        {"\"rope_theta\": -1", "rope_theta", PD_ERR_MODEL},
        {"\"layer_types\": [\"full_attention\"]", "1 entries for 26 layers", PD_ERR_MODEL},
        {"\"layer_types\": [\"chunked\"]", "\"chunked\"", PD_ERR_UNSUPPORTED},
        {"\"layer_types\": 6", "no list", PD_ERR_MODEL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char json[256];
        bool typed = strstr(cases[i].fields, "model_type");
        snprintf(json, sizeof json, "{%s%s}", cases[i].fields,
                 typed ? "" : ", \"model_type\": \"gemma3_text\"");
        put_text("config.json", json);
        pd_hf_config c;
        pd_error err = {0};
        pd_status status = pd_hf_config_read(test_folder, &c, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].words))
            fail_msg("%s: status %d, \"%s\"", json, (int)status, err.message);
    }
    pd_hf_config c;
    put_text("config.json", "{\"model_type\"");
    assert_int_equal(pd_hf_config_read(test_folder, &c, NULL), PD_ERR_FORMAT);
    assert_int_equal(pd_hf_config_read("/nonexistent", &c, NULL), PD_ERR_IO);
}

static void prefixes_are_cut_off(void **state) {
    (void)state;
    static const struct {
        const char *name, *rest;
        pd_hf_part part;
    } cases[] = {
        {"model.norm.weight", "norm.weight", PD_HF_TEXT},
        {"language_model.model.layers.1.mlp.up_proj.weight", "layers.1.mlp.up_proj.weight",
         PD_HF_TEXT},
        {"model.language_model.embed_tokens.weight", "embed_tokens.weight", PD_HF_TEXT},
        {"lm_head.weight", "lm_head.weight", PD_HF_OUTPUT},
        {"language_model.lm_head.weight", "lm_head.weight", PD_HF_OUTPUT},
        {"vision_tower.vision_model.post_layernorm.bias", "post_layernorm.bias", PD_HF_TOWER},
        {"model.vision_tower.vision_model.post_layernorm.bias", "post_layernorm.bias", PD_HF_TOWER},
        {"model.vision_tower.post_layernorm.bias", "post_layernorm.bias", PD_HF_TOWER},
        {"multi_modal_projector.mm_soft_emb_norm.weight", "mm_soft_emb_norm.weight",
         PD_HF_PROJECTOR},
        {"model.multi_modal_projector.mm_input_projection_weight", "mm_input_projection_weight",
         PD_HF_PROJECTOR},
        {"encoder.norm.weight", "encoder.norm.weight", PD_HF_NO_PART},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pd_hf_part part;
        assert_string_equal(pd_hf_strip(cases[i].name, &part), cases[i].rest);
        assert_int_equal(part, cases[i].part);
    }
}

/* As many tensors and values as the released 4B has. */
static void the_lists_are_complete(void **state) {
    (void)state;
    pd_hf_config c =
        read_good("{\"model_type\": \"gemma3\", \"text_config\": {" TEXT_4B "}, " SIGLIP "}");
    pd_hf_weights text, vision;
    c.text.n_vocab = 262208;
    assert_int_equal(pd_hf_text_weights(&c.text, true, &text, NULL), PD_OK);
    assert_int_equal(pd_hf_vision_weights(&c.vision, &vision, NULL), PD_OK);
    assert_int_equal(text.n, 444);
    assert_int_equal(vision.n, 439);
    uint64_t n_values = 0;
    const pd_hf_weights *both[] = {&text, &vision};
    for (int k = 0; k < 2; k++)
        for (uint32_t i = 0; i < both[k]->n; i++) {
            const uint64_t *s = both[k]->items[i].shape;
            n_values += s[0] * s[1] * s[2] * s[3];
        }
    assert_int_equal(2 * n_values, UINT64_C(8600158944)); /* total_size of its index */
    const pd_hf_weight *w =
        pd_hf_find(&text, PD_HF_TEXT, "layers.33.post_feedforward_layernorm.weight");
    assert_non_null(w);
    assert_string_equal(w->name, "blk.33.post_ffw_norm.weight");
    assert_int_equal(w->role, PD_HF_NORM);
    assert_null(pd_hf_find(&text, PD_HF_TOWER, "layers.33.post_feedforward_layernorm.weight"));
    pd_hf_weights_free(&text);
    pd_hf_weights_free(&vision);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sparse_file_of_the_4b),
        cmocka_unit_test(the_27b_has_its_own_scale),
        cmocka_unit_test(the_complete_file_of_the_1b),
        cmocka_unit_test(newer_fields_mean_the_same),
        cmocka_unit_test(the_colours_range_is_read),
        cmocka_unit_test(the_samplers_settings_are_read),
        cmocka_unit_test(what_cannot_be_done_is_refused),
        cmocka_unit_test(prefixes_are_cut_off),
        cmocka_unit_test(the_lists_are_complete),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_files);
}
