/* The files of a sound checkpoint - safetensors, their index, config.json,
 * preprocessor_config.json, tokenizer.json, tokenizer.model - damaged in every small way: cut at
 * every length, each byte changed, and in the safetensors file random values written over its
 * length and header. Each must end in an error or in a load whose views can be read to their ends;
 * a crash, a sanitizer's report or another status fails.
 *
 * SPDX-License-Identifier: MIT
 */
#include "support_folder.h"

#include "file/hf_tokenizer.h"
#include "file/safetensors.h"
#include "model/hf_config.h"

static uint64_t read_sum; /* keeps the reads below from being left out */

static void read_ends(const void *data, uint64_t n) {
    const uint8_t *bytes = data;
    if (n > 0) read_sum += (uint64_t)bytes[0] + bytes[n - 1];
}

/* ---- sound files ---------------------------------------------------------------------------- */

static const char part_a[] =
    "{\"__metadata__\": {\"format\": \"pt\"},"
    " \"model.norm.weight\": {\"dtype\": \"F32\", \"shape\": [4], \"data_offsets\": [0, 16]},"
    " \"model.embed_tokens.weight\": {\"dtype\": \"BF16\", \"shape\": [3, 4], \"data_offsets\": "
    "[16, 40]}, \"ids\": {\"dtype\": \"I64\", \"shape\": [], \"data_offsets\": [40, 48]}}  ";
static const char part_b[] =
    "{\"b\": {\"dtype\": \"F16\", \"shape\": [2, 2], \"data_offsets\": [0, 8]}}";
static const char weight_map[] =
    "{\"metadata\": {\"total_size\": 56}, \"weight_map\": {\"model.norm.weight\": "
    "\"a.safetensors\","
    " \"model.embed_tokens.weight\": \"a.safetensors\", \"ids\": \"a.safetensors\","
    " \"b\": \"b.safetensors\"}}";
static const char config[] =
    "{\"architectures\": [\"Gemma3ForConditionalGeneration\"], \"model_type\": \"gemma3\","
    " \"eos_token_id\": [1, 106], \"mm_tokens_per_image\": 16, \"text_config\": {\"hidden_size\":"
    " 128, \"intermediate_size\": 256, \"num_hidden_layers\": 7, \"num_attention_heads\": 4,"
    " \"num_key_value_heads\": 2, \"head_dim\": 64, \"query_pre_attn_scalar\": 64,"
    " \"sliding_window\": 16, \"rope_scaling\": {\"factor\": 8.0, \"rope_type\": \"linear\"}},"
    " \"vision_config\": {\"hidden_size\": 288, \"image_size\": 224, \"intermediate_size\": 432,"
    " \"num_attention_heads\": 4, \"num_hidden_layers\": 2, \"patch_size\": 14}}";
static const char preprocessor[] =
    "{\"image_mean\": [0.5, 0.5, 0.5], \"image_std\": [0.5, 0.5, 0.5], \"rescale_factor\": "
    "0.00392156862745098}";
static const char generation[] =
    "{\"eos_token_id\": [1, 106], \"top_k\": 64, \"top_p\": 0.95, \"temperature\": 1.0}";
static const char tokenizer[] =
    "{\"added_tokens\": [{\"id\": 0, \"content\": \"<pad>\", \"special\": true}, {\"id\": 3,"
    " \"content\": \"\xE2\x96\x81\xE2\x96\x81\", \"special\": false}], \"model\": {\"type\": "
    "\"BPE\","
    " \"byte_fallback\": true, \"vocab\": {\"<pad>\": 0, \"<0x41>\": 1, \"a\\u00e9\": 2,"
    " \"\xE2\x96\x81\xE2\x96\x81\": 3}}}";
