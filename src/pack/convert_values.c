/* The metadata of converted files: the keys and values that llama.cpp's converter writes for
 * Gemma 3 (architectures "gemma3" and "clip").
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "pack/convert.h"

enum {
    QUANTIZATION_VERSION = 2, /* ggml's GGML_QNT_VERSION: the layouts of quant.c */
    ASSUMED_PATTERN = 6       /* of global layers, where no key says it */
};

/* How many values the file has, in two digits or more: "270M", "3.9B". */
static void write_size_label(const convert_file *file, pd_gguf_writer *w) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < file->weights.n; i++) n += file->tensors[i].n_values;
    double unit = n >= 1000000000 ? 1e9 : n >= 1000000 ? 1e6 : 1e3;
    double scaled = (double)n / unit;
    char label[32];
    snprintf(label, sizeof label, "%.*f%c",
             scaled < 0.5   ? 2
             : scaled < 9.5 ? 1
                            : 0,
             scaled,
             n >= 1000000000 ? 'B'
             : n >= 1000000  ? 'M'
                             : 'K');
    pd_gguf_write_string(w, "general.size_label", label);
}

static void write_sampling(const pd_hf_sampling *s, pd_gguf_writer *w) {
    if (s->top_k) pd_gguf_write_i32(w, "general.sampling.top_k", (int32_t)s->top_k);
    if (s->top_p > 0) pd_gguf_write_f32(w, "general.sampling.top_p", s->top_p);
    if (s->temp > 0) pd_gguf_write_f32(w, "general.sampling.temp", s->temp);
}

static void write_general(const convert_job *job, const convert_file *file,
                          const char *architecture, const char *type, pd_gguf_writer *w) {
    pd_gguf_write_string(w, "general.architecture", architecture);
    pd_gguf_write_string(w, "general.type", type);
    pd_gguf_write_string(w, "general.name", job->name);
    write_size_label(file, w);
    pd_gguf_write_u32(w, "general.file_type", pd_type_file_number(file->type));
    pd_gguf_write_u32(w, "general.quantization_version", QUANTIZATION_VERSION);
}

/* One truth value per layer: true is a sliding one. */
static void write_layer_kinds(const pd_config *c, pd_gguf_writer *w) {
    static const char key[] = "gemma3.attention.sliding_window_pattern";
    uint8_t sliding[PD_MAX_LAYERS];
    for (uint32_t i = 0; i < c->n_layers; i++) sliding[i] = !c->layer_is_global[i];
    pd_gguf_value v = {.key = {key, strlen(key)},
                       .kind = PD_GGUF_ARRAY,
                       .item_kind = PD_GGUF_BOOL,
                       .count = c->n_layers,
                       .data = sliding,
                       .n_bytes = c->n_layers};
    pd_gguf_write_value(w, &v);
}

static void write_window(const pd_hf_config *hf, pd_gguf_writer *w) {
    if (hf->pattern == 1) return; /* every layer is global */
    pd_gguf_write_u32(w, "gemma3.attention.sliding_window", hf->text.window);
    if (hf->pattern == 0) {
        write_layer_kinds(&hf->text, w);
    } else if (hf->pattern != ASSUMED_PATTERN) {
        pd_gguf_write_u32(w, "gemma3.attention.sliding_window_pattern", hf->pattern);
    }
}

void convert_write_text_values(const convert_job *job, pd_gguf_writer *w) {
    const pd_config *c = &job->config.text;
    write_general(job, &job->text, "gemma3", "model", w);
    write_sampling(&job->config.sampling, w);
    pd_gguf_write_u32(w, "gemma3.context_length", c->n_ctx_train);
    pd_gguf_write_u32(w, "gemma3.embedding_length", c->n_embd);
    pd_gguf_write_u32(w, "gemma3.block_count", c->n_layers);
    pd_gguf_write_u32(w, "gemma3.feed_forward_length", c->n_ff);
    pd_gguf_write_u32(w, "gemma3.attention.head_count", c->n_heads);
    pd_gguf_write_u32(w, "gemma3.attention.head_count_kv", c->n_kv_heads);
    pd_gguf_write_u32(w, "gemma3.attention.key_length", c->head_dim);
    pd_gguf_write_u32(w, "gemma3.attention.value_length", c->head_dim);
    pd_gguf_write_f32(w, "gemma3.attention.layer_norm_rms_epsilon", c->norm_eps);
    write_window(&job->config, w);
    pd_gguf_write_f32(w, "gemma3.rope.freq_base", c->rope_base_global);
    pd_gguf_write_f32(w, "gemma3.rope.freq_base_swa", c->rope_base_local);
    if (job->config.rope_factor != 1) {
        pd_gguf_write_string(w, "gemma3.rope.scaling.type", "linear");
        pd_gguf_write_f32(w, "gemma3.rope.scaling.factor", job->config.rope_factor);
    }
    pd_hf_tokenizer_write(&job->vocab, job->eos, w);
    if (job->chat_template) pd_gguf_write_string(w, "tokenizer.chat_template", job->chat_template);
}

void convert_write_vision_values(const convert_job *job, pd_gguf_writer *w) {
    write_general(job, &job->vision, "clip", "mmproj", w);
    pd_vision_config_write(&job->config.vision, w);
}
