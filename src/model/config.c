/* Reads and checks the hyper-parameters.
 *
 * Keys and defaults: llama.cpp's loader for the architecture "gemma3". Two things are in no key:
 * the attention scale of the 27B, which is recognised by its 62 layers as llama.cpp does, and the
 * pattern of global layers, every sixth unless the file says otherwise. What the rest of Peridot
 * relies on is checked here and nowhere else: all widths are multiples of 32, heads divide evenly
 * among their key-value heads, nothing is zero or absurdly large.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/keys.h"

enum {
    WIDTH_UNIT = 32,
    DEFAULT_PATTERN = 6,
    LAYERS_27B = 62,
    MIN_HEAD_DIM = 32,
    MAX_HEAD_DIM = 256,
    MAX_WIDTH = 1 << 20,
    MAX_HEADS = 1024,
    MAX_POSITIONS = 1 << 24,
    MAX_VOCAB = 1 << 24
};

/* ---- architecture -------------------------------------------------------------------------- */

static const struct {
    const char *architecture, *is;
} architecture_names[] = {
    {"gemma", "a Gemma 1 model"},
    {"gemma2", "a Gemma 2 model"},
    {"gemma3n", "a Gemma 3n model"},
    {"gemma4", "a Gemma 4 model"},
    {"gemma-embedding", "an EmbeddingGemma model"},
};

static pd_status raise_architecture(const char *found, pd_error *err) {
    if (strcmp(found, "clip") == 0) {
        pd_status status = PD_RAISE(err, PD_ERR_UNSUPPORTED,
                                    "this is an image encoder file (architecture \"clip\"), not a "
                                    "Gemma 3 text model");
        return pd_error_hint(err, status, "open the text model that it belongs to");
    }
    const char *is = "a model of another family";
    for (size_t i = 0; i < sizeof architecture_names / sizeof architecture_names[0]; i++)
        if (strcmp(found, architecture_names[i].architecture) == 0) is = architecture_names[i].is;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "this is %s (architecture \"%s\"); Peridot handles Gemma 3 (architecture "
                    "\"gemma3\")",
                    is, found);
}

static pd_status check_architecture(const pd_gguf *g, pd_error *err) {
    pd_string s;
    char found[40];
    if (!pd_gguf_get_string(g, "general.architecture", &s))
        return PD_RAISE(err, PD_ERR_MODEL,
                        "the key general.architecture is absent, expected \"gemma3\"");
    pd_key_printable(s, found, sizeof found);
    return strcmp(found, "gemma3") == 0 ? PD_OK : raise_architecture(found, err);
}

/* ---- single keys --------------------------------------------------------------------------- */

static pd_status read_width(const pd_gguf *g, const char *key, uint32_t *out, pd_error *err) {
    PD_TRY(pd_key_count(g, key, MAX_WIDTH, out, err));
    if (*out % WIDTH_UNIT == 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED, "%s is %" PRIu32 ", expected a multiple of %d", key,
                    *out, WIDTH_UNIT);
}

/* Keys of things that Peridot does not compute: they must be absent or have the one value. */
static pd_status expect_u32(const pd_gguf *g, const char *key, uint32_t expected, pd_error *err) {
    uint32_t found;
    if (!pd_gguf_find(g, key)) return PD_OK;
    if (!pd_gguf_get_u32(g, key, &found))
        return PD_RAISE(err, PD_ERR_MODEL, "the key %s is not a whole number, expected %" PRIu32,
                        key, expected);
    if (found == expected) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED, "%s is %" PRIu32 ", Peridot handles %" PRIu32 " here",
                    key, found, expected);
}

static pd_status expect_no_softcap(const pd_gguf *g, const char *key, pd_error *err) {
    float cap = 0;
    if (!pd_gguf_find(g, key) || (pd_gguf_get_f32(g, key, &cap) && cap == 0)) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "%s is %g: Gemma 3 has no soft-capping and Peridot does not compute it", key,
                    (double)cap);
}

/* ---- groups of keys ------------------------------------------------------------------------ */

