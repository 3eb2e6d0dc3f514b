/* Binds tensors by name.
 *
 * One table lists a layer's tensors: name, place in pd_layer_weights, and shape in terms of the
 * settings. A tensor of a layer that the table does not know (a bias, another family's part) is
 * refused, because leaving it out would compute something else than the file means. Tensors outside
 * the layers that are not needed (vision parts in the same file) are left alone.
 *
 * Names: llama.cpp's gguf-py, architecture "gemma3".
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/weights.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "model/bind.h"

typedef enum width { WIDTH_ONE, WIDTH_EMBD, WIDTH_FF, WIDTH_Q, WIDTH_KV, WIDTH_HEAD } width;

typedef struct layer_row {
    const char *name; /* behind "blk.N." */
    size_t at;        /* of the pointer in pd_layer_weights */
    width rows, cols; /* rows WIDTH_ONE: a norm's vector */
} layer_row;

#define AT(field) offsetof(pd_layer_weights, field)
static const layer_row layer_rows[] = {
    {"attn_norm.weight", AT(attn_norm), WIDTH_ONE, WIDTH_EMBD},
    {"attn_q.weight", AT(attn_q), WIDTH_Q, WIDTH_EMBD},
    {"attn_k.weight", AT(attn_k), WIDTH_KV, WIDTH_EMBD},
    {"attn_v.weight", AT(attn_v), WIDTH_KV, WIDTH_EMBD},
    {"attn_q_norm.weight", AT(attn_q_norm), WIDTH_ONE, WIDTH_HEAD},
    {"attn_k_norm.weight", AT(attn_k_norm), WIDTH_ONE, WIDTH_HEAD},
    {"attn_output.weight", AT(attn_output), WIDTH_EMBD, WIDTH_Q},
    {"post_attention_norm.weight", AT(post_attn_norm), WIDTH_ONE, WIDTH_EMBD},
    {"ffn_norm.weight", AT(ffn_norm), WIDTH_ONE, WIDTH_EMBD},
    {"ffn_gate.weight", AT(ffn_gate), WIDTH_FF, WIDTH_EMBD},
    {"ffn_up.weight", AT(ffn_up), WIDTH_FF, WIDTH_EMBD},
    {"ffn_down.weight", AT(ffn_down), WIDTH_EMBD, WIDTH_FF},
    {"post_ffw_norm.weight", AT(post_ffn_norm), WIDTH_ONE, WIDTH_EMBD},
};
#undef AT
enum { N_LAYER_ROWS = sizeof layer_rows / sizeof layer_rows[0], N_TYPE_IDS = PD_TYPE_BF16 + 1 };

static uint64_t width_values(const pd_config *c, width w) {
    switch (w) {
    case WIDTH_ONE: return 1;
    case WIDTH_EMBD: return c->n_embd;
    case WIDTH_FF: return c->n_ff;
    case WIDTH_Q: return (uint64_t)c->n_heads * c->head_dim;
    case WIDTH_KV: return (uint64_t)c->n_kv_heads * c->head_dim;
    case WIDTH_HEAD: return c->head_dim;
    }
    return 0;
}

static const pd_tensor **field_of(pd_layer_weights *layer, const layer_row *row) {
    return (const pd_tensor **)(void *)((char *)layer + row->at);
}

/* ---- one tensor ---------------------------------------------------------------------------- */

static pd_status bind_norm(const pd_gguf *g, const char *name, uint64_t n, const pd_tensor **out,
                           pd_error *err) {
    PD_TRY(pd_tensor_bind(g, name, 1, n, out, err));
    if ((*out)->type == PD_TYPE_F32) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "the norm %s is stored as %s, Peridot handles norms in F32", name,
                    pd_type_name((uint32_t)(*out)->type));
}

/* ---- layers -------------------------------------------------------------------------------- */

static pd_status bind_layer(const pd_gguf *g, const pd_config *c, uint32_t i, pd_layer_weights *out,
                            pd_error *err) {
    for (size_t k = 0; k < N_LAYER_ROWS; k++) {
        const layer_row *row = &layer_rows[k];
        uint64_t rows = width_values(c, row->rows), cols = width_values(c, row->cols);
        const pd_tensor **field = field_of(out, row);
        char name[64];
        snprintf(name, sizeof name, "blk.%" PRIu32 ".%s", i, row->name);
        if (row->rows == WIDTH_ONE) {
            PD_TRY(bind_norm(g, name, cols, field, err));
        } else {
            PD_TRY(pd_tensor_bind(g, name, rows, cols, field, err));
        }
    }
    return PD_OK;
}

static bool is_layer_tensor(const pd_config *c, const char *name) {
    char *end;
    unsigned long layer = strtoul(name + 4, &end, 10);
    if (layer >= c->n_layers || *end != '.') return false;
    for (size_t k = 0; k < N_LAYER_ROWS; k++)
        if (strcmp(end + 1, layer_rows[k].name) == 0) return true;
    return false;
}

static pd_status refuse_strangers(const pd_gguf *g, const pd_config *c, pd_error *err) {
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++) {
        const char *name = pd_gguf_tensor_at(g, i)->name;
        if (strncmp(name, "blk.", 4) != 0 || is_layer_tensor(c, name)) continue;
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "the tensor %s belongs to no layer of a Gemma 3 with %" PRIu32 " layers",
                        name, c->n_layers);
    }
    return PD_OK;
}

/* ---- figures ------------------------------------------------------------------------------- */

static void count_tensor(pd_weights *w, const pd_tensor *t, bool is_matrix, uint32_t *n_of_type) {
    w->n_params += pd_tensor_values(t);
    if (!is_matrix) return;
    w->bytes_per_token += t->n_bytes;
    n_of_type[t->type]++;
}

static void derive_figures(const pd_config *c, pd_weights *w) {
    uint32_t n_of_type[N_TYPE_IDS] = {0};
    for (uint32_t i = 0; i < c->n_layers; i++)
        for (size_t k = 0; k < N_LAYER_ROWS; k++)
            count_tensor(w, *field_of(&w->layers[i], &layer_rows[k]),
                         layer_rows[k].rows != WIDTH_ONE, n_of_type);
    for (uint32_t type = 0; type < N_TYPE_IDS; type++)
        if (n_of_type[type] > n_of_type[w->main_type]) w->main_type = (pd_type)type;
    w->n_params += pd_tensor_values(w->token_embd) + pd_tensor_values(w->output_norm);
    if (w->output != w->token_embd) w->n_params += pd_tensor_values(w->output);
    w->bytes_per_token += w->output->n_bytes;
}

pd_status pd_weights_bind(const pd_gguf *g, const pd_config *config, pd_weights *out,
                          pd_error *err) {
    const pd_config *c = config;
    *out = (pd_weights){0};
    PD_TRY(pd_tensor_bind(g, "token_embd.weight", c->n_vocab, c->n_embd, &out->token_embd, err));
    PD_TRY(bind_norm(g, "output_norm.weight", c->n_embd, &out->output_norm, err));
    out->output = out->token_embd;
    if (pd_gguf_find_tensor(g, "output.weight"))
        PD_TRY(pd_tensor_bind(g, "output.weight", c->n_vocab, c->n_embd, &out->output, err));
    for (uint32_t i = 0; i < c->n_layers; i++) PD_TRY(bind_layer(g, c, i, &out->layers[i], err));
    PD_TRY(refuse_strangers(g, c, err));
    derive_figures(c, out);
    return PD_OK;
}
