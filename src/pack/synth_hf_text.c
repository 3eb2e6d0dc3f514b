/* The JSON files of a made-up checkpoint: settings as sparse as those of the released models, and
 * a tokenizer.json without merges, which no converter reads; and how files of the folder begin.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "pack/synth.h"

pd_status synth_hf_open(synth_hf_model *m, const char *name, pd_file_writer *out, pd_error *err) {
    const char *path = pd_arena_printf(&m->arena, "%s/%s", m->folder, name);
    if (!path || m->n_written == SYNTH_HF_MAX_FILES)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for \"%s\"", name);
    if (m->tokenizer) PD_TRY(pd_file_check_output(path, m->tokenizer, err));
    PD_TRY(pd_file_writer_open(path, out, err));
    m->written[m->n_written++] = path;
    return PD_OK;
}

static pd_status write_text(synth_hf_model *m, const char *name, const pd_bytes *text,
                            pd_error *err) {
    pd_file_writer w;
    if (text->failed) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for %s", name);
    PD_TRY(synth_hf_open(m, name, &w, err));
    pd_file_writer_write(&w, text->data, text->n);
    return pd_file_writer_commit(&w, err);
}

/* ---- settings ------------------------------------------------------------------------------- */

/* The 27B, and it alone, has another one than its heads' width: readers know it by its layers. */
static uint32_t attention_scalar(const synth_shape *s) {
    return s->n_layers == 62 ? s->n_embd / s->n_heads : s->head_dim;
}

static void put_shape(pd_bytes *b, const synth_shape *s) {
    pd_bytes_printf(b,
                    "\"model_type\": \"gemma3_text\", \"hidden_size\": %u, \"intermediate_size\": "
                    "%u, \"num_hidden_layers\": %u, \"num_attention_heads\": %u, "
                    "\"num_key_value_heads\": %u, \"sliding_window\": %u",
                    s->n_embd, s->n_ff, s->n_layers, s->n_heads, s->n_kv_heads, s->window);
    if (s->head_dim != 256)
        pd_bytes_printf(b, ", \"head_dim\": %u, \"query_pre_attn_scalar\": %u", s->head_dim,
                        attention_scalar(s));
    if (s->rope_factor != 1)
        pd_bytes_printf(b, ", \"rope_scaling\": {\"factor\": %.1f, \"rope_type\": \"linear\"}",
                        (double)s->rope_factor);
    if (s->n_ctx != 131072) pd_bytes_printf(b, ", \"max_position_embeddings\": %u", s->n_ctx);
}

static void put_nested(pd_bytes *b, const synth_hf_model *m) {
    const synth_vision *v = &m->vision;
    uint32_t side = v->image_size / v->patch_size / 4;
    pd_bytes_printf(b, "{\n  \"architectures\": [\"Gemma3ForConditionalGeneration\"],\n"
                       "  \"model_type\": \"gemma3\", \"eos_token_id\": [1, 106],\n"
                       "  \"image_token_index\": 262144, \"torch_dtype\": \"bfloat16\",\n");
    pd_bytes_printf(b, "  \"mm_tokens_per_image\": %u,\n  \"text_config\": {", side * side);
    put_shape(b, &m->text.shape);
    pd_bytes_printf(b,
                    "},\n  \"vision_config\": {\"model_type\": \"siglip_vision_model\", "
                    "\"hidden_size\": %u, \"image_size\": %u, \"intermediate_size\": %u, "
                    "\"num_attention_heads\": %u, \"num_hidden_layers\": %u, \"patch_size\": %u, "
                    "\"vision_use_head\": false}\n}\n",
                    v->n_embd, v->image_size, v->n_ff, v->n_heads, v->n_layers, v->patch_size);
}

static void put_flat(pd_bytes *b, const synth_hf_model *m) {
    pd_bytes_printf(b, "{\n  \"architectures\": [\"Gemma3ForCausalLM\"],\n  ");
    put_shape(b, &m->text.shape);
    pd_bytes_printf(b,
                    ",\n  \"vocab_size\": %u, \"rope_theta\": 1000000.0, "
                    "\"rope_local_base_freq\": 10000, \"rope_scaling\": null,\n"
                    "  \"sliding_window_pattern\": 6, \"final_logit_softcapping\": null,\n"
                    "  \"eos_token_id\": 1, \"torch_dtype\": \"bfloat16\"\n}\n",
                    m->n_rows);
}

