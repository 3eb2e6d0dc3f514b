/* Binds an image encoder's tensors by name.
 *
 * One table lists the pairs of weight and bias of a layer: name, places in pd_vision_layer, and
 * shape in terms of the settings. A tensor of the tower or the projector that no table knows is
 * refused, because leaving it out would compute something else than the file means.
 *
 * Names: llama.cpp's clip-impl.h. In files whose feed-forward names are swapped, a layer's "ffn_up"
 * has the shape of ffn_down and the reverse; the biases go along. With n_ff equal to the width the
 * shapes say nothing, and the names are taken as right.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/vision_weights.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/bind.h"

typedef enum width { WIDTH_ONE, WIDTH_EMBD, WIDTH_FF } width;

typedef struct layer_row {
    const char *name;       /* between "v.blk.N." and ".weight" or ".bias" */
    size_t weight, bias;    /* of the pointers in pd_vision_layer */
    width rows, cols;       /* rows WIDTH_ONE: a LayerNorm */
    const char *other_name; /* in files with swapped names */
} layer_row;

#define AT(field) offsetof(pd_vision_layer, field)
static const layer_row layer_rows[] = {
    {"ln1", AT(ln1_weight), AT(ln1_bias), WIDTH_ONE, WIDTH_EMBD, "ln1"},
    {"attn_q", AT(attn_q), AT(attn_q_bias), WIDTH_EMBD, WIDTH_EMBD, "attn_q"},
    {"attn_k", AT(attn_k), AT(attn_k_bias), WIDTH_EMBD, WIDTH_EMBD, "attn_k"},
    {"attn_v", AT(attn_v), AT(attn_v_bias), WIDTH_EMBD, WIDTH_EMBD, "attn_v"},
    {"attn_out", AT(attn_out), AT(attn_out_bias), WIDTH_EMBD, WIDTH_EMBD, "attn_out"},
    {"ln2", AT(ln2_weight), AT(ln2_bias), WIDTH_ONE, WIDTH_EMBD, "ln2"},
    {"ffn_up", AT(ffn_up), AT(ffn_up_bias), WIDTH_FF, WIDTH_EMBD, "ffn_down"},
    {"ffn_down", AT(ffn_down), AT(ffn_down_bias), WIDTH_EMBD, WIDTH_FF, "ffn_up"},
};
#undef AT
enum { N_LAYER_ROWS = sizeof layer_rows / sizeof layer_rows[0], N_TYPE_IDS = PD_TYPE_BF16 + 1 };

typedef struct binding {
    const pd_gguf *file;
    const pd_vision_config *config;
    pd_vision_weights *out;
    uint32_t n_of_type[N_TYPE_IDS]; /* matrices of layers */
} binding;

static uint64_t width_values(const pd_vision_config *c, width w) {
    switch (w) {
    case WIDTH_ONE: return 1;
    case WIDTH_EMBD: return c->n_embd;
    case WIDTH_FF: return c->n_ff;
    }
    return 0;
}

static const pd_tensor **field_of(pd_vision_layer *layer, size_t at) {
    return (const pd_tensor **)(void *)((char *)layer + at);
}

static pd_status raise_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the image encoder");
}

/* ---- tensors of the weights' own ----------------------------------------------------------- */

/* A matrix of that shape and type; its data, zeroed, are at *data unless that is NULL. */
static pd_tensor *own_tensor(binding *b, const char *name, uint64_t rows, uint64_t cols,
                             pd_type type, uint8_t **data) {
    pd_tensor *t = pd_arena_alloc(&b->out->owned, 1, sizeof *t);
    if (!t) return NULL;
    snprintf(t->name, sizeof t->name, "%s", name);
    t->type = type;
    t->n_dims = rows == 1 ? 1 : 2;
    t->ne[0] = cols;
    t->ne[1] = rows;
    t->ne[2] = t->ne[3] = 1;
    t->n_bytes = rows * pd_type_row_bytes(pd_type_get((uint32_t)type), cols);
    if (!data) return t;
    *data = pd_arena_alloc(&b->out->owned, 1, (size_t)t->n_bytes);
    t->data = *data;
    return *data ? t : NULL;
}