static pd_status read_shape(const pd_gguf *g, pd_config *c, pd_error *err) {
    PD_TRY(pd_key_count(g, "gemma3.block_count", PD_MAX_LAYERS, &c->n_layers, err));
    PD_TRY(read_width(g, "gemma3.embedding_length", &c->n_embd, err));
    PD_TRY(read_width(g, "gemma3.feed_forward_length", &c->n_ff, err));
    PD_TRY(pd_key_count(g, "gemma3.context_length", MAX_POSITIONS, &c->n_ctx_train, err));
    return pd_key_float(g, "gemma3.attention.layer_norm_rms_epsilon", 1e-12f, 0.1f, 1e-6f,
                        &c->norm_eps, err);
}

static pd_status read_heads(const pd_gguf *g, pd_config *c, pd_error *err) {
    PD_TRY(pd_key_count(g, "gemma3.attention.head_count", MAX_HEADS, &c->n_heads, err));
    PD_TRY(pd_key_count(g, "gemma3.attention.head_count_kv", MAX_HEADS, &c->n_kv_heads, err));
    PD_TRY(pd_key_count(g, "gemma3.attention.key_length", MAX_WIDTH, &c->head_dim, err));
    if (c->n_heads % c->n_kv_heads != 0)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "gemma3.attention.head_count is %" PRIu32
                        ", expected a multiple of the %" PRIu32 " key-value heads",
                        c->n_heads, c->n_kv_heads);
    if (c->head_dim < MIN_HEAD_DIM || c->head_dim > MAX_HEAD_DIM || c->head_dim % WIDTH_UNIT != 0)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "gemma3.attention.key_length is %" PRIu32
                        ", Peridot handles heads of %d to %d values in multiples of %d",
                        c->head_dim, MIN_HEAD_DIM, MAX_HEAD_DIM, WIDTH_UNIT);
    PD_TRY(expect_u32(g, "gemma3.attention.value_length", c->head_dim, err));
    PD_TRY(expect_u32(g, "gemma3.rope.dimension_count", c->head_dim, err));
    PD_TRY(expect_no_softcap(g, "gemma3.attn_logit_softcapping", err));
    return expect_no_softcap(g, "gemma3.final_logit_softcapping", err);
}

static pd_status read_rope(const pd_gguf *g, pd_config *c, pd_error *err) {
    pd_string type;
    char found[40] = "linear"; /* what llama.cpp assumes when only a factor is given */
    float factor;
    PD_TRY(pd_key_float(g, "gemma3.rope.freq_base", 1, 1e12f, 1e6f, &c->rope_base_global, err));
    PD_TRY(pd_key_float(g, "gemma3.rope.freq_base_swa", 1, 1e12f, 1e4f, &c->rope_base_local, err));
    PD_TRY(pd_key_float(g, "gemma3.rope.scaling.factor", 0, 1e6f, 0, &factor, err));
    if (factor != 0 && factor < 1e-3f)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "gemma3.rope.scaling.factor is %g, expected 0 (none) or 0.001 to 1e+06",
                        (double)factor);
    if (pd_gguf_get_string(g, "gemma3.rope.scaling.type", &type))
        pd_key_printable(type, found, sizeof found);
    bool none = strcmp(found, "none") == 0;
    if (!none && strcmp(found, "linear") != 0)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "gemma3.rope.scaling.type is \"%s\", Peridot handles \"linear\" and "
                        "\"none\"",
                        found);
    c->rope_scale_global = none || factor == 0 ? 1.0f : 1.0f / factor;
    return PD_OK;
}

/* An array names each layer: true is a sliding (local) one. */
static pd_status read_pattern_array(const pd_gguf_value *v, pd_config *c, pd_error *err) {
    if (v->item_kind != PD_GGUF_BOOL || v->count < c->n_layers)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "gemma3.attention.sliding_window_pattern has %" PRIu64
                        " items of kind %d, expected a bool for each of %" PRIu32 " layers",
                        v->count, (int)v->item_kind, c->n_layers);
    for (uint32_t i = 0; i < c->n_layers; i++) c->layer_is_global[i] = v->data[i] == 0;
    return PD_OK;
}