/* pieces "<pad>", control; "<0x41>", a byte; "ab", score -1; and another message to skip */
static const char pieces[] = "\x0a\x09\x0a\x05<pad>\x18\x03"
                             "\x0a\x0f\x0a\x06<0x41>\x15\0\0\0\0\x18\x06"
                             "\x0a\x09\x0a\x02"
                             "ab\x15\0\0\x80\xbf\x12\x02\x18\x02";

/* Length, header, data of zeros. */
static size_t make_part(const char *header, size_t n_data, uint8_t out[1024]) {
    size_t n = strlen(header);
    assert_true(8 + n + n_data <= 1024);
    memset(out, 0, 1024);
    for (int i = 0; i < 8; i++) out[i] = (uint8_t)((uint64_t)n >> 8 * i);
    memcpy(out + 8, header, n);
    return 8 + n + n_data;
}

static int make_files(void **state) {
    uint8_t bytes[1024];
    if (make_memory_folder(state) != 0) return -1;
    put_bytes("a.safetensors", bytes, make_part(part_a, 48, bytes));
    put_bytes("b.safetensors", bytes, make_part(part_b, 8, bytes));
    put_bytes("index.json", weight_map, strlen(weight_map));
    put_bytes("config.json", config, strlen(config));
    put_bytes("preprocessor_config.json", preprocessor, strlen(preprocessor));
    put_bytes("generation_config.json", generation, strlen(generation));
    return 0;
}

/* ---- loading -------------------------------------------------------------------------------- */

typedef pd_status load_fn(pd_error *err);

static pd_status load_tensors(const char *name, pd_error *err) {
    pd_safetensors *s;
    PD_TRY(pd_safetensors_open(in_folder(name), &s, err));
    for (uint32_t i = 0; i < pd_safetensors_count(s); i++) {
        const pd_safetensor *t = pd_safetensors_at(s, i);
        assert_non_null(pd_safetensors_find(s, t->name));
        read_ends(t->data, t->n_bytes);
    }
    pd_safetensors_close(s);
    return PD_OK;
}

static pd_status load_part(pd_error *err) {
    return load_tensors("a.safetensors", err);
}

static pd_status load_index(pd_error *err) {
    return load_tensors("index.json", err);
}

static pd_status load_config(pd_error *err) {
    static pd_hf_config c;
    return pd_hf_config_read(test_folder, &c, err);
}

static pd_status load_tokens(pd_status status, pd_hf_tokenizer *t, pd_error *err) {
    if (status != PD_OK) return status;
    for (uint32_t i = 0; i < t->n; i++) read_ends(t->tokens[i].data, t->tokens[i].n);
    status = pd_hf_tokenizer_resize(t, 600, err);
    pd_hf_tokenizer_free(t);
    return status;
}

static pd_status load_tokenizer(pd_error *err) {
    pd_hf_tokenizer t = {0};
    return load_tokens(pd_hf_tokenizer_read(in_folder("tokenizer.json"), &t, err), &t, err);
}

static pd_status load_pieces(pd_error *err) {
    pd_hf_tokenizer t = {0};
    return load_tokens(pd_sp_model_read(in_folder("tokenizer.model"), &t, err), &t, err);
}

/* ---- damage --------------------------------------------------------------------------------- */

typedef struct victim {
    const char *name;
    load_fn *load;
    uint8_t bytes[1024];
    size_t n;
    uint32_t n_loaded, n_refused;
} victim;

static void expect_clean(victim *v, const char *what, size_t at) {
    pd_error err = {0};
    pd_status status = v->load(&err);
    bool clean = status == PD_OK || status == PD_ERR_FORMAT || status == PD_ERR_UNSUPPORTED ||
                 status == PD_ERR_MODEL || status == PD_ERR_ARGUMENT;
    /* an index may come to name a file that is not there */
    clean = clean || (status == PD_ERR_IO && strcmp(v->name, "index.json") == 0);
    if (!clean || (status != PD_OK && err.message[0] == '\0'))
        fail_msg("%s, %s at byte %zu: %s \"%s\"", v->name, what, at, pd_status_name(status),
                 err.message);
    v->n_loaded += status == PD_OK;
    v->n_refused += status != PD_OK;
}

