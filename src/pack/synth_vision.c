/* Settings and tensors of a made-up image encoder, with the names, shapes
 * and types that llama.cpp's converter gives them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <string.h>

#include "pack/synth.h"
#include "model/vision_config.h"

/* SigLIP as all released models have it; and a small one for the tiny model, whose window of 16
 * positions the 16 rows of an image just fit. Its heads are as large as the real ones', and as
 * there the blocks of quantised types divide the width but not n_ff. */
static const synth_vision tower = {"", 896, 14, 27, 1152, 4304, 16, 0, PD_TYPE_F16};
static const synth_vision tiny_tower = {"", 224, 14, 2, 288, 432, 4, 0, PD_TYPE_F16};

/* ---- what is asked for ----------------------------------------------------------------------- */

enum { POOL = 4 }; /* patches on a side of what is averaged into a row */

bool synth_vision_of(const synth_shape *text, synth_vision *out) {
    *out = strcmp(text->name, "tiny") == 0 ? tiny_tower : tower;
    out->name = text->name;
    out->n_embd_out = text->n_embd;
    return strcmp(text->name, "270m") != 0 && strcmp(text->name, "1b") != 0 &&
           strncmp(text->name, "odd", 3) != 0;
}

static pd_status refuse_text_fields(const pd_synth_desc *desc, pd_error *err) {
    if (!desc->embedding && !desc->n_vocab && !desc->n_ctx && !desc->tokenizer) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT,
                    "an image encoder has no embedding, n_vocab, n_ctx and tokenizer");
}

pd_status synth_vision_read(const pd_synth_desc *desc, synth_vision *out, pd_error *err) {
    const synth_shape *text;
    PD_TRY(refuse_text_fields(desc, err));
    PD_TRY(synth_preset(desc->preset, &text, err));
    if (!synth_vision_of(text, out))
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "--preset %s has no image encoder; 4b, 12b, 27b and tiny have one",
                        text->name);
    PD_TRY(pack_type("the matrices", desc->type, out->type, &out->type, err));
    if (desc->n_layers) out->n_layers = desc->n_layers;
    if (out->n_layers <= PD_MAX_VISION_LAYERS) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT, "--layers is %u, an image encoder has at most %d",
                    out->n_layers, PD_MAX_VISION_LAYERS);
}

/* ---- settings and tensors -------------------------------------------------------------------- */

void synth_vision_write_values(const synth_vision *v, pd_gguf_writer *w) {
    const pd_vision_config config = {.image_size = v->image_size,
                                     .patch_size = v->patch_size,
                                     .n_embd = v->n_embd,
                                     .n_ff = v->n_ff,
                                     .n_heads = v->n_heads,
                                     .n_layers = v->n_layers,
                                     .pool = POOL,
                                     .n_embd_out = v->n_embd_out,
                                     .norm_eps = 1e-6f,
                                     .mean = {0.5f, 0.5f, 0.5f},
                                     .std = {0.5f, 0.5f, 0.5f}};
    char name[64];
    snprintf(name, sizeof name, "synthetic siglip for gemma 3 %s", v->name);
    pd_gguf_write_string(w, "general.architecture", "clip");
    pd_gguf_write_string(w, "general.type", "mmproj");
    pd_gguf_write_string(w, "general.name", name);
    pd_gguf_write_string(w, "general.description", "random weights, made by peridot synth");
    pd_gguf_write_u32(w, "general.file_type", pd_type_file_number(v->type));
    pd_vision_config_write(&config, w);
}

static void add_linear(synth_list *l, const synth_vision *v, uint64_t rows, uint64_t cols,
                       uint32_t i, const char *name) {
    synth_add_matrix(l, v->type, rows, cols, "v.blk.%u.%s.weight", i, name);
    synth_add_vector(l, rows, 0.0f, 0.1f, "v.blk.%u.%s.bias", i, name);
}

static void add_layer(synth_list *l, const synth_vision *v, uint32_t i) {
    synth_add_vector(l, v->n_embd, 1.0f, 0.2f, "v.blk.%u.ln1.weight", i);
    synth_add_vector(l, v->n_embd, 0.0f, 0.1f, "v.blk.%u.ln1.bias", i);
    synth_add_vector(l, v->n_embd, 1.0f, 0.2f, "v.blk.%u.ln2.weight", i);
    synth_add_vector(l, v->n_embd, 0.0f, 0.1f, "v.blk.%u.ln2.bias", i);
    add_linear(l, v, v->n_ff, v->n_embd, i, "ffn_up");
    add_linear(l, v, v->n_embd, v->n_ff, i, "ffn_down");
    add_linear(l, v, v->n_embd, v->n_embd, i, "attn_k");
    add_linear(l, v, v->n_embd, v->n_embd, i, "attn_out");
    add_linear(l, v, v->n_embd, v->n_embd, i, "attn_q");
    add_linear(l, v, v->n_embd, v->n_embd, i, "attn_v");
}

/* A matrix [out, channel * y * x] under the four dimensions that the file gives it. */
static void add_patches(synth_list *l, const synth_vision *v) {
    uint64_t side = v->patch_size, cols = PD_IMAGE_CHANNELS * side * side;
    synth_tensor *t = synth_add_matrix(l, PD_TYPE_F32, v->n_embd, cols, "v.patch_embd.weight");
    t->n_dims = 4;
    t->ne[0] = t->ne[1] = side;
    t->ne[2] = PD_IMAGE_CHANNELS;
    t->ne[3] = v->n_embd;
}

pd_status synth_vision_list(const synth_vision *v, synth_list *out, pd_error *err) {
    const uint64_t grid = v->image_size / v->patch_size;
    /* The converter keeps the projection in 16 bits when it quantises the rest. Its rows belong to
     * inputs: the sum that makes an output has n_embd terms. */
    bool in_blocks = pd_type_get(v->type)->block_values != 1;
    PD_TRY(synth_list_create(16 * v->n_layers + 7, out, err));
    synth_tensor *t = synth_add_matrix(out, in_blocks ? PD_TYPE_F16 : v->type, v->n_embd,
                                       v->n_embd_out, "mm.input_projection.weight");
    t->std = 1.0f / sqrtf((float)v->n_embd);
    synth_add_vector(out, v->n_embd, 1.0f, 0.2f, "mm.soft_emb_norm.weight");
    synth_add_vector(out, v->n_embd, 0.0f, 0.1f, "v.patch_embd.bias");
    add_patches(out, v);
    t = synth_add_matrix(out, PD_TYPE_F32, grid * grid, v->n_embd, "v.position_embd.weight");
    t->std = 0.3f; /* beside patches of about 1 */
    for (uint32_t i = 0; i < v->n_layers; i++) add_layer(out, v, i);
    synth_add_vector(out, v->n_embd, 1.0f, 0.2f, "v.post_ln.weight");
    synth_add_vector(out, v->n_embd, 0.0f, 0.1f, "v.post_ln.bias");
    return PD_OK;
}