static pd_status read_window(const pd_gguf *g, pd_config *c, pd_error *err) {
    static const char window_key[] = "gemma3.attention.sliding_window";
    static const char pattern_key[] = "gemma3.attention.sliding_window_pattern";
    const pd_gguf_value *v = pd_gguf_find(g, pattern_key);
    uint32_t pattern = DEFAULT_PATTERN;
    if (pd_gguf_find(g, window_key) && !pd_gguf_get_u32(g, window_key, &c->window))
        return PD_RAISE(err, PD_ERR_MODEL, "the key %s is not a whole number", window_key);
    if (c->window > c->n_ctx_train) c->window = c->n_ctx_train; /* it sees everything either way */
    if (c->window > 0 && v && v->kind == PD_GGUF_ARRAY) return read_pattern_array(v, c, err);
    if (v && v->kind != PD_GGUF_ARRAY && !pd_gguf_get_u32(g, pattern_key, &pattern))
        return PD_RAISE(err, PD_ERR_MODEL, "the key %s is not a whole number", pattern_key);
    for (uint32_t i = 0; i < c->n_layers; i++) {
        bool last_of_group = pattern != 0 && i % pattern == pattern - 1;
        c->layer_is_global[i] = c->window == 0 || last_of_group;
    }
    return PD_OK;
}

static pd_status read_vocab(const pd_gguf *g, pd_config *c, pd_error *err) {
    const pd_tensor *t = pd_gguf_find_tensor(g, "token_embd.weight");
    if (!t) return PD_RAISE(err, PD_ERR_MODEL, "the tensor token_embd.weight is absent");
    if (t->n_dims != 2 || t->ne[1] > MAX_VOCAB)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "token_embd.weight has %" PRIu32 " dimensions and %" PRIu64
                        " rows, expected 2 and at most %d",
                        t->n_dims, t->ne[1], MAX_VOCAB);
    c->n_vocab = (uint32_t)t->ne[1];
    const pd_gguf_value *tokens = pd_gguf_find(g, "tokenizer.ggml.tokens");
    if (tokens && tokens->kind == PD_GGUF_ARRAY && tokens->count > c->n_vocab)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "tokenizer.ggml.tokens lists %" PRIu64
                        " tokens, but token_embd.weight has only %" PRIu32 " rows",
                        tokens->count, c->n_vocab);
    return PD_OK;
}

/* ---- derived ------------------------------------------------------------------------------- */

static void derive_names(const pd_gguf *g, pd_config *c) {
    static const struct {
        uint32_t n_layers, n_embd;
        const char *label;
    } sizes[] = {{18, 640, "270M"},
                 {26, 1152, "1B"},
                 {34, 2560, "4B"},
                 {48, 3840, "12B"},
                 {62, 5376, "27B"}};
    snprintf(c->size_label, sizeof c->size_label, "custom");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (c->n_layers == sizes[i].n_layers && c->n_embd == sizes[i].n_embd)
            snprintf(c->size_label, sizeof c->size_label, "%s", sizes[i].label);
    pd_key_name(g, c->name, sizeof c->name);
}

void pd_config_derive_scales(pd_config *c) {
    double per_head = (double)c->n_embd / c->n_heads;
    c->embd_scale = (float)sqrt((double)c->n_embd);
    c->attn_scale = (float)(1 / sqrt(c->n_layers == LAYERS_27B ? per_head : (double)c->head_dim));
}

pd_status pd_config_read(const pd_gguf *g, pd_config *out, pd_error *err) {
    *out = (pd_config){0};
    PD_TRY(check_architecture(g, err));
    PD_TRY(read_shape(g, out, err));
    PD_TRY(read_heads(g, out, err));
    PD_TRY(read_rope(g, out, err));
    PD_TRY(read_window(g, out, err));
    PD_TRY(read_vocab(g, out, err));
    pd_config_derive_scales(out);
    derive_names(g, out);
    return PD_OK;
}
