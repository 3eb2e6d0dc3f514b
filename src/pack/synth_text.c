/* What `synth` writes for a text model: its shape, settings, vocabulary and tensors.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "pack/synth.h"

/* Hyper-parameters of the released models. "tiny" has every feature at the smallest size: local and
 * global layers, grouped heads, a window that even short prompts leave. */
static const synth_shape presets[] = {
    /* name  layers  embd    ff  heads kv  hd    vocab     ctx window factor */
    {"tiny", 7, 128, 256, 4, 2, 64, 1024, 2048, 16, 1},
    {"270m", 18, 640, 2048, 4, 1, 256, 262144, 32768, 512, 1},
    {"1b", 26, 1152, 6912, 4, 1, 256, 262144, 32768, 512, 1},
    {"4b", 34, 2560, 10240, 8, 4, 256, 262208, 131072, 1024, 8},
    {"12b", 48, 3840, 15360, 16, 8, 256, 262208, 131072, 1024, 8},
    {"27b", 62, 5376, 21504, 32, 16, 128, 262208, 131072, 1024, 8},
    /* For tests of kernels: few sizes are multiples of what these work on, nor of a page. */
    {"odd", 6, 160, 352, 4, 2, 96, 1003, 2048, 24, 1},
    {"odd256", 6, 256, 768, 4, 1, 256, 1003, 2048, 65, 8},
};

static const char chat_template[] =
    "{{ bos_token }}{% for m in messages %}<start_of_turn>"
    "{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}";

/* ---- what is asked for ----------------------------------------------------------------------- */

pd_status synth_preset(const char *name, const synth_shape **out, pd_error *err) {
    *out = &presets[0];
    if (!name) return PD_OK;
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        *out = &presets[i];
        if (strcmp(presets[i].name, name) == 0) return PD_OK;
    }
    pd_status status = PD_RAISE(err, PD_ERR_ARGUMENT, "there is no preset \"%.40s\"", name);
    return pd_error_hint(err, status, "tiny, 270m, 1b, 4b, 12b, 27b");
}

/* 0: as the preset has it. */
static pd_status override(const char *what, uint32_t n, uint32_t min, uint32_t max, uint32_t *out,
                          pd_error *err) {
    if (n == 0) return PD_OK;
    if (n < min || n > max)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s must be from %u to %u, but is %u", what, min, max,
                        n);
    *out = n;
    return PD_OK;
}

static pd_status read_shape(const pd_synth_desc *desc, synth_shape *out, pd_error *err) {
    const synth_shape *preset;
    PD_TRY(synth_preset(desc->preset, &preset, err));
    *out = *preset;
    PD_TRY(override("n_vocab", desc->n_vocab, 600, 262208, &out->n_vocab, err));
    PD_TRY(override("n_layers", desc->n_layers, 1, 256, &out->n_layers, err));
    return override("n_ctx", desc->n_ctx, 64, 1 << 24, &out->n_ctx, err);
}

static pd_status read_types(const pd_synth_desc *desc, synth_text *t, pd_error *err) {
    PD_TRY(pack_type("the matrices", desc->type, PD_TYPE_Q4_0, &t->type, err));
    PD_TRY(pack_type("the embedding", desc->embedding, pd_type_embedding(t->type), &t->embd_type,
                     err));
    if (!desc->embedding || pd_type_fitting(t->embd_type, t->shape.n_embd) == t->embd_type)
        return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT,
                    "--embd-type %s has blocks of %u values, but a row has %u", desc->embedding,
                    pd_type_get(t->embd_type)->block_values, t->shape.n_embd);
}

pd_status synth_text_read(const pd_synth_desc *desc, synth_text *out, pd_error *err) {
    *out = (synth_text){0};
    PD_TRY(read_shape(desc, &out->shape, err));
    PD_TRY(read_types(desc, out, err));
    if (desc->tokenizer) {
        PD_TRY(pd_hf_tokenizer_read(desc->tokenizer, &out->vocab, err));
    } else {
        PD_TRY(synth_make_vocab(&out->vocab, err));
    }
    return pd_hf_tokenizer_resize(&out->vocab, out->shape.n_vocab, err);
}

void synth_text_free(synth_text *t) {
    pd_hf_tokenizer_free(&t->vocab);
}

/* ---- settings and tensors -------------------------------------------------------------------- */

