/* A small Gemma 3, of which one thing at a time differs (support_gguf_variants.h), and what reading
 * it gives.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_TESTS_SUPPORT_MODEL_FILE_H
#define PERIDOT_TESTS_SUPPORT_MODEL_FILE_H

#include "support_gguf_variants.h"

#include "model/weights.h"
#include "support_data.h"

enum { LAYERS = 7, EMBD = 64, FF = 96, HEADS = 2, KV_HEADS = 1, HEAD_DIM = 32, VOCAB = 40 };

/* ---- the file ------------------------------------------------------------------------------ */

static const variant sound_keys[] = {
    {.key = "general.architecture", .change = TEXT, .text = "gemma3"},
    {.key = "general.name", .change = TEXT, .text = "small one"},
    {.key = "gemma3.context_length", .change = U32, .number = 2048},
    {.key = "gemma3.embedding_length", .change = U32, .number = EMBD},
    {.key = "gemma3.block_count", .change = U32, .number = LAYERS},
    {.key = "gemma3.feed_forward_length", .change = U32, .number = FF},
    {.key = "gemma3.attention.head_count", .change = U32, .number = HEADS},
    {.key = "gemma3.attention.head_count_kv", .change = U32, .number = KV_HEADS},
    {.key = "gemma3.attention.key_length", .change = U32, .number = HEAD_DIM},
    {.key = "gemma3.attention.value_length", .change = U32, .number = HEAD_DIM},
    {.key = "gemma3.attention.layer_norm_rms_epsilon", .change = F32, .number = 1e-6},
    {.key = "gemma3.attention.sliding_window", .change = U32, .number = 16},
    {.key = "gemma3.rope.freq_base", .change = F32, .number = 1e6},
};
enum { N_KEYS = sizeof sound_keys / sizeof sound_keys[0] };

static const struct {
    const char *name;
    uint64_t ne0, ne1; /* ne1 0: a norm */
} sound_tensors[] = {
    {"attn_norm", EMBD, 0},
    {"attn_q", EMBD, HEADS *HEAD_DIM},
    {"attn_k", EMBD, KV_HEADS *HEAD_DIM},
    {"attn_v", EMBD, KV_HEADS *HEAD_DIM},
    {"attn_q_norm", HEAD_DIM, 0},
    {"attn_k_norm", HEAD_DIM, 0},
    {"attn_output", HEADS *HEAD_DIM, EMBD},
    {"post_attention_norm", EMBD, 0},
    {"ffn_norm", EMBD, 0},
    {"ffn_gate", EMBD, FF},
    {"ffn_up", EMBD, FF},
    {"ffn_down", FF, EMBD},
    {"post_ffw_norm", EMBD, 0},
};
enum { N_TENSORS = sizeof sound_tensors / sizeof sound_tensors[0] };

static inline void add(const variant *v, const char *name, uint64_t ne0, uint64_t ne1) {
    const uint64_t ne[4] = {ne0, ne1 ? ne1 : 1, 1, 1};
    add_tensor(v, name, ne1 ? PD_TYPE_Q4_0 : PD_TYPE_F32, ne1 ? 2 : 1, ne);
}

static inline void write_model(const variant *v) {
    char name[64];
    pd_gguf_writer *w = begin_variant();
    write_keys(w, sound_keys, N_KEYS, v);
    add(v, "token_embd.weight", EMBD, VOCAB);
    add(v, "output_norm.weight", EMBD, 0);
    for (unsigned i = 0; i < LAYERS; i++) {
        for (unsigned k = 0; k < N_TENSORS; k++) {
            snprintf(name, sizeof name, "blk.%u.%s.weight", i, sound_tensors[k].name);
            add(v, name, sound_tensors[k].ne0, sound_tensors[k].ne1);
        }
    }
    write_tensors(w, v, NULL);
    end_variant(w, v);
}

/* ---- reading it ---------------------------------------------------------------------------- */

static pd_gguf *gguf;
static pd_config config;
static pd_weights weights;

static inline pd_status load_file(const char *file, pd_error *err) {
    gguf = NULL;
    PD_TRY(pd_gguf_open(file, &gguf, err));
    PD_TRY(pd_config_read(gguf, &config, err));
    return pd_weights_bind(gguf, &config, &weights, err);
}

/* Leaves gguf open, for the caller to look and to close. */
static inline pd_status load(const variant *v, pd_error *err) {
    write_model(v);
    return load_file(in_folder(variant_name), err);
}

static inline void expect_good(variant v) {
    pd_error err = {0};
    if (load(&v, &err) != PD_OK) fail_msg("%s", err.message);
    pd_gguf_close(gguf);
}

static inline void expect_bad(variant v, pd_status status, const char *words) {
    pd_error err = {0};
    pd_status found = load(&v, &err);
    pd_gguf_close(gguf);
    expect_error(found, &err, status, words);
}

/* A golden model; its file is closed, what was read stays. */
static inline void load_golden(const char *name) {
    char file[512];
    pd_error err = {0};
    snprintf(file, sizeof file, "%s/%s", test_data("golden"), name);
    if (load_file(file, &err) != PD_OK) fail_msg("%s: %s", name, err.message);
    pd_gguf_close(gguf);
}

#endif
