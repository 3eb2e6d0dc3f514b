/* The table of names, and the prefixes.
 *
 * Easy to get wrong: post_attention_layernorm is applied to what attention gives, before it is
 * added; it is not the norm in front of the feed-forward part, which is pre_feedforward_layernorm.
 * The projection's name has no dot in front of "weight".
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/hf_names.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

/* ---- building a list ------------------------------------------------------------------------ */

typedef struct builder {
    pd_hf_weights *list;
    pd_hf_part part;
    uint32_t layer;
} builder;

/* The layer's number goes where the names have %u. */
static pd_hf_weight *add(const builder *b, pd_hf_role role, uint64_t rows, uint64_t cols,
                         const char *hf_name, const char *name) {
    pd_hf_weight *w = &b->list->items[b->list->n++];
    *w = (pd_hf_weight){b->part, role, "", "", rows ? 2 : 1, {rows ? rows : cols, 1, 1, 1}};
    if (rows) w->shape[1] = cols;
    snprintf(w->hf_name, sizeof w->hf_name, hf_name, b->layer);
    snprintf(w->name, sizeof w->name, name, b->layer);
    return w;
}

static void add_norm(const builder *b, uint64_t n, const char *hf_name, const char *name) {
    add(b, PD_HF_NORM, 0, n, hf_name, name);
}

static pd_status create(uint32_t room, pd_hf_weights *out, pd_error *err) {
    *out = (pd_hf_weights){.items = pd_alloc(room, sizeof *out->items)};
    return out->items ? PD_OK : PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a model");
}

void pd_hf_weights_free(pd_hf_weights *w) {
    pd_free(w->items);
    *w = (pd_hf_weights){0};
}

/* ---- text ----------------------------------------------------------------------------------- */

#define HF_LAYER "layers.%u."
#define LAYER    "blk.%u."

static void add_text_layer(const builder *b, const pd_config *c) {
    uint64_t h = c->n_embd, q = (uint64_t)c->n_heads * c->head_dim;
    uint64_t kv = (uint64_t)c->n_kv_heads * c->head_dim;
    add_norm(b, h, HF_LAYER "input_layernorm.weight", LAYER "attn_norm.weight");
    add(b, PD_HF_MATRIX, q, h, HF_LAYER "self_attn.q_proj.weight", LAYER "attn_q.weight");
    add(b, PD_HF_MATRIX, kv, h, HF_LAYER "self_attn.k_proj.weight", LAYER "attn_k.weight");
    add(b, PD_HF_MATRIX, kv, h, HF_LAYER "self_attn.v_proj.weight", LAYER "attn_v.weight");
    add_norm(b, c->head_dim, HF_LAYER "self_attn.q_norm.weight", LAYER "attn_q_norm.weight");
    add_norm(b, c->head_dim, HF_LAYER "self_attn.k_norm.weight", LAYER "attn_k_norm.weight");
    add(b, PD_HF_MATRIX, h, q, HF_LAYER "self_attn.o_proj.weight", LAYER "attn_output.weight");
    add_norm(b, h, HF_LAYER "post_attention_layernorm.weight", LAYER "post_attention_norm.weight");
    add_norm(b, h, HF_LAYER "pre_feedforward_layernorm.weight", LAYER "ffn_norm.weight");
    add(b, PD_HF_MATRIX, c->n_ff, h, HF_LAYER "mlp.gate_proj.weight", LAYER "ffn_gate.weight");
    add(b, PD_HF_MATRIX, c->n_ff, h, HF_LAYER "mlp.up_proj.weight", LAYER "ffn_up.weight");
    add(b, PD_HF_MATRIX, h, c->n_ff, HF_LAYER "mlp.down_proj.weight", LAYER "ffn_down.weight");
    add_norm(b, h, HF_LAYER "post_feedforward_layernorm.weight", LAYER "post_ffw_norm.weight");
}

pd_status pd_hf_text_weights(const pd_config *config, bool tied, pd_hf_weights *out,
                             pd_error *err) {
    PD_TRY(create(13 * config->n_layers + 3, out, err));
    builder b = {out, PD_HF_TEXT, 0};
    uint64_t h = config->n_embd, vocab = config->n_vocab;
    add(&b, PD_HF_EMBEDDING, vocab, h, "embed_tokens.weight", "token_embd.weight");
    for (; b.layer < config->n_layers; b.layer++) add_text_layer(&b, config);
    add_norm(&b, h, "norm.weight", "output_norm.weight");
    b.part = PD_HF_OUTPUT;
    if (!tied) add(&b, PD_HF_EMBEDDING, vocab, h, "lm_head.weight", "output.weight");
    return PD_OK;
}

/* ---- images --------------------------------------------------------------------------------- */

#define HF_BLOCK "encoder.layers.%u."
#define BLOCK    "v.blk.%u."