static pd_status write_settings(synth_hf_model *m, pd_error *err) {
    pd_bytes b = {0};
    if (m->has_vision) {
        put_nested(&b, m);
    } else {
        put_flat(&b, m);
    }
    pd_status status = write_text(m, "config.json", &b, err);
    pd_bytes_free(&b);
    if (status != PD_OK) return status;
    pd_bytes_printf(&b, "{\"bos_token_id\": 2, \"do_sample\": true, \"eos_token_id\": [1, 106], "
                        "\"pad_token_id\": 0, \"top_k\": 64, \"top_p\": 0.95}\n");
    status = write_text(m, "generation_config.json", &b, err);
    pd_bytes_free(&b);
    if (status != PD_OK || !m->has_vision) return status;
    pd_bytes_printf(&b, "{\"image_processor_type\": \"Gemma3ImageProcessor\", \"image_mean\": [0.5,"
                        " 0.5, 0.5], \"image_std\": [0.5, 0.5, 0.5], \"rescale_factor\": "
                        "0.00392156862745098, \"resample\": 2}\n");
    status = write_text(m, "preprocessor_config.json", &b, err);
    pd_bytes_free(&b);
    return status;
}

/* ---- tokenizer ------------------------------------------------------------------------------ */

/* A token as JSON, the spaces of user-defined ones as U+2581 again. */
static void put_token(pd_bytes *b, pd_string s) {
    pd_bytes_write(b, "\"", 1);
    for (uint64_t i = 0; i < s.n; i++) {
        char c = s.data[i];
        if (c == ' ') {
            pd_bytes_write(b, "\xE2\x96\x81", 3);
        } else if (c == '"' || c == '\\') {
            pd_bytes_write(b, "\\", 1);
            pd_bytes_write(b, &c, 1);
        } else if ((unsigned char)c < 0x20) {
            pd_bytes_printf(b, "\\u%04x", (unsigned)c);
        } else {
            pd_bytes_write(b, &c, 1);
        }
    }
    pd_bytes_write(b, "\"", 1);
}

enum { TYPE_CONTROL = 3, TYPE_USER = 4, MASK = 4 };

static void put_added(pd_bytes *b, const pd_hf_tokenizer *t) {
    const char *separator = "";
    for (uint32_t i = 0; i < t->n; i++) {
        if (t->types[i] != TYPE_CONTROL && t->types[i] != TYPE_USER) continue;
        pd_string s = t->tokens[i];
        bool unused = s.n > 7 && memcmp(s.data, "<unused", 7) == 0;
        bool special = t->types[i] == TYPE_CONTROL && !unused && i != MASK;
        pd_bytes_printf(b, "%s\n    {\"id\": %u, \"content\": ", separator, i);
        put_token(b, s);
        pd_bytes_printf(b, ", \"special\": %s}", special ? "true" : "false");
        separator = ",";
    }
}

static pd_status write_tokenizer(synth_hf_model *m, pd_error *err) {
    const pd_hf_tokenizer *t = &m->text.vocab;
    pd_bytes b = {0};
    pd_bytes_printf(&b, "{\n  \"version\": \"1.0\",\n  \"added_tokens\": [");
    put_added(&b, t);
    if (m->has_vision)
        pd_bytes_printf(&b,
                        ",\n    {\"id\": %u, \"content\": \"<image_soft_token>\", "
                        "\"special\": true}",
                        PD_TOKEN_IMAGE);
    pd_bytes_printf(&b, "\n  ],\n  \"model\": {\"type\": \"BPE\", \"byte_fallback\": true, "
                        "\"unk_token\": \"<unk>\", \"vocab\": {");
    for (uint32_t i = 0; i < t->n; i++) {
        pd_bytes_printf(&b, i ? ",\n    " : "\n    ");
        put_token(&b, t->tokens[i]);
        pd_bytes_printf(&b, ": %u", i);
    }
    pd_bytes_printf(&b, "}, \"merges\": []}\n}\n");
    pd_status status = write_text(m, "tokenizer.json", &b, err);
    pd_bytes_free(&b);
    return status;
}

static pd_status write_tokenizer_settings(synth_hf_model *m, pd_error *err) {
    static const char text[] =
        "{\"bos_token\": \"<bos>\", \"eos_token\": \"<eos>\", \"chat_template\": \"{{ bos_token }}"
        "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}"
        "\\n{{ m.content | trim }}<end_of_turn>\\n{% endfor %}"
        "{% if add_generation_prompt %}<start_of_turn>model\\n{% endif %}\"}\n";
    pd_bytes b = {0};
    pd_bytes_write(&b, text, sizeof text - 1);
    pd_status status = write_text(m, "tokenizer_config.json", &b, err);
    pd_bytes_free(&b);
    return status;
}

pd_status synth_hf_write_texts(synth_hf_model *m, pd_error *err) {
    PD_TRY(write_settings(m, err));
    PD_TRY(write_tokenizer(m, err));
    return write_tokenizer_settings(m, err);
}