/* `t` as [rows, cols] of F32: itself when it is that already. */
static pd_status make_f32(binding *b, uint64_t rows, uint64_t cols, const pd_tensor **t,
                          pd_error *err) {
    const pd_tensor *stored = *t;
    uint8_t *data;
    if (stored->type == PD_TYPE_F32) return PD_OK;
    *t = own_tensor(b, stored->name, rows, cols, PD_TYPE_F32, &data);
    if (!*t) return raise_memory(err);
    pd_decode(stored->type, stored->data, rows * cols, (float *)(void *)data);
    return PD_OK;
}

static void transpose(const pd_tensor *from, uint8_t *to) {
    uint64_t n_cols = from->ne[0], n_rows = from->ne[1];
    size_t size = from->type == PD_TYPE_F32 ? 4 : 2;
    for (uint64_t r = 0; r < n_rows; r++) {
        const uint8_t *at = from->data + r * n_cols * size;
        for (uint64_t c = 0; c < n_cols; c++, at += size)
            memcpy(to + (c * n_rows + r) * size, at, size);
    }
}

/* ---- single tensors ------------------------------------------------------------------------ */

static pd_status bind_values(binding *b, const char *name, uint64_t rows, uint64_t cols,
                             const pd_tensor **out, pd_error *err) {
    PD_TRY(pd_tensor_bind(b->file, name, rows, cols, out, err));
    b->out->n_params += rows * cols;
    return make_f32(b, rows, cols, out, err);
}

/* Stored as [out, channel, y, x], which is a matrix but for its name. */
static pd_status bind_patches(binding *b, pd_error *err) {
    static const char name[] = "v.patch_embd.weight";
    const uint64_t side = b->config->patch_size, rows = b->config->n_embd;
    const pd_tensor *t = pd_gguf_find_tensor(b->file, name);
    char shape[96] = "absent";
    if (t) pd_tensor_shape_text(t, shape, sizeof shape);
    if (!t || t->ne[0] != side || t->ne[1] != side || t->ne[2] != PD_IMAGE_CHANNELS ||
        t->ne[3] != rows)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "the tensor %s is %s, expected [%" PRIu64 ", %d, %" PRIu64 ", %" PRIu64 "]",
                        name, shape, rows, PD_IMAGE_CHANNELS, side, side);
    uint64_t cols = PD_IMAGE_CHANNELS * side * side;
    b->out->n_params += rows * cols;
    if (pd_type_get((uint32_t)t->type)->block_values != 1) {
        b->out->patch_embd = t;
        return make_f32(b, rows, cols, &b->out->patch_embd, err);
    }
    pd_tensor *view = own_tensor(b, name, rows, cols, t->type, NULL);
    if (!view) return raise_memory(err);
    view->data = t->data;
    view->part = t->part;
    view->offset = t->offset;
    b->out->patch_embd = view;
    return PD_OK;
}

static pd_status bind_projection(binding *b, pd_error *err) {
    static const char name[] = "mm.input_projection.weight";
    const uint64_t rows = b->config->n_embd, cols = b->config->n_embd_out;
    const pd_tensor *stored;
    uint8_t *data;
    PD_TRY(pd_tensor_bind(b->file, name, rows, cols, &stored, err));
    b->out->n_params += rows * cols;
    if (pd_type_get((uint32_t)stored->type)->block_values != 1)
        PD_TRY(make_f32(b, rows, cols, &stored, err));
    b->out->projection = own_tensor(b, name, cols, rows, stored->type, &data);
    if (!b->out->projection) return raise_memory(err);
    transpose(stored, data);
    return PD_OK;
}

/* ---- layers -------------------------------------------------------------------------------- */

static void layer_tensor_name(char out[64], uint32_t i, const char *name, const char *what) {
    snprintf(out, 64, "v.blk.%" PRIu32 ".%s.%s", i, name, what);
}

/* Does "ffn_up" of layer i have the shape of ffn_down? */
static bool names_are_swapped(const binding *b, uint32_t i) {
    char name[64];
    layer_tensor_name(name, i, "ffn_up", "weight");
    const pd_tensor *t = pd_gguf_find_tensor(b->file, name);
    uint64_t embd = b->config->n_embd, ff = b->config->n_ff;
    return t && embd != ff && t->ne[0] == ff && t->ne[1] == embd;
}

