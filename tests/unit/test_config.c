/* Settings and tensors of a Gemma 3: the golden models, and a small model written here in which one
 * thing at a time is absent, changed or added.
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

#include "base/memory.h"
#include "model/weights.h"
#include "support_data.h"

enum { LAYERS = 7, EMBD = 64, FF = 96, HEADS = 2, KV_HEADS = 1, HEAD_DIM = 32, VOCAB = 40 };

/* ---- a small model ------------------------------------------------------------------------- */

typedef enum change { ABSENT, U32, F32, TEXT, STRINGS, BOOLS, TENSOR } change;

/* What differs from the sound model; no key: nothing. */
typedef struct variant {
    const char *key; /* or tensor name */
    change change;
    double number;     /* U32, F32; of STRINGS: how many */
    const char *text;  /* TEXT */
    uint64_t ne0, ne1; /* TENSOR */
    pd_type type;
} variant;

static const variant sound_keys[] = {
    {"general.architecture", TEXT, 0, "gemma3", 0, 0, 0},
    {"general.name", TEXT, 0, "small one", 0, 0, 0},
    {"gemma3.context_length", U32, 2048, NULL, 0, 0, 0},
    {"gemma3.embedding_length", U32, EMBD, NULL, 0, 0, 0},
    {"gemma3.block_count", U32, LAYERS, NULL, 0, 0, 0},
    {"gemma3.feed_forward_length", U32, FF, NULL, 0, 0, 0},
    {"gemma3.attention.head_count", U32, HEADS, NULL, 0, 0, 0},
    {"gemma3.attention.head_count_kv", U32, KV_HEADS, NULL, 0, 0, 0},
    {"gemma3.attention.key_length", U32, HEAD_DIM, NULL, 0, 0, 0},
    {"gemma3.attention.value_length", U32, HEAD_DIM, NULL, 0, 0, 0},
    {"gemma3.attention.layer_norm_rms_epsilon", F32, 1e-6, NULL, 0, 0, 0},
    {"gemma3.attention.sliding_window", U32, 16, NULL, 0, 0, 0},
    {"gemma3.rope.freq_base", F32, 1e6, NULL, 0, 0, 0},
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

static void write_key(pd_gguf_writer *w, const variant *v) {
    static const int32_t ones_and_zeros[2] = {0x01000101, 0x00010001};
    static const pd_string names[64];
    switch (v->change) {
    case U32: pd_gguf_write_u32(w, v->key, (uint32_t)v->number); break;
    case F32: pd_gguf_write_f32(w, v->key, (float)v->number); break;
    case TEXT: pd_gguf_write_string(w, v->key, v->text); break;
    case STRINGS: pd_gguf_write_strings(w, v->key, names, (uint64_t)v->number); break;
    case BOOLS: pd_gguf_write_i32s(w, v->key, ones_and_zeros, 2); break; /* see make_bools */
    default: break;
    }
}

static uint64_t total_bytes;

static void write_tensor(pd_gguf_writer *w, const char *name, uint64_t ne0, uint64_t ne1,
                         const variant *v) {
    pd_type type = ne1 ? PD_TYPE_Q4_0 : PD_TYPE_F32;
    if (v->key && strcmp(name, v->key) == 0) {
        if (v->change == ABSENT) return;
        ne0 = v->ne0;
        ne1 = v->ne1;
        type = v->type;
    }
    const uint64_t ne[2] = {ne0, ne1};
    pd_gguf_write_tensor(w, name, type, ne1 ? 2 : 1, ne);
    total_bytes += pd_type_row_bytes(pd_type_get((uint32_t)type), ne0) * (ne1 ? ne1 : 1);
}

static void write_keys(pd_gguf_writer *w, const variant *v) {
    bool known = false;
    for (int i = 0; i < N_KEYS; i++) {
        bool same = v->key && strcmp(v->key, sound_keys[i].key) == 0;
        known = known || same;
        write_key(w, same ? v : &sound_keys[i]);
    }
    if (!known && v->key && v->change != TENSOR) write_key(w, v);
}

static void write_model(const char *path, const variant *v) {
    pd_gguf_writer *w;
    char name[64];
    total_bytes = 0;
    assert_int_equal(pd_gguf_writer_open(path, &w, NULL), PD_OK);
    write_keys(w, v);
    write_tensor(w, "token_embd.weight", EMBD, VOCAB, v);
    write_tensor(w, "output_norm.weight", EMBD, 0, v);
    for (unsigned i = 0; i < LAYERS; i++) {
        for (unsigned k = 0; k < N_TENSORS; k++) {
            snprintf(name, sizeof name, "blk.%u.%s.weight", i, sound_tensors[k].name);
            write_tensor(w, name, sound_tensors[k].ne0, sound_tensors[k].ne1, v);
        }
    }
    bool extra = v->change == TENSOR && v->number != 0;
    if (extra) write_tensor(w, v->key, 0, 0, v);
    pd_gguf_begin_data(w);
    uint8_t *data = pd_alloc((size_t)total_bytes, 1);
    pd_gguf_write_data(w, data, total_bytes);
    pd_free(data);
    assert_int_equal(pd_gguf_writer_commit(w, NULL), PD_OK);
}

/* The writer has no bool arrays: two i32 become eight bools where they lie. */
static void make_bools(const char *file, const char *key) {
    static char head[8192];
    FILE *f = fopen(file, "r+b");
    assert_non_null(f);
    size_t n = fread(head, 1, sizeof head, f), n_key = strlen(key), at = 0;
    while (at + n_key < n && memcmp(head + at, key, n_key) != 0) at++;
    const uint8_t kind[12] = {PD_GGUF_BOOL, 0, 0, 0, 8};
    assert_int_equal(fseek(f, (long)(at + n_key + 4), SEEK_SET), 0);
    assert_int_equal(fwrite(kind, 1, sizeof kind, f), sizeof kind);
    assert_int_equal(fclose(f), 0);
}

/* ---- running it ---------------------------------------------------------------------------- */

static char path[64];
static pd_gguf *gguf;
static pd_config config;
static pd_weights weights;

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

/* Leaves gguf open, for the caller to look and to close. */
static pd_status load(const variant *v, pd_error *err) {
    write_model(path, v);
    if (v->change == BOOLS) make_bools(path, v->key);
    gguf = NULL;
    PD_TRY(pd_gguf_open(path, &gguf, err));
    PD_TRY(pd_config_read(gguf, &config, err));
    return pd_weights_bind(gguf, &config, &weights, err);
}

static void expect_good(variant v) {
    pd_error err = {0};
    if (load(&v, &err) != PD_OK) fail_msg("%s", err.message);
    pd_gguf_close(gguf);
}

static void expect_bad(variant v, pd_status status, const char *words) {
    pd_error err = {0};
    pd_status found = load(&v, &err);
    pd_gguf_close(gguf);
    if (found != status || !strstr(err.message, words))
        fail_msg("%s: \"%s\", expected %s and \"%s\"", pd_status_name(found), err.message,
                 pd_status_name(status), words);
}

static void key_u32(const char *key, uint32_t number, pd_status status, const char *words) {
    variant v = {.key = key, .change = U32, .number = number};
    if (status == PD_OK) expect_good(v);
    if (status != PD_OK) expect_bad(v, status, words);
}

static void key_f32(const char *key, float number, pd_status status, const char *words) {
    variant v = {.key = key, .change = F32, .number = (double)number};
    if (status == PD_OK) expect_good(v);
    if (status != PD_OK) expect_bad(v, status, words);
}

static void key_text(const char *key, const char *text, pd_status status, const char *words) {
    variant v = {.key = key, .change = TEXT, .text = text};
    if (status == PD_OK) expect_good(v);
    if (status != PD_OK) expect_bad(v, status, words);
}

static unsigned count_global(void) {
    unsigned n = 0;
    for (uint32_t i = 0; i < config.n_layers; i++) n += config.layer_is_global[i];
    return n;
}

/* ---- the sound model ----------------------------------------------------------------------- */

static void test_sound_model(void **state) {
    (void)state;
    expect_good((variant){0});
    assert_int_equal(config.n_layers, LAYERS);
    assert_int_equal(config.n_embd, EMBD);
    assert_int_equal(config.n_ff, FF);
    assert_int_equal(config.n_heads, HEADS);
    assert_int_equal(config.n_kv_heads, KV_HEADS);
    assert_int_equal(config.head_dim, HEAD_DIM);
    assert_int_equal(config.n_vocab, VOCAB);
    assert_int_equal(config.n_ctx_train, 2048);
    assert_int_equal(config.window, 16);
    assert_true(config.norm_eps == 1e-6f);
    assert_true(config.embd_scale == 8.0f);
    assert_true(config.attn_scale == (float)(1 / sqrt(32.0)));
    assert_true(config.rope_base_global == 1e6f && config.rope_base_local == 1e4f);
    assert_true(config.rope_scale_global == 1.0f);
    assert_string_equal(config.name, "small one");
    assert_string_equal(config.size_label, "custom");
    for (uint32_t i = 0; i < LAYERS; i++) assert_int_equal(config.layer_is_global[i], i == 5);
}

static void test_figures(void **state) {
    (void)state;
    const uint64_t q = HEADS * HEAD_DIM, kv = KV_HEADS * HEAD_DIM;
    uint64_t matrices = EMBD * (2 * q + 2 * kv + 3 * FF), norms = 4 * EMBD + 2 * HEAD_DIM;
    expect_good((variant){0});
    assert_ptr_equal(weights.output, weights.token_embd);
    assert_int_equal(weights.n_params, LAYERS * (matrices + norms) + VOCAB * EMBD + EMBD);
    assert_int_equal(weights.bytes_per_token, (LAYERS * matrices + VOCAB * EMBD) / 32 * 18);
    assert_int_equal(weights.main_type, PD_TYPE_Q4_0);
    expect_good((variant){.key = "output.weight",
                          .change = TENSOR,
                          .number = 1,
                          .ne0 = EMBD,
                          .ne1 = VOCAB,
                          .type = PD_TYPE_F16});
    assert_true(weights.output != weights.token_embd);
    assert_int_equal(weights.bytes_per_token,
                     LAYERS * matrices / 32 * 18 + 2 * (uint64_t)VOCAB * EMBD);
    assert_int_equal(weights.n_params, LAYERS * (matrices + norms) + 2 * VOCAB * EMBD + EMBD);
}

static void test_binding_by_name(void **state) {
    (void)state;
    pd_error err;
    assert_int_equal(load(&(variant){0}, &err), PD_OK);
    const pd_layer_weights *l = &weights.layers[3];
    assert_string_equal(l->attn_norm->name, "blk.3.attn_norm.weight");
    assert_string_equal(l->attn_q->name, "blk.3.attn_q.weight");
    assert_string_equal(l->attn_k->name, "blk.3.attn_k.weight");
    assert_string_equal(l->attn_v->name, "blk.3.attn_v.weight");
    assert_string_equal(l->attn_q_norm->name, "blk.3.attn_q_norm.weight");
    assert_string_equal(l->attn_k_norm->name, "blk.3.attn_k_norm.weight");
    assert_string_equal(l->attn_output->name, "blk.3.attn_output.weight");
    assert_string_equal(l->post_attn_norm->name, "blk.3.post_attention_norm.weight");
    assert_string_equal(l->ffn_norm->name, "blk.3.ffn_norm.weight");
    assert_string_equal(l->ffn_gate->name, "blk.3.ffn_gate.weight");
    assert_string_equal(l->ffn_up->name, "blk.3.ffn_up.weight");
    assert_string_equal(l->ffn_down->name, "blk.3.ffn_down.weight");
    assert_string_equal(l->post_ffn_norm->name, "blk.3.post_ffw_norm.weight");
    pd_gguf_close(gguf);
}

/* ---- one thing changed --------------------------------------------------------------------- */

static void test_architectures(void **state) {
    (void)state;
    static const char *const others[] = {"gemma", "gemma2", "gemma3n", "gemma4", "gemma-embedding",
                                         "llama", "qwen3",  "",        "GEMMA3", "gemma3\n"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        key_text("general.architecture", others[i], PD_ERR_UNSUPPORTED, "Peridot handles Gemma 3");
    key_text("general.architecture", "gemma2", PD_ERR_UNSUPPORTED, "Gemma 2");
    key_text("general.architecture", "clip", PD_ERR_UNSUPPORTED, "image encoder");
    key_u32("general.architecture", 3, PD_ERR_MODEL, "general.architecture");
    pd_error err = {0};
    assert_int_equal(load(&(variant){"general.architecture", TEXT, 0, "clip", 0, 0, 0}, &err),
                     PD_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.hint, "text model"));
    pd_gguf_close(gguf);
}

static void test_absent_keys(void **state) {
    (void)state;
    static const char *const optional[] = {
        "general.name", "gemma3.attention.value_length", "gemma3.attention.layer_norm_rms_epsilon",
        "gemma3.attention.sliding_window", "gemma3.rope.freq_base"};
    for (int i = 0; i < N_KEYS; i++) {
        bool needed = true;
        for (size_t k = 0; k < sizeof optional / sizeof optional[0]; k++)
            if (strcmp(sound_keys[i].key, optional[k]) == 0) needed = false;
        variant v = {.key = sound_keys[i].key, .change = ABSENT};
        if (needed) expect_bad(v, PD_ERR_MODEL, sound_keys[i].key);
        if (!needed) expect_good(v);
    }
    expect_good((variant){.key = "general.name", .change = ABSENT});
    assert_string_equal(config.name, strrchr(path, '/') + 1);
    expect_good((variant){.key = "gemma3.rope.freq_base", .change = ABSENT});
    assert_true(config.rope_base_global == 1e6f);
}

static void test_absurd_keys(void **state) {
    (void)state;
    key_u32("gemma3.block_count", 0, PD_ERR_MODEL, "expected 1 to 256");
    key_u32("gemma3.block_count", 257, PD_ERR_MODEL, "expected 1 to 256");
    key_u32("gemma3.block_count", 8, PD_ERR_MODEL, "blk.7.attn_norm.weight is absent");
    key_u32("gemma3.block_count", 6, PD_ERR_UNSUPPORTED, "blk.6.");
    key_u32("gemma3.embedding_length", 65, PD_ERR_UNSUPPORTED, "multiple of 32");
    key_u32("gemma3.embedding_length", UINT32_MAX, PD_ERR_MODEL, "gemma3.embedding_length");
    key_u32("gemma3.feed_forward_length", 100, PD_ERR_UNSUPPORTED, "multiple of 32");
    key_u32("gemma3.feed_forward_length", 128, PD_ERR_MODEL, "[96, 64], expected [128, 64]");
    key_u32("gemma3.context_length", 0, PD_ERR_MODEL, "gemma3.context_length");
    key_u32("gemma3.attention.head_count", UINT32_MAX, PD_ERR_MODEL, "head_count");
    key_u32("gemma3.attention.head_count_kv", 3, PD_ERR_MODEL, "multiple of the 3");
    key_u32("gemma3.attention.head_count_kv", 0, PD_ERR_MODEL, "head_count_kv");
    key_u32("gemma3.attention.key_length", 288, PD_ERR_UNSUPPORTED, "32 to 256");
    key_u32("gemma3.attention.key_length", 16, PD_ERR_UNSUPPORTED, "32 to 256");
    key_u32("gemma3.attention.key_length", 48, PD_ERR_UNSUPPORTED, "multiples of 32");
    key_u32("gemma3.attention.value_length", 64, PD_ERR_UNSUPPORTED, "value_length is 64");
    key_u32("gemma3.rope.dimension_count", 16, PD_ERR_UNSUPPORTED, "dimension_count is 16");
    key_u32("gemma3.rope.dimension_count", HEAD_DIM, PD_OK, NULL);
    key_text("gemma3.block_count", "7", PD_ERR_MODEL, "not a whole number");
    key_f32("gemma3.block_count", 6.5f, PD_ERR_MODEL, "not a whole number");
    key_f32("gemma3.attention.layer_norm_rms_epsilon", NAN, PD_ERR_MODEL, "finite");
    key_f32("gemma3.attention.layer_norm_rms_epsilon", -1, PD_ERR_MODEL, "expected");
    key_f32("gemma3.rope.freq_base", 0, PD_ERR_MODEL, "freq_base is 0");
    key_f32("gemma3.final_logit_softcapping", 30, PD_ERR_UNSUPPORTED, "soft-capping");
    key_f32("gemma3.attn_logit_softcapping", 50, PD_ERR_UNSUPPORTED, "soft-capping");
    key_f32("gemma3.final_logit_softcapping", 0, PD_OK, NULL);
    expect_bad((variant){.key = "tokenizer.ggml.tokens", .change = STRINGS, .number = VOCAB + 1},
               PD_ERR_MODEL, "lists 41 tokens, but token_embd.weight has only 40 rows");
    expect_good((variant){.key = "tokenizer.ggml.tokens", .change = STRINGS, .number = VOCAB});
}

static void test_rope(void **state) {
    (void)state;
    key_f32("gemma3.rope.scaling.factor", 8, PD_OK, NULL);
    assert_true(config.rope_scale_global == 0.125f);
    key_f32("gemma3.rope.scaling.factor", 0, PD_OK, NULL);
    assert_true(config.rope_scale_global == 1.0f);
    key_f32("gemma3.rope.scaling.factor", -2, PD_ERR_MODEL, "factor");
    key_f32("gemma3.rope.scaling.factor", 1e-38f, PD_ERR_MODEL, "factor");
    key_f32("gemma3.rope.scaling.factor", 5e-4f, PD_ERR_MODEL, "factor");
    key_text("gemma3.rope.scaling.type", "linear", PD_OK, NULL);
    key_text("gemma3.rope.scaling.type", "none", PD_OK, NULL);
    key_text("gemma3.rope.scaling.type", "yarn", PD_ERR_UNSUPPORTED, "\"yarn\"");
    key_f32("gemma3.rope.freq_base_swa", 5000, PD_OK, NULL);
    assert_true(config.rope_base_local == 5000);
}

static void test_windows(void **state) {
    (void)state;
    static const char pattern[] = "gemma3.attention.sliding_window_pattern";
    key_u32("gemma3.attention.sliding_window", 0, PD_OK, NULL);
    assert_int_equal(count_global(), LAYERS);
    expect_good((variant){.key = "gemma3.attention.sliding_window", .change = ABSENT});
    assert_int_equal(config.window, 0);
    assert_int_equal(count_global(), LAYERS);
    key_u32("gemma3.attention.sliding_window", 1u << 31, PD_OK, NULL);
    assert_int_equal(config.window, 2048);
    key_u32(pattern, 3, PD_OK, NULL);
    for (uint32_t i = 0; i < LAYERS; i++)
        assert_int_equal(config.layer_is_global[i], i == 2 || i == 5);
    key_u32(pattern, 1, PD_OK, NULL);
    assert_int_equal(count_global(), LAYERS);
    key_u32(pattern, 0, PD_OK, NULL);
    assert_int_equal(count_global(), 0);
    key_text(pattern, "6", PD_ERR_MODEL, "not a whole number");
    expect_bad((variant){.key = pattern, .change = STRINGS, .number = LAYERS}, PD_ERR_MODEL,
               "expected a bool for each of 7 layers");
    expect_good((variant){.key = pattern, .change = BOOLS});
    static const bool expected[LAYERS] = {false, false, true, false, false, true, false};
    assert_memory_equal(config.layer_is_global, expected, sizeof expected);
}

static void test_names(void **state) {
    (void)state;
    key_text("general.name", "a\033[31mb\xff\xe2\x82\xac", PD_OK, NULL);
    assert_string_equal(config.name, "a?[31mb?\xe2\x82\xac");
    char long_name[300];
    memset(long_name, 'x', sizeof long_name);
    memcpy(long_name + 126, "\xe2\x82\xac", 3); /* does not fit whole: it is left out */
    long_name[299] = '\0';
    key_text("general.name", long_name, PD_OK, NULL);
    assert_int_equal(strlen(config.name), 126);
}

static void change_tensor(const char *name, uint64_t ne0, uint64_t ne1, pd_type type, bool extra,
                          pd_status status, const char *words) {
    expect_bad((variant){name, TENSOR, extra ? 1 : 0, NULL, ne0, ne1, type}, status, words);
}

static void test_tensors(void **state) {
    (void)state;
    char name[64];
    for (unsigned k = 0; k < N_TENSORS; k++) {
        uint64_t ne0 = sound_tensors[k].ne0, ne1 = sound_tensors[k].ne1;
        snprintf(name, sizeof name, "blk.2.%s.weight", sound_tensors[k].name);
        expect_bad((variant){.key = name, .change = ABSENT}, PD_ERR_MODEL, name);
        change_tensor(name, ne0 + 32, ne1, PD_TYPE_F32, false, PD_ERR_MODEL, name);
        change_tensor(name, ne0, ne1 + 2, PD_TYPE_F32, false, PD_ERR_MODEL, name);
        if (ne1 == 0) change_tensor(name, ne0, 0, PD_TYPE_F16, false, PD_ERR_UNSUPPORTED, "F16");
    }
    expect_bad((variant){.key = "token_embd.weight", .change = ABSENT}, PD_ERR_MODEL, "token_embd");
    expect_bad((variant){.key = "output_norm.weight", .change = ABSENT}, PD_ERR_MODEL,
               "output_norm.weight");
    change_tensor("token_embd.weight", EMBD + 32, VOCAB, PD_TYPE_F32, false, PD_ERR_MODEL,
                  "token_embd.weight is [40, 96], expected [40, 64]");
    change_tensor("token_embd.weight", EMBD, 0, PD_TYPE_F32, false, PD_ERR_MODEL, "dimensions");
    change_tensor("output.weight", EMBD, VOCAB + 1, PD_TYPE_F32, true, PD_ERR_MODEL,
                  "output.weight");
    change_tensor("blk.0.attn_q.bias", EMBD, 0, PD_TYPE_F32, true, PD_ERR_UNSUPPORTED,
                  "blk.0.attn_q.bias belongs to no layer");
    change_tensor("blk.x", 1, 0, PD_TYPE_F32, true, PD_ERR_UNSUPPORTED, "blk.x");
    expect_good((variant){"v.patch_embd.weight", TENSOR, 1, NULL, 14, 14, PD_TYPE_F32});
}

/* ---- golden models ------------------------------------------------------------------------- */

static void load_golden(const char *name) {
    char file[512];
    pd_error err = {0};
    snprintf(file, sizeof file, "%s/%s", test_data("golden"), name);
    if (pd_gguf_open(file, &gguf, &err) != PD_OK || pd_config_read(gguf, &config, &err) != PD_OK ||
        pd_weights_bind(gguf, &config, &weights, &err) != PD_OK)
        fail_msg("%s: %s", name, err.message);
    pd_gguf_close(gguf);
}

static void test_golden_models(void **state) {
    (void)state;
    load_golden("small-q4_0.gguf");
    assert_int_equal(config.n_layers, 7);
    assert_int_equal(config.n_embd, 96);
    assert_int_equal(config.n_vocab, 600);
    assert_int_equal(config.window, 16);
    assert_int_equal(weights.main_type, PD_TYPE_Q4_0);
    assert_int_equal(count_global(), 1);
    load_golden("small-f16.gguf");
    assert_int_equal(weights.main_type, PD_TYPE_F16);
    load_golden("small-bf16.gguf");
    assert_int_equal(weights.main_type, PD_TYPE_BF16);
    load_golden("small-q6_k.gguf");
    load_golden("small-q8_0-scaled.gguf");
    assert_true(config.rope_scale_global == 0.125f);
    load_golden("mm-q4_0.gguf");
    load_golden("rule-27b-q4_0.gguf");
    assert_int_equal(config.n_layers, 62);
    assert_int_equal(count_global(), 10);
    double per_head = (double)config.n_embd / config.n_heads;
    assert_true(per_head != (double)config.head_dim);
    assert_true(config.attn_scale == (float)(1 / sqrt(per_head)));
}

static void test_golden_mmproj_is_refused(void **state) {
    (void)state;
    pd_error err = {0};
    assert_int_equal(pd_gguf_open(test_data("golden/mm-mmproj.gguf"), &gguf, &err), PD_OK);
    assert_int_equal(pd_config_read(gguf, &config, &err), PD_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.hint, "text model"));
    pd_gguf_close(gguf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_model),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_binding_by_name),
        cmocka_unit_test(test_architectures),
        cmocka_unit_test(test_absent_keys),
        cmocka_unit_test(test_absurd_keys),
        cmocka_unit_test(test_rope),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_golden_models),
        cmocka_unit_test(test_golden_mmproj_is_refused),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