void synth_text_write_values(const synth_text *t, pd_gguf_writer *w) {
    const synth_shape *s = &t->shape;
    char name[64];
    snprintf(name, sizeof name, "synthetic gemma 3 %s", s->name);
    pd_gguf_write_string(w, "general.architecture", "gemma3");
    pd_gguf_write_string(w, "general.name", name);
    pd_gguf_write_string(w, "general.description", "random weights, made by peridot synth");
    pd_gguf_write_u32(w, "general.file_type", pd_type_file_number(t->type));
    pd_gguf_write_u32(w, "gemma3.context_length", s->n_ctx);
    pd_gguf_write_u32(w, "gemma3.embedding_length", s->n_embd);
    pd_gguf_write_u32(w, "gemma3.block_count", s->n_layers);
    pd_gguf_write_u32(w, "gemma3.feed_forward_length", s->n_ff);
    pd_gguf_write_u32(w, "gemma3.attention.head_count", s->n_heads);
    pd_gguf_write_u32(w, "gemma3.attention.head_count_kv", s->n_kv_heads);
    pd_gguf_write_u32(w, "gemma3.attention.key_length", s->head_dim);
    pd_gguf_write_u32(w, "gemma3.attention.value_length", s->head_dim);
    pd_gguf_write_f32(w, "gemma3.attention.layer_norm_rms_epsilon", 1e-6f);
    pd_gguf_write_u32(w, "gemma3.attention.sliding_window", s->window);
    pd_gguf_write_f32(w, "gemma3.rope.freq_base", 1e6f);
    if (s->rope_factor != 1.0f) {
        pd_gguf_write_string(w, "gemma3.rope.scaling.type", "linear");
        pd_gguf_write_f32(w, "gemma3.rope.scaling.factor", s->rope_factor);
    }
    pd_hf_tokenizer_write(&t->vocab, PD_TOKEN_END_OF_TURN, w);
    pd_gguf_write_string(w, "tokenizer.chat_template", chat_template);
}

/* What layers add must outweigh the token's own embedding; or else, the head being that same
 * matrix, every token would be its own most probable successor. */
#define BRANCH_MEAN 2.0f

static void add_layer(synth_list *l, const synth_shape *s, pd_type type, uint32_t i) {
    uint64_t q_width = (uint64_t)s->n_heads * s->head_dim;
    uint64_t kv_width = (uint64_t)s->n_kv_heads * s->head_dim;
    synth_add_vector(l, s->n_embd, 1.0f, 0.2f, "blk.%u.attn_norm.weight", i);
    synth_add_matrix(l, type, q_width, s->n_embd, "blk.%u.attn_q.weight", i);
    synth_add_matrix(l, type, kv_width, s->n_embd, "blk.%u.attn_k.weight", i);
    synth_add_matrix(l, type, kv_width, s->n_embd, "blk.%u.attn_v.weight", i);
    synth_add_vector(l, s->head_dim, 1.0f, 0.2f, "blk.%u.attn_q_norm.weight", i);
    synth_add_vector(l, s->head_dim, 1.0f, 0.2f, "blk.%u.attn_k_norm.weight", i);
    synth_add_matrix(l, type, s->n_embd, q_width, "blk.%u.attn_output.weight", i);
    synth_add_vector(l, s->n_embd, BRANCH_MEAN, 0.2f, "blk.%u.post_attention_norm.weight", i);
    synth_add_vector(l, s->n_embd, 1.0f, 0.2f, "blk.%u.ffn_norm.weight", i);
    synth_add_matrix(l, type, s->n_ff, s->n_embd, "blk.%u.ffn_gate.weight", i);
    synth_add_matrix(l, type, s->n_ff, s->n_embd, "blk.%u.ffn_up.weight", i);
    synth_add_matrix(l, type, s->n_embd, s->n_ff, "blk.%u.ffn_down.weight", i);
    synth_add_vector(l, s->n_embd, BRANCH_MEAN, 0.2f, "blk.%u.post_ffw_norm.weight", i);
}

pd_status synth_text_list(const synth_text *t, synth_list *out, pd_error *err) {
    const synth_shape *s = &t->shape;
    PD_TRY(synth_list_create(13 * s->n_layers + 2, out, err));
    synth_add_matrix(out, t->embd_type, s->n_vocab, s->n_embd, "token_embd.weight");
    for (uint32_t i = 0; i < s->n_layers; i++) add_layer(out, s, t->type, i);
    /* Larger than the others, so that the logits are spread enough to have clear favourites. */
    synth_add_vector(out, s->n_embd, 4.0f, 0.5f, "output_norm.weight");
    return PD_OK;
}
