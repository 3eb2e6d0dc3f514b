/* A small image encoder, of which one thing at a time differs (support_gguf_variants.h), and what
 * reading it gives.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_TESTS_SUPPORT_VISION_FILE_H
#define PERIDOT_TESTS_SUPPORT_VISION_FILE_H

#include "support_gguf_variants.h"

#include "model/vision_weights.h"

enum { IMAGE = 112, PATCH = 14, GRID = 8, EMBD = 32, FF = 48, HEADS = 2, LAYERS = 2, OUT = 64 };

/* ---- the file ------------------------------------------------------------------------------ */

/* Constant but for the first, see set_feed_forward. */
static variant sound_keys[] = {
    {.key = "clip.vision.feed_forward_length", .change = U32, .number = FF},
    {.key = "general.architecture", .change = TEXT, .text = "clip"},
    {.key = "general.name", .change = TEXT, .text = "small eye"},
    {.key = "clip.has_vision_encoder", .change = BOOL, .number = 1},
    {.key = "clip.projector_type", .change = TEXT, .text = "gemma3"},
    {.key = "clip.use_gelu", .change = BOOL, .number = 1},
    {.key = "clip.vision.image_size", .change = U32, .number = IMAGE},
    {.key = "clip.vision.patch_size", .change = U32, .number = PATCH},
    {.key = "clip.vision.embedding_length", .change = U32, .number = EMBD},
    {.key = "clip.vision.projection_dim", .change = U32, .number = OUT},
    {.key = "clip.vision.block_count", .change = U32, .number = LAYERS},
    {.key = "clip.vision.attention.head_count", .change = U32, .number = HEADS},
    {.key = "clip.vision.attention.layer_norm_epsilon", .change = F32, .number = 1e-6},
    {.key = "clip.vision.image_mean", .change = F32S, .number = 0.25, .count = 3},
    {.key = "clip.vision.image_std", .change = F32S, .number = 0.5, .count = 3},
};
enum { N_KEYS = sizeof sound_keys / sizeof sound_keys[0] };

/* How the feed-forward of the files from now on is made. */
static uint32_t n_ff = FF;
static bool is_swapped; /* fc1 is called ffn_down, fc2 ffn_up */

static inline void set_feed_forward(bool swapped, uint32_t n) {
    is_swapped = swapped;
    n_ff = n;
    sound_keys[0].number = n;
}

/* cols 1: a vector. */
static inline void add(const variant *v, const char *name, pd_type type, uint64_t rows,
                       uint64_t cols) {
    const uint64_t vector[4] = {rows, 1, 1, 1}, matrix[4] = {cols, rows, 1, 1};
    add_tensor(v, name, type, cols == 1 ? 1 : 2, cols == 1 ? vector : matrix);
}

static inline void add_linear(const variant *v, const char *name, uint64_t rows, uint64_t cols) {
    char full[80];
    snprintf(full, sizeof full, "%s.weight", name);
    add(v, full, cols == 1 ? PD_TYPE_F32 : PD_TYPE_F16, rows, cols);
    snprintf(full, sizeof full, "%s.bias", name);
    add(v, full, PD_TYPE_F32, rows, 1);
}

static inline void add_layer(const variant *v, unsigned i) {
    static const char *const square[] = {"attn_q", "attn_k", "attn_v", "attn_out"};
    static const char *const norms[] = {"ln1", "ln2"};
    char name[64];
    for (int k = 0; k < 4; k++) {
        snprintf(name, sizeof name, "v.blk.%u.%s", i, square[k]);
        add_linear(v, name, EMBD, EMBD);
    }
    for (int k = 0; k < 2; k++) {
        snprintf(name, sizeof name, "v.blk.%u.%s", i, norms[k]);
        add_linear(v, name, EMBD, 1);
    }
    snprintf(name, sizeof name, "v.blk.%u.%s", i, is_swapped ? "ffn_down" : "ffn_up");
    add_linear(v, name, n_ff, EMBD);
    snprintf(name, sizeof name, "v.blk.%u.%s", i, is_swapped ? "ffn_up" : "ffn_down");
    add_linear(v, name, EMBD, n_ff);
}

static inline void list_tensors(const variant *v) {
    tensors.n = 0;
    add(v, "mm.input_projection.weight", PD_TYPE_F16, EMBD, OUT);
    add(v, "mm.soft_emb_norm.weight", PD_TYPE_F32, EMBD, 1);
    const uint64_t patches[4] = {PATCH, PATCH, 3, EMBD};
    add_tensor(v, "v.patch_embd.weight", PD_TYPE_F32, 4, patches);
    add(v, "v.patch_embd.bias", PD_TYPE_F32, EMBD, 1);
    add(v, "v.position_embd.weight", PD_TYPE_F32, GRID * GRID, EMBD);
    for (unsigned i = 0; i < LAYERS; i++) add_layer(v, i);
    add_linear(v, "v.post_ln", EMBD, 1);
}

/* Multiples of 1/4 below 16, exact in every unquantised type. */
static inline float value_of(const char *name, uint64_t i) {
    return (float)((strlen(name) + 7 * i) % 61) / 4;
}

static inline void write_encoder(const variant *v) {
    pd_gguf_writer *w = begin_variant();
    write_keys(w, sound_keys, N_KEYS, v);
    list_tensors(v);
    write_tensors(w, v, value_of);
    end_variant(w, v);
}

/* ---- reading it ---------------------------------------------------------------------------- */

static pd_gguf *gguf;
static pd_vision_config config;
static pd_vision_weights weights;

static inline pd_status load_file(const char *file, pd_error *err) {
    gguf = NULL;
    weights = (pd_vision_weights){0};
    PD_TRY(pd_gguf_open(file, &gguf, err));
    PD_TRY(pd_vision_config_read(gguf, &config, err));
    return pd_vision_weights_bind(gguf, &config, &weights, err);
}

static inline void unload(void) {
    pd_vision_weights_free(&weights);
    pd_gguf_close(gguf);
}

/* Leaves file and weights open, for the caller to look and to unload. */
static inline void load_good(variant v) {
    pd_error err = {0};
    write_encoder(&v);
    if (load_file(in_folder(variant_name), &err) != PD_OK) fail_msg("%s", err.message);
}

static inline void expect_good(variant v) {
    load_good(v);
    unload();
}

static inline void expect_bad(variant v, pd_status status, const char *words) {
    pd_error err = {0};
    write_encoder(&v);
    pd_status found = load_file(in_folder(variant_name), &err);
    unload();
    expect_error(found, &err, status, words);
}

#endif