#define ADD_PAIR(b, role, rows, cols, n_bias, hf_name, name)                                       \
    do {                                                                                           \
        add(b, role, rows, cols, hf_name ".weight", name ".weight");                               \
        add(b, PD_HF_VECTOR, 0, n_bias, hf_name ".bias", name ".bias");                            \
    } while (0)

static void add_vision_layer(const builder *b, const pd_vision_config *c) {
    uint64_t h = c->n_embd, f = c->n_ff;
    ADD_PAIR(b, PD_HF_VECTOR, 0, h, h, HF_BLOCK "layer_norm1", BLOCK "ln1");
    ADD_PAIR(b, PD_HF_MATRIX, h, h, h, HF_BLOCK "self_attn.q_proj", BLOCK "attn_q");
    ADD_PAIR(b, PD_HF_MATRIX, h, h, h, HF_BLOCK "self_attn.k_proj", BLOCK "attn_k");
    ADD_PAIR(b, PD_HF_MATRIX, h, h, h, HF_BLOCK "self_attn.v_proj", BLOCK "attn_v");
    ADD_PAIR(b, PD_HF_MATRIX, h, h, h, HF_BLOCK "self_attn.out_proj", BLOCK "attn_out");
    ADD_PAIR(b, PD_HF_VECTOR, 0, h, h, HF_BLOCK "layer_norm2", BLOCK "ln2");
    ADD_PAIR(b, PD_HF_MATRIX, f, h, f, HF_BLOCK "mlp.fc1", BLOCK "ffn_up");
    ADD_PAIR(b, PD_HF_MATRIX, h, f, h, HF_BLOCK "mlp.fc2", BLOCK "ffn_down");
}

static void add_patches(const builder *b, const pd_vision_config *c) {
    pd_hf_weight *w = add(b, PD_HF_PATCHES, c->n_embd, PD_IMAGE_CHANNELS,
                          "embeddings.patch_embedding.weight", "v.patch_embd.weight");
    w->n_dims = 4;
    w->shape[2] = w->shape[3] = c->patch_size;
    add(b, PD_HF_VECTOR, 0, c->n_embd, "embeddings.patch_embedding.bias", "v.patch_embd.bias");
}

pd_status pd_hf_vision_weights(const pd_vision_config *config, pd_hf_weights *out, pd_error *err) {
    PD_TRY(create(16 * config->n_layers + 7, out, err));
    builder b = {out, PD_HF_PROJECTOR, 0};
    uint64_t h = config->n_embd, n_patches = (uint64_t)config->grid * config->grid;
    add(&b, PD_HF_PROJECTION, h, config->n_embd_out, "mm_input_projection_weight",
        "mm.input_projection.weight");
    add_norm(&b, h, "mm_soft_emb_norm.weight", "mm.soft_emb_norm.weight");
    b.part = PD_HF_TOWER;
    add_patches(&b, config);
    add(&b, PD_HF_POSITIONS, n_patches, h, "embeddings.position_embedding.weight",
        "v.position_embd.weight");
    for (; b.layer < config->n_layers; b.layer++) add_vision_layer(&b, config);
    ADD_PAIR(&b, PD_HF_VECTOR, 0, h, h, "post_layernorm", "v.post_ln");
    return PD_OK;
}

/* ---- prefixes ------------------------------------------------------------------------------- */

/* Longer ones first where one begins another. */
static const struct {
    const char *prefix;
    pd_hf_part part;
} prefixes[] = {
    {"model.multi_modal_projector.", PD_HF_PROJECTOR},
    {"multi_modal_projector.", PD_HF_PROJECTOR},
    {"model.vision_tower.vision_model.", PD_HF_TOWER},
    {"model.vision_tower.", PD_HF_TOWER},
    {"vision_tower.vision_model.", PD_HF_TOWER},
    {"vision_tower.", PD_HF_TOWER},
    {"language_model.model.", PD_HF_TEXT},
    {"model.language_model.", PD_HF_TEXT},
    {"language_model.lm_head.", PD_HF_OUTPUT},
    {"model.lm_head.", PD_HF_OUTPUT},
    {"lm_head.", PD_HF_OUTPUT},
    {"model.", PD_HF_TEXT},
};

const char *pd_hf_strip(const char *name, pd_hf_part *part) {
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t n = strlen(prefixes[i].prefix);
        if (strncmp(name, prefixes[i].prefix, n) != 0) continue;
        *part = prefixes[i].part;
        if (*part == PD_HF_OUTPUT) n -= strlen("lm_head.");
        return name + n;
    }
    *part = PD_HF_NO_PART;
    return name;
}

const pd_hf_weight *pd_hf_find(const pd_hf_weights *w, pd_hf_part part, const char *hf_name) {
    for (uint32_t i = 0; i < w->n; i++)
        if (w->items[i].part == part && strcmp(w->items[i].hf_name, hf_name) == 0)
            return &w->items[i];
    return NULL;
}