static void flip_bytes(victim *v) {
    static const uint8_t masks[] = {0xff, 0x01, 0x08, 0x80, 0x20};
    for (size_t at = 0; at < v->n; at++) {
        for (size_t k = 0; k < sizeof masks; k++) {
            v->bytes[at] ^= masks[k];
            put_bytes(v->name, v->bytes, v->n);
            expect_clean(v, "a flip", at);
            v->bytes[at] ^= masks[k];
        }
    }
}

static void cut_short(victim *v) {
    for (size_t n = v->n; n-- > 0;) {
        put_bytes(v->name, v->bytes, n);
        expect_clean(v, "a cut", n);
    }
}

static void damage(const char *name, load_fn *load, const void *bytes, size_t n) {
    static victim v;
    pd_error err = {0};
    v = (victim){.name = name, .load = load, .n = n};
    assert_true(n <= sizeof v.bytes);
    memcpy(v.bytes, bytes, n);
    put_bytes(name, v.bytes, n);
    if (load(&err) != PD_OK) fail_msg("%s: %s", name, err.message);
    flip_bytes(&v);
    cut_short(&v);
    assert_true(v.n_refused > n);
    put_bytes(name, v.bytes, n);
}

static void test_safetensors(void **state) {
    uint8_t bytes[1024];
    (void)state;
    damage("a.safetensors", load_part, bytes, make_part(part_a, 48, bytes));
}

static void test_index(void **state) {
    (void)state;
    damage("index.json", load_index, weight_map, strlen(weight_map));
}

static void test_config(void **state) {
    (void)state;
    damage("config.json", load_config, config, strlen(config));
    damage("preprocessor_config.json", load_config, preprocessor, strlen(preprocessor));
    damage("generation_config.json", load_config, generation, strlen(generation));
}

static void test_tokenizer(void **state) {
    (void)state;
    damage("tokenizer.json", load_tokenizer, tokenizer, strlen(tokenizer));
    damage("tokenizer.model", load_pieces, pieces, sizeof pieces - 1);
}

static uint64_t random_state = 1;
static uint64_t random_u64(void) { /* splitmix64 */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Numbers that tend to break arithmetic, in place of the length and of those in the header. */
static void test_numbers(void **state) {
    static const char *const texts[] = {"0",  "1",    "-1",  "4294967295", "9223372036854775807",
                                        "47", "1e18", "0.5", "1e400",      "18446744073709551616"};
    static const uint64_t lengths[] = {0,          1,          UINT64_MAX, UINT64_MAX - 7,
                                       1ull << 63, 1ull << 62, UINT32_MAX, 100000001};
    static victim v = {.name = "a.safetensors", .load = load_part};
    (void)state;
    for (int i = 0; i < 3000; i++) {
        const char *text = texts[random_u64() % (sizeof texts / sizeof texts[0])];
        uint64_t length = lengths[random_u64() % (sizeof lengths / sizeof lengths[0])];
        char header[1024];
        size_t n_digits = 0, at = 0;
        uint64_t chosen = random_u64() % 9;
        for (const char *c = part_a; *c && n_digits <= chosen; c++, at++)
            if (*c >= '0' && *c <= '9' && c[-1] != 'I' && c[-1] != 'F') n_digits++;
        snprintf(header, sizeof header, "%.*s%s%s", (int)at - 1, part_a, text, part_a + at);
        v.n = make_part(header, 48, v.bytes);
        if (random_u64() % 4 == 0) memcpy(v.bytes, &length, 8);
        put_bytes(v.name, v.bytes, v.n);
        expect_clean(&v, "a number", at);
    }
    assert_true(v.n_refused > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors), cmocka_unit_test(test_index),
        cmocka_unit_test(test_config),      cmocka_unit_test(test_tokenizer),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, make_files, remove_folder);
}
