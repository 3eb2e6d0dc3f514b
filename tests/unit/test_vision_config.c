/* Settings and tensors of an image encoder: the golden one, and a small one written here in which
 * one thing at a time is absent, changed, added or renamed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <unistd.h>

#include "model/vision_weights.h"
#include "support_data.h"

enum { IMAGE = 112, PATCH = 14, GRID = 8, EMBD = 32, FF = 48, HEADS = 2, LAYERS = 2, OUT = 64 };

/* ---- a small encoder ----------------------------------------------------------------------- */

typedef enum change { ABSENT, U32, F32, F32S, BOOL, TEXT, TENSOR } change;

/* What differs from the sound file; no key: nothing. */
typedef struct variant {
    const char *key; /* or tensor name */
    change change;
    double number;     /* U32, F32, BOOL; F32S: each item, TENSOR: not 0: added at the end */
    const char *text;  /* TEXT */
    uint64_t ne0, ne1; /* TENSOR */
    pd_type type;      /* TENSOR */
    uint64_t count;    /* F32S: items */
    bool swapped;      /* fc1 is called ffn_down, fc2 ffn_up */
    uint32_t n_ff;     /* 0: FF */
} variant;

static const variant sound_keys[] = {
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
enum { N_KEYS = sizeof sound_keys / sizeof sound_keys[0], MAX_TENSORS = 64 };

typedef struct written {
    char name[64];
    pd_type type;
    uint32_t n_dims;
    uint64_t ne[4];
} written;

static written tensors[MAX_TENSORS];
static unsigned n_tensors;

static void write_key(pd_gguf_writer *w, const variant *v) {
    const float items[4] = {(float)v->number, (float)v->number, (float)v->number, (float)v->number};
    switch (v->change) {
    case U32: pd_gguf_write_u32(w, v->key, (uint32_t)v->number); break;
    case F32: pd_gguf_write_f32(w, v->key, (float)v->number); break;
    case F32S: pd_gguf_write_f32s(w, v->key, items, v->count); break;
    case BOOL: pd_gguf_write_bool(w, v->key, v->number != 0); break;
    case TEXT: pd_gguf_write_string(w, v->key, v->text); break;
    default: break;
    }
}

static void write_keys(pd_gguf_writer *w, const variant *v) {
    static const char ff_key[] = "clip.vision.feed_forward_length";
    bool known = false;
    for (int i = 0; i < N_KEYS; i++) {
        bool same = v->key && strcmp(v->key, sound_keys[i].key) == 0;
        known = known || same;
        write_key(w, same ? v : &sound_keys[i]);
    }
    if (!v->key || strcmp(v->key, ff_key) != 0)
        pd_gguf_write_u32(w, ff_key, v->n_ff ? v->n_ff : FF);
    if (!known && v->key && v->change != TENSOR) write_key(w, v);
}

static void add(const variant *v, const char *name, pd_type type, uint32_t n_dims, uint64_t ne0,
                uint64_t ne1) {
    written t = {.type = type, .n_dims = n_dims, .ne = {ne0, ne1, 1, 1}};
    snprintf(t.name, sizeof t.name, "%s", name);
    if (v->key && strcmp(name, v->key) == 0) {
        if (v->change == ABSENT) return;
        t.type = v->type;
        if (v->ne0) t = (written){.type = v->type, .n_dims = 2, .ne = {v->ne0, v->ne1, 1, 1}};
        snprintf(t.name, sizeof t.name, "%s", name);
    }
    assert_true(n_tensors < MAX_TENSORS);
    tensors[n_tensors++] = t;
}

static void add_linear(const variant *v, const char *name, uint64_t rows, uint64_t cols) {
    char full[80];
    snprintf(full, sizeof full, "%s.weight", name);
    add(v, full, cols == 1 ? PD_TYPE_F32 : PD_TYPE_F16, cols == 1 ? 1 : 2, cols == 1 ? rows : cols,
        cols == 1 ? 1 : rows);
    snprintf(full, sizeof full, "%s.bias", name);
    add(v, full, PD_TYPE_F32, 1, rows, 1);
}

static void add_layer(const variant *v, unsigned i) {
    static const char *const square[] = {"attn_q", "attn_k", "attn_v", "attn_out"};
    static const char *const norms[] = {"ln1", "ln2"};
    const uint64_t ff = v->n_ff ? v->n_ff : FF;
    char name[64];
    for (int k = 0; k < 4; k++) {
        snprintf(name, sizeof name, "v.blk.%u.%s", i, square[k]);
        add_linear(v, name, EMBD, EMBD);
    }
    for (int k = 0; k < 2; k++) {
        snprintf(name, sizeof name, "v.blk.%u.%s", i, norms[k]);
        add_linear(v, name, EMBD, 1);
    }
    snprintf(name, sizeof name, "v.blk.%u.%s", i, v->swapped ? "ffn_down" : "ffn_up");
    add_linear(v, name, ff, EMBD);
    snprintf(name, sizeof name, "v.blk.%u.%s", i, v->swapped ? "ffn_up" : "ffn_down");
    add_linear(v, name, EMBD, ff);
}

static void list_tensors(const variant *v) {
    n_tensors = 0;
    add(v, "mm.input_projection.weight", PD_TYPE_F16, 2, OUT, EMBD);
    add(v, "mm.soft_emb_norm.weight", PD_TYPE_F32, 1, EMBD, 1);
    add(v, "v.patch_embd.weight", PD_TYPE_F32, 4, PATCH, PATCH);
    for (unsigned i = 0; i < n_tensors; i++) {
        if (tensors[i].n_dims != 4) continue;
        tensors[i].ne[2] = 3;
        tensors[i].ne[3] = EMBD;
    }
    add(v, "v.patch_embd.bias", PD_TYPE_F32, 1, EMBD, 1);
    add(v, "v.position_embd.weight", PD_TYPE_F32, 2, EMBD, GRID * GRID);
    for (unsigned i = 0; i < LAYERS; i++) add_layer(v, i);
    add_linear(v, "v.post_ln", EMBD, 1);
    if (v->change == TENSOR && v->number != 0) add(v, v->key, v->type, 2, v->ne0, v->ne1);
}

/* Multiples of 1/4 below 16, exact in every unquantised type. */
static float value_of(const char *name, uint64_t i) {
    return (float)((strlen(name) + 7 * i) % 61) / 4;
}

static void write_values(pd_gguf_writer *w, const written *t) {
    uint64_t n = t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
    uint64_t n_bytes = pd_type_row_bytes(pd_type_get((uint32_t)t->type), n);
    float *values = pd_alloc(n, sizeof *values);
    void *stored = pd_alloc(n_bytes, 1);
    for (uint64_t i = 0; i < n; i++) values[i] = value_of(t->name, i);
    pd_encode(t->type, values, n, stored);
    pd_gguf_write_data(w, stored, n_bytes);
    pd_free(stored);
    pd_free(values);
}

static void write_file(const char *file, const variant *v) {
    pd_gguf_writer *w;
    assert_int_equal(pd_gguf_writer_open(file, &w, NULL), PD_OK);
    write_keys(w, v);
    list_tensors(v);
    for (unsigned i = 0; i < n_tensors; i++)
        pd_gguf_write_tensor(w, tensors[i].name, tensors[i].type, tensors[i].n_dims, tensors[i].ne);
    pd_gguf_begin_data(w);
    for (unsigned i = 0; i < n_tensors; i++) write_values(w, &tensors[i]);
    assert_int_equal(pd_gguf_writer_commit(w, NULL), PD_OK);
}

/* ---- running it ---------------------------------------------------------------------------- */

static char path[64];
static pd_gguf *gguf;
static pd_vision_config config;
static pd_vision_weights weights;

static int make_path(void **state) {
    (void)state;
    snprintf(path, sizeof path, "/tmp/peridot-test-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state) {
    (void)state;
    return unlink(path);
}

static pd_status load_file(const char *file, pd_error *err) {
    gguf = NULL;
    weights = (pd_vision_weights){0};
    PD_TRY(pd_gguf_open(file, &gguf, err));
    PD_TRY(pd_vision_config_read(gguf, &config, err));
    return pd_vision_weights_bind(gguf, &config, &weights, err);
}

static void unload(void) {
    pd_vision_weights_free(&weights);
    pd_gguf_close(gguf);
}

/* Leaves file and weights open, for the caller to look and to unload. */
static void load_good(variant v) {
    pd_error err = {0};
    write_file(path, &v);
    if (load_file(path, &err) != PD_OK) fail_msg("%s", err.message);
}

static void expect_good(variant v) {
    load_good(v);
    unload();
}

static void expect_bad(variant v, pd_status status, const char *words) {
    pd_error err = {0};
    write_file(path, &v);
    pd_status found = load_file(path, &err);
    unload();
    if (found != status || !strstr(err.message, words))
        fail_msg("%s: \"%s\", expected %s and \"%s\"", pd_status_name(found), err.message,
                 pd_status_name(status), words);
}

static void key_u32(const char *name, uint32_t number, pd_status status, const char *words) {
    char key[80];
    snprintf(key, sizeof key, "clip.vision.%s", name);
    expect_bad((variant){.key = key, .change = U32, .number = number}, status, words);
}

static float at(const pd_tensor *t, uint64_t row, uint64_t col) {
    float value;
    const pd_type_info *type = pd_type_get((uint32_t)t->type);
    assert_int_equal(type->block_values, 1);
    pd_decode(t->type, t->data + (row * t->ne[0] + col) * type->block_bytes, 1, &value);
    return value;
}

static void expect_shape(const pd_tensor *t, pd_type type, uint64_t rows, uint64_t cols) {
    assert_int_equal(t->type, type);
    assert_int_equal(t->ne[0], cols);
    assert_int_equal(t->ne[1], rows);
    assert_int_equal(t->ne[2] * t->ne[3], 1);
    assert_int_equal(t->n_dims, rows == 1 ? 1 : 2);
    assert_int_equal(t->n_bytes, rows * cols * pd_type_get((uint32_t)type)->block_bytes);
}

/* ---- the sound file ------------------------------------------------------------------------ */

static void test_sound_settings(void **state) {
    (void)state;
    expect_good((variant){0});
    assert_int_equal(config.image_size, IMAGE);
    assert_int_equal(config.patch_size, PATCH);
    assert_int_equal(config.grid, GRID);
    assert_int_equal(config.pool, 4);
    assert_int_equal(config.n_tokens, 4);
    assert_int_equal(config.n_embd, EMBD);
    assert_int_equal(config.n_ff, FF);
    assert_int_equal(config.n_heads, HEADS);
    assert_int_equal(config.head_dim, EMBD / HEADS);
    assert_int_equal(config.n_layers, LAYERS);
    assert_int_equal(config.n_embd_out, OUT);
    assert_true(config.norm_eps == 1e-6f);
    assert_true(config.attn_scale == 0.25f);
    for (int i = 0; i < 3; i++) assert_true(config.mean[i] == 0.25f && config.std[i] == 0.5f);
    assert_string_equal(config.name, "small eye");
}

static void test_pool(void **state) {
    (void)state;
    static const char key[] = "clip.vision.projector.scale_factor";
    expect_good((variant){.key = key, .change = U32, .number = 2});
    assert_int_equal(config.pool, 2);
    assert_int_equal(config.n_tokens, 16);
    key_u32("projector.scale_factor", 3, PD_ERR_MODEL, "8 patches on a side");
    key_u32("projector.scale_factor", 0, PD_ERR_MODEL, "expected 1 to 8");
}

static void test_binding_by_name(void **state) {
    (void)state;
    load_good((variant){0});
    const pd_vision_layer *l = &weights.layers[1];
    assert_string_equal(l->ln1_weight->name, "v.blk.1.ln1.weight");
    assert_string_equal(l->ln1_bias->name, "v.blk.1.ln1.bias");
    assert_string_equal(l->attn_q->name, "v.blk.1.attn_q.weight");
    assert_string_equal(l->attn_k->name, "v.blk.1.attn_k.weight");
    assert_string_equal(l->attn_v->name, "v.blk.1.attn_v.weight");
    assert_string_equal(l->attn_out->name, "v.blk.1.attn_out.weight");
    assert_string_equal(l->attn_q_bias->name, "v.blk.1.attn_q.bias");
    assert_string_equal(l->attn_k_bias->name, "v.blk.1.attn_k.bias");
    assert_string_equal(l->attn_v_bias->name, "v.blk.1.attn_v.bias");
    assert_string_equal(l->attn_out_bias->name, "v.blk.1.attn_out.bias");
    assert_string_equal(l->ln2_weight->name, "v.blk.1.ln2.weight");
    assert_string_equal(l->ln2_bias->name, "v.blk.1.ln2.bias");
    assert_string_equal(l->ffn_up->name, "v.blk.1.ffn_up.weight");
    assert_string_equal(l->ffn_up_bias->name, "v.blk.1.ffn_up.bias");
    assert_string_equal(l->ffn_down->name, "v.blk.1.ffn_down.weight");
    assert_string_equal(l->ffn_down_bias->name, "v.blk.1.ffn_down.bias");
    assert_string_equal(weights.post_ln_weight->name, "v.post_ln.weight");
    assert_string_equal(weights.post_ln_bias->name, "v.post_ln.bias");
    assert_string_equal(weights.patch_bias->name, "v.patch_embd.bias");
    assert_string_equal(weights.soft_emb_norm->name, "mm.soft_emb_norm.weight");
    expect_shape(weights.position_embd, PD_TYPE_F32, GRID * GRID, EMBD);
    unload();
}

static void test_figures(void **state) {
    (void)state;
    load_good((variant){0});
    uint64_t layer = 4 * (EMBD * EMBD + EMBD) + 2 * 2 * EMBD + 2 * EMBD * FF + FF + EMBD;
    uint64_t patches = EMBD * 3 * PATCH * PATCH + EMBD + GRID * GRID * EMBD;
    assert_int_equal(weights.n_params, LAYERS * layer + patches + 2 * EMBD + EMBD + OUT * EMBD);
    assert_int_equal(weights.main_type, PD_TYPE_F16);
    unload();
}

/* ---- what is stored otherwise than it is used ---------------------------------------------- */

static void expect_projection(pd_type stored, pd_type used) {
    static const char name[] = "mm.input_projection.weight";
    load_good((variant){.key = name, .change = TENSOR, .type = stored, .ne0 = OUT, .ne1 = EMBD});
    const pd_tensor *t = weights.projection, *file = pd_gguf_find_tensor(gguf, name);
    expect_shape(t, used, OUT, EMBD);
    float row[OUT];
    for (uint64_t k = 0; k < EMBD; k++) {
        pd_decode(stored, file->data + k * (file->n_bytes / EMBD), OUT, row);
        for (uint64_t n = 0; n < OUT; n++) assert_true(at(t, n, k) == row[n]);
    }
    unload();
}

static void test_projection_is_transposed(void **state) {
    (void)state;
    expect_projection(PD_TYPE_F32, PD_TYPE_F32);
    expect_projection(PD_TYPE_F16, PD_TYPE_F16);
    expect_projection(PD_TYPE_BF16, PD_TYPE_BF16);
    expect_projection(PD_TYPE_Q8_0, PD_TYPE_F32);
    expect_projection(PD_TYPE_Q4_0, PD_TYPE_F32);
}

static void test_patches_become_a_matrix(void **state) {
    (void)state;
    static const pd_type types[] = {PD_TYPE_F32, PD_TYPE_F16, PD_TYPE_BF16};
    static const char name[] = "v.patch_embd.weight";
    for (int i = 0; i < 3; i++) {
        load_good((variant){.key = name, .change = TENSOR, .type = types[i]});
        const pd_tensor *t = weights.patch_embd;
        expect_shape(t, types[i], EMBD, 3 * PATCH * PATCH);
        assert_ptr_equal(t->data, pd_gguf_find_tensor(gguf, name)->data);
        uint64_t col = (2 * PATCH + 5) * PATCH + 9; /* channel 2, y 5, x 9 */
        assert_true(at(t, 3, col) == value_of(name, 3 * 3 * PATCH * PATCH + col));
        unload();
    }
}

static void test_vectors_become_f32(void **state) {
    (void)state;
    static const pd_type types[] = {PD_TYPE_F32, PD_TYPE_F16, PD_TYPE_BF16};
    static const char bias[] = "v.blk.0.ffn_up.bias", positions[] = "v.position_embd.weight";
    for (int i = 0; i < 3; i++) {
        load_good((variant){.key = bias, .change = TENSOR, .type = types[i]});
        expect_shape(weights.layers[0].ffn_up_bias, PD_TYPE_F32, 1, FF);
        for (uint64_t k = 0; k < FF; k++)
            assert_true(at(weights.layers[0].ffn_up_bias, 0, k) == value_of(bias, k));
        unload();
        load_good((variant){.key = positions, .change = TENSOR, .type = types[i]});
        expect_shape(weights.position_embd, PD_TYPE_F32, GRID * GRID, EMBD);
        assert_true(at(weights.position_embd, 9, 4) == value_of(positions, 9 * EMBD + 4));
        unload();
    }
}

static void test_matrix_types(void **state) {
    (void)state;
    static const pd_type types[] = {PD_TYPE_F32, PD_TYPE_BF16, PD_TYPE_Q8_0, PD_TYPE_Q4_0,
                                    PD_TYPE_Q5_1};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        load_good((variant){.key = "v.blk.1.attn_k.weight", .change = TENSOR, .type = types[i]});
        assert_int_equal(weights.layers[1].attn_k->type, types[i]);
        assert_int_equal(weights.main_type, PD_TYPE_F16);
        unload();
    }
}

/* ---- swapped names ------------------------------------------------------------------------- */

static void expect_feed_forward(bool swapped, uint32_t n_ff) {
    load_good((variant){.swapped = swapped, .n_ff = n_ff});
    for (unsigned i = 0; i < LAYERS; i++) {
        const pd_vision_layer *l = &weights.layers[i];
        expect_shape(l->ffn_up, PD_TYPE_F16, n_ff, EMBD);
        expect_shape(l->ffn_up_bias, PD_TYPE_F32, 1, n_ff);
        expect_shape(l->ffn_down, PD_TYPE_F16, EMBD, n_ff);
        expect_shape(l->ffn_down_bias, PD_TYPE_F32, 1, EMBD);
        bool by_name = strstr(l->ffn_up->name, "ffn_up") != NULL;
        assert_int_equal(by_name, !swapped || n_ff == EMBD);
        assert_int_equal(strstr(l->ffn_up_bias->name, "ffn_up") != NULL, by_name);
        assert_int_equal(strstr(l->ffn_down->name, "ffn_down") != NULL, by_name);
        assert_int_equal(strstr(l->ffn_down_bias->name, "ffn_down") != NULL, by_name);
    }
    unload();
}

static void test_swapped_names(void **state) {
    (void)state;
    expect_feed_forward(false, 48);
    expect_feed_forward(true, 48);
    expect_feed_forward(true, 16); /* narrower than the width */
    expect_feed_forward(false, EMBD);
    expect_feed_forward(true, EMBD); /* no shape tells: names are right */
    variant v = {.swapped = true, .key = "v.blk.1.ffn_up.bias", .change = ABSENT};
    expect_bad(v, PD_ERR_MODEL, "v.blk.1.ffn_up.bias is absent, expected [1, 32]");
    v = (variant){.key = "v.blk.1.ffn_down.weight", .change = TENSOR, .ne0 = EMBD, .ne1 = FF};
    expect_bad(v, PD_ERR_MODEL, "v.blk.1.ffn_down.weight is [48, 32], expected [32, 48]");
}

/* ---- one thing wrong ----------------------------------------------------------------------- */

static void test_kind_of_file(void **state) {
    (void)state;
    variant v = {.key = "general.architecture", .change = TEXT, .text = "gemma3"};
    expect_bad(v, PD_ERR_UNSUPPORTED, "text model");
    v.text = "llama";
    expect_bad(v, PD_ERR_UNSUPPORTED, "not an image encoder");
    v = (variant){.key = "clip.projector_type", .change = TEXT, .text = "qwen2vl_merger"};
    expect_bad(v, PD_ERR_UNSUPPORTED, "qwen2vl_merger");
    v = (variant){.key = "clip.has_vision_encoder", .change = BOOL, .number = 0};
    expect_bad(v, PD_ERR_UNSUPPORTED, "clip.has_vision_encoder is false");
    v = (variant){.key = "clip.use_gelu", .change = BOOL, .number = 0};
    expect_bad(v, PD_ERR_UNSUPPORTED, "clip.use_gelu is false");
    v = (variant){.key = "clip.use_gelu", .change = TEXT, .text = "yes"};
    expect_bad(v, PD_ERR_MODEL, "not a truth value");
    v = (variant){.key = "clip.use_silu", .change = BOOL, .number = 1};
    expect_bad(v, PD_ERR_UNSUPPORTED, "clip.use_silu is true");
}

static void test_absent_keys(void **state) {
    (void)state;
    static const char *const optional[] = {
        "general.name",          "clip.has_vision_encoder",
        "clip.use_gelu",         "clip.vision.image_mean",
        "clip.vision.image_std", "clip.vision.attention.layer_norm_epsilon"};
    for (int i = 0; i < N_KEYS; i++) {
        bool needed = true;
        for (size_t k = 0; k < sizeof optional / sizeof optional[0]; k++)
            if (strcmp(sound_keys[i].key, optional[k]) == 0) needed = false;
        variant v = {.key = sound_keys[i].key, .change = ABSENT};
        if (needed) expect_bad(v, PD_ERR_MODEL, sound_keys[i].key);
        if (!needed) expect_good(v);
    }
    expect_bad((variant){.key = "clip.vision.feed_forward_length", .change = ABSENT}, PD_ERR_MODEL,
               "feed_forward_length is absent");
    expect_good((variant){.key = "clip.vision.image_mean", .change = ABSENT});
    assert_true(config.mean[0] == 0.5f && config.mean[2] == 0.5f);
    expect_good((variant){.key = "general.name", .change = ABSENT});
    assert_string_equal(config.name, strrchr(path, '/') + 1);
}

static void test_absurd_keys(void **state) {
    (void)state;
    key_u32("image_size", 0, PD_ERR_MODEL, "image_size is 0");
    key_u32("image_size", UINT32_MAX, PD_ERR_MODEL, "image_size");
    key_u32("image_size", 113, PD_ERR_MODEL, "expected a multiple of the patch size 14");
    key_u32("image_size", 14 * 132, PD_ERR_UNSUPPORTED, "17424 patches");
    key_u32("image_size", 14 * 6, PD_ERR_MODEL, "6 patches on a side");
    key_u32("image_size", 14 * 4, PD_ERR_MODEL, "position_embd.weight is [64, 32]");
    key_u32("patch_size", 0, PD_ERR_MODEL, "patch_size is 0");
    key_u32("patch_size", 15, PD_ERR_MODEL, "expected a multiple of the patch size 15");
    key_u32("patch_size", 28, PD_ERR_MODEL, "v.patch_embd.weight is [32, 3, 14, 14], expected");
    key_u32("embedding_length", 0, PD_ERR_MODEL, "embedding_length is 0");
    key_u32("embedding_length", 34, PD_ERR_UNSUPPORTED, "multiple of 4");
    key_u32("embedding_length", 64, PD_ERR_MODEL, "v.patch_embd.weight");
    key_u32("feed_forward_length", 50, PD_ERR_UNSUPPORTED, "multiple of 4");
    key_u32("feed_forward_length", 64, PD_ERR_MODEL, "[48, 32], expected [64, 32]");
    key_u32("projection_dim", 65, PD_ERR_UNSUPPORTED, "multiple of 32");
    key_u32("projection_dim", 96, PD_ERR_MODEL, "[32, 64], expected [32, 96]");
    key_u32("block_count", 0, PD_ERR_MODEL, "expected 1 to 64");
    key_u32("block_count", 65, PD_ERR_MODEL, "expected 1 to 64");
    key_u32("block_count", 3, PD_ERR_MODEL, "v.blk.2.ln1.weight is absent");
    key_u32("block_count", 1, PD_ERR_UNSUPPORTED, "v.blk.1.");
    key_u32("attention.head_count", 0, PD_ERR_MODEL, "head_count");
    key_u32("attention.head_count", 3, PD_ERR_MODEL, "expected a divisor of the width 32");
    key_u32("attention.head_count", 16, PD_ERR_UNSUPPORTED, "multiples of 4");
}

static void test_absurd_numbers(void **state) {
    (void)state;
    variant v = {.key = "clip.vision.attention.layer_norm_epsilon", .change = F32, .number = -1};
    expect_bad(v, PD_ERR_MODEL, "layer_norm_epsilon is -1");
    v.number = (double)NAN;
    expect_bad(v, PD_ERR_MODEL, "finite");
    v = (variant){.key = "clip.vision.image_std", .change = F32S, .number = 0, .count = 3};
    expect_bad(v, PD_ERR_MODEL, "image_std holds 0");
    v.number = (double)NAN;
    expect_bad(v, PD_ERR_MODEL, "image_std holds nan");
    v = (variant){.key = "clip.vision.image_mean", .change = F32S, .number = 0.5, .count = 4};
    expect_bad(v, PD_ERR_MODEL, "not an array of 3 F32");
    v = (variant){.key = "clip.vision.image_mean", .change = F32, .number = 0.5};
    expect_bad(v, PD_ERR_MODEL, "not an array of 3 F32");
    v = (variant){.key = "clip.vision.image_size", .change = TEXT, .text = "big"};
    expect_bad(v, PD_ERR_MODEL, "not a whole number");
}

static void test_tensors(void **state) {
    (void)state;
    list_tensors(&(variant){0});
    unsigned n = n_tensors;
    static written all[MAX_TENSORS];
    memcpy(all, tensors, sizeof all);
    for (unsigned i = 0; i < n; i++) {
        char words[160];
        snprintf(words, sizeof words, "the tensor %.63s is absent", all[i].name);
        expect_bad((variant){.key = all[i].name, .change = ABSENT}, PD_ERR_MODEL, words);
        snprintf(words, sizeof words, "the tensor %.63s is [3, 64], expected", all[i].name);
        expect_bad((variant){.key = all[i].name, .change = TENSOR, .ne0 = 64, .ne1 = 3},
                   PD_ERR_MODEL, words);
    }
    static const char *const strangers[] = {
        "v.blk.0.attn_q_norm.weight", "v.class_embd",     "mm.0.weight",
        "v.blk.2.ln1.weight",         "v.blk.x.ln1.bias", "v.post_ln"};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        variant v = {.key = strangers[i], .change = TENSOR, .number = 1, .ne0 = 32, .ne1 = 1};
        expect_bad(v, PD_ERR_UNSUPPORTED, strangers[i]);
    }
    expect_good((variant){.key = "a.conv", .change = TENSOR, .number = 1, .ne0 = 32, .ne1 = 1});
}