static pd_status bind_layer(binding *b, uint32_t i, pd_error *err) {
    pd_vision_layer *layer = &b->out->layers[i];
    bool swapped = names_are_swapped(b, i);
    for (size_t k = 0; k < N_LAYER_ROWS; k++) {
        const layer_row *row = &layer_rows[k];
        uint64_t rows = width_values(b->config, row->rows);
        uint64_t cols = width_values(b->config, row->cols);
        const pd_tensor **weight = field_of(layer, row->weight);
        bool is_norm = row->rows == WIDTH_ONE;
        const char *base = swapped ? row->other_name : row->name;
        char name[64];
        layer_tensor_name(name, i, base, "weight");
        if (is_norm) {
            PD_TRY(bind_values(b, name, rows, cols, weight, err));
        } else {
            PD_TRY(pd_tensor_bind(b->file, name, rows, cols, weight, err));
            b->out->n_params += rows * cols;
            b->n_of_type[(*weight)->type]++;
        }
        layer_tensor_name(name, i, base, "bias");
        PD_TRY(bind_values(b, name, 1, is_norm ? cols : rows, field_of(layer, row->bias), err));
    }
    return PD_OK;
}

/* ---- strangers ----------------------------------------------------------------------------- */

static bool is_pair(const char *name, const char *base) {
    size_t n = strlen(base);
    return strncmp(name, base, n) == 0 &&
           (strcmp(name + n, ".weight") == 0 || strcmp(name + n, ".bias") == 0);
}

static bool is_known(const pd_vision_config *c, const char *name) {
    static const char *const single[] = {"v.position_embd.weight", "mm.soft_emb_norm.weight",
                                         "mm.input_projection.weight"};
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
        if (strcmp(name, single[i]) == 0) return true;
    if (is_pair(name, "v.patch_embd") || is_pair(name, "v.post_ln")) return true;
    if (strncmp(name, "v.blk.", 6) != 0) return false;
    char *end;
    unsigned long layer = strtoul(name + 6, &end, 10);
    if (layer >= c->n_layers || *end != '.') return false;
    for (size_t k = 0; k < N_LAYER_ROWS; k++)
        if (is_pair(end + 1, layer_rows[k].name)) return true;
    return false;
}

static pd_status refuse_strangers(const binding *b, pd_error *err) {
    for (uint64_t i = 0; i < pd_gguf_tensor_count(b->file); i++) {
        const char *name = pd_gguf_tensor_at(b->file, i)->name;
        bool ours = strncmp(name, "v.", 2) == 0 || strncmp(name, "mm.", 3) == 0;
        if (!ours || is_known(b->config, name)) continue;
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "the tensor %s has no place in Gemma 3's image encoder with %" PRIu32
                        " layers",
                        name, b->config->n_layers);
    }
    return PD_OK;
}

/* ---- all of it ----------------------------------------------------------------------------- */

static pd_status bind_all(binding *b, pd_error *err) {
    pd_vision_weights *w = b->out;
    const uint64_t embd = b->config->n_embd, patches = b->config->grid * b->config->grid;
    PD_TRY(bind_patches(b, err));
    PD_TRY(bind_values(b, "v.patch_embd.bias", 1, embd, &w->patch_bias, err));
    PD_TRY(bind_values(b, "v.position_embd.weight", patches, embd, &w->position_embd, err));
    for (uint32_t i = 0; i < b->config->n_layers; i++) PD_TRY(bind_layer(b, i, err));
    PD_TRY(bind_values(b, "v.post_ln.weight", 1, embd, &w->post_ln_weight, err));
    PD_TRY(bind_values(b, "v.post_ln.bias", 1, embd, &w->post_ln_bias, err));
    PD_TRY(bind_values(b, "mm.soft_emb_norm.weight", 1, embd, &w->soft_emb_norm, err));
    PD_TRY(bind_projection(b, err));
    return refuse_strangers(b, err);
}

pd_status pd_vision_weights_bind(const pd_gguf *g, const pd_vision_config *config,
                                 pd_vision_weights *out, pd_error *err) {
    *out = (pd_vision_weights){0};
    binding b = {.file = g, .config = config, .out = out};
    pd_status status = bind_all(&b, err);
    for (uint32_t type = 0; type < N_TYPE_IDS; type++)
        if (b.n_of_type[type] > b.n_of_type[out->main_type]) out->main_type = (pd_type)type;
    if (status != PD_OK) pd_vision_weights_free(out);
    return status;
}

void pd_vision_weights_free(pd_vision_weights *w) {
    pd_arena_destroy(&w->owned);
    *w = (pd_vision_weights){0};
}