static void test_text_width(void **state) {
    (void)state;
    pd_error err = {0};
    expect_good((variant){0});
    assert_int_equal(pd_vision_check_text(&config, OUT, &err), PD_OK);
    assert_int_equal(pd_vision_check_text(&config, 2560, &err), PD_ERR_MODEL);
    assert_non_null(strstr(err.message, "64"));
    assert_non_null(strstr(err.message, "2560"));
}

/* ---- golden -------------------------------------------------------------------------------- */

static void test_golden_encoder(void **state) {
    (void)state;
    pd_error err = {0};
    if (load_file(test_data("golden/mm-mmproj.gguf"), &err) != PD_OK) fail_msg("%s", err.message);
    assert_int_equal(config.image_size, 224);
    assert_int_equal(config.grid, 16);
    assert_int_equal(config.pool, 4);
    assert_int_equal(config.n_tokens, 16);
    assert_int_equal(config.head_dim, 36);
    assert_int_equal(config.n_embd_out, 128);
    expect_shape(weights.projection, PD_TYPE_F16, 128, config.n_embd);
    unload();
    assert_int_equal(load_file(test_data("golden/mm-q4_0.gguf"), &err), PD_ERR_UNSUPPORTED);
    unload();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_settings),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_binding_by_name),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_projection_is_transposed),
        cmocka_unit_test(test_patches_become_a_matrix),
        cmocka_unit_test(test_vectors_become_f32),
        cmocka_unit_test(test_matrix_types),
        cmocka_unit_test(test_swapped_names),
        cmocka_unit_test(test_kind_of_file),
        cmocka_unit_test(test_absent_keys),
        cmocka_unit_test(test_absurd_keys),
        cmocka_unit_test(test_absurd_numbers),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_text_width),
        cmocka_unit_test(test_golden_encoder),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
