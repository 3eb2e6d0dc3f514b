/* Reads and checks a config.json.
 *
 * Defaults: class Gemma3TextConfig, Gemma3Config and SiglipVisionConfig of transformers. A field
 * that is null counts as absent. The attention scale has no key in a GGUF file, so that a
 * checkpoint whose query_pre_attn_scalar is not the one that every loader assumes is refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/hf_config.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/keys.h"
#include "file/json.h"

enum {
    MAX_FILE = 1 << 24,
    WIDTH_UNIT = 32,
    MIN_HEAD_DIM = 32,
    MAX_HEAD_DIM = 256,
    MAX_WIDTH = 1 << 20,
    MAX_HEADS = 1024,
    MAX_POSITIONS = 1 << 24,
    MAX_VOCAB = 1 << 24,
    MAX_IMAGE_SIZE = 1 << 14,
    MAX_PATCH_SIZE = 128,
    VISION_UNIT = 4
};

/* ---- single fields -------------------------------------------------------------------------- */

static const cJSON *field(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNull(item) ? NULL : item;
}

/* A text field made fit for messages; `absent` where there is none. */
static const char *printable(const cJSON *item, const char *absent, char out[40]) {
    if (!cJSON_IsString(item)) return absent;
    pd_key_printable((pd_string){item->valuestring, strlen(item->valuestring)}, out, 40);
    return out;
}

/* A whole number in [min, max]; `absent` where there is none. */
static pd_status get_count(const cJSON *object, const char *name, uint32_t min, uint32_t max,
                           uint32_t absent, uint32_t *out, pd_error *err) {
    const cJSON *item = field(object, name);
    *out = absent;
    if (!item) return PD_OK;
    double v = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(v >= min && v <= max) || floor(v) != v)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "%s in config.json must be a whole number from %" PRIu32 " to %" PRIu32
                        ", but is %g",
                        name, min, max, v);
    *out = (uint32_t)v;
    return PD_OK;
}

static pd_status get_float(const cJSON *object, const char *name, double min, double max,
                           float absent, float *out, pd_error *err) {
    const cJSON *item = field(object, name);
    *out = absent;
    if (!item) return PD_OK;
    double v = cJSON_IsNumber(item) ? item->valuedouble : NAN;
    if (!(v >= min && v <= max))
        return PD_RAISE(err, PD_ERR_MODEL, "%s in config.json must be from %g to %g, but is %g",
                        name, min, max, v);
    *out = (float)v;
    return PD_OK;
}

/* Fields of things that are not computed: absent, or the one value. */
static pd_status expect_text(const cJSON *object, const char *name, const char *expected,
                             pd_error *err) {
    const cJSON *item = field(object, name);
    if (!item || (cJSON_IsString(item) && strcmp(item->valuestring, expected) == 0)) return PD_OK;
    char found[40];
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "%s in config.json is \"%s\", Peridot handles \"%s\" here", name,
                    printable(item, "no text", found), expected);
}

static pd_status expect_unset(const cJSON *object, const char *name, pd_error *err) {
    const cJSON *item = field(object, name);
    if (!item || cJSON_IsFalse(item)) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "%s is set in config.json: Gemma 3 has no such thing and Peridot does not "
                    "compute it",
                    name);
}

/* ---- text ----------------------------------------------------------------------------------- */

static pd_status read_shape(const cJSON *o, pd_config *c, pd_error *err) {
    PD_TRY(get_count(o, "vocab_size", 1, MAX_VOCAB, 0, &c->n_vocab, err));
    PD_TRY(get_count(o, "hidden_size", WIDTH_UNIT, MAX_WIDTH, 2304, &c->n_embd, err));
    PD_TRY(get_count(o, "intermediate_size", WIDTH_UNIT, MAX_WIDTH, 9216, &c->n_ff, err));
    PD_TRY(get_count(o, "num_hidden_layers", 1, PD_MAX_LAYERS, 26, &c->n_layers, err));
    PD_TRY(get_count(o, "num_attention_heads", 1, MAX_HEADS, 8, &c->n_heads, err));
    PD_TRY(get_count(o, "num_key_value_heads", 1, MAX_HEADS, 4, &c->n_kv_heads, err));
    PD_TRY(get_count(o, "head_dim", MIN_HEAD_DIM, MAX_HEAD_DIM, 256, &c->head_dim, err));
    PD_TRY(get_count(o, "max_position_embeddings", 1, MAX_POSITIONS, 131072, &c->n_ctx_train, err));
    PD_TRY(get_float(o, "rms_norm_eps", 1e-12, 0.1, 1e-6f, &c->norm_eps, err));
    if (c->n_embd % WIDTH_UNIT || c->n_ff % WIDTH_UNIT || c->head_dim % WIDTH_UNIT)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "config.json has widths of %" PRIu32 ", %" PRIu32 " and %" PRIu32
                        ", Peridot handles multiples of %d",
                        c->n_embd, c->n_ff, c->head_dim, WIDTH_UNIT);
    if (c->n_heads % c->n_kv_heads == 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_MODEL,
                    "num_attention_heads in config.json is %" PRIu32
                    ", expected a multiple of the %" PRIu32 " of num_key_value_heads",
                    c->n_heads, c->n_kv_heads);
}

static pd_status refuse_variants(const cJSON *o, pd_error *err) {
    PD_TRY(expect_text(o, "hidden_activation", "gelu_pytorch_tanh", err));
    PD_TRY(expect_unset(o, "attention_bias", err));
    PD_TRY(expect_unset(o, "attn_logit_softcapping", err));
    PD_TRY(expect_unset(o, "final_logit_softcapping", err));
    return expect_unset(o, "use_bidirectional_attention", err); /* EmbeddingGemma */
}

/* Fields that are not known would be left out, and change what the model computes. */
static pd_status expect_known(const cJSON *o, const char *where, const char *const *known,
                              pd_error *err) {
    for (const cJSON *item = o->child; item; item = item->next) {
        const char *const *name = known;
        while (*name && strcmp(*name, item->string) != 0) name++;
        char found[40];
        if (*name || cJSON_IsNull(item)) continue;
        pd_key_printable((pd_string){item->string, strlen(item->string)}, found, 40);
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "%s in config.json sets \"%s\", which Peridot does not compute", where,
                        found);
    }
    return PD_OK;
}

/* "default" or "linear". What names no type must not scale. */
static pd_status read_rope_type(const cJSON *o, const char *where, bool *linear, pd_error *err) {
    const cJSON *type = field(o, "rope_type"), *factor = field(o, "factor");
    if (!type) type = field(o, "type");
    char found[40];
    const char *name = printable(type, type ? "no text" : "default", found);
    *linear = strcmp(name, "linear") == 0;
    if (!*linear && strcmp(name, "default") != 0)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "rope_type of %s in config.json is \"%s\", Peridot handles \"linear\" and "
                        "\"default\"",
                        where, name);
    if (*linear && !factor)
        return PD_RAISE(err, PD_ERR_MODEL, "%s in config.json is linear, but has no factor", where);
    if (!*linear && factor && !(cJSON_IsNumber(factor) && factor->valuedouble == 1))
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "%s in config.json has a factor, but its rope_type is not \"linear\"",
                        where);
    return PD_OK;
}

/* One rope: its base, and what positions are divided by. */
static pd_status read_one_rope(const cJSON *o, const char *where, float absent, float *base,
                               float *factor, pd_error *err) {
    static const char *const known[] = {
        "rope_type", "type", "factor", "rope_theta", "original_max_position_embeddings", NULL};
    bool linear;
    *base = absent;
    *factor = 1;
    if (!o) return PD_OK;
    if (!cJSON_IsObject(o))
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "%s in config.json is no object", where);
    PD_TRY(expect_known(o, where, known, err));
    PD_TRY(get_float(o, "rope_theta", 1, 1e12, absent, base, err));
    PD_TRY(read_rope_type(o, where, &linear, err));
    return linear ? get_float(o, "factor", 1e-3, 1e6, 1, factor, err) : PD_OK;
}

/* As newer versions of transformers write it: one for each kind of layers. */
static pd_status read_both_ropes(const cJSON *both, pd_hf_config *c, pd_error *err) {
    static const char *const known[] = {"full_attention", "sliding_attention", NULL};
    const cJSON *full = field(both, "full_attention");
    float local_factor;
    if (!full)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "rope_parameters in config.json has no full_attention");
    PD_TRY(expect_known(both, "rope_parameters", known, err));
    PD_TRY(read_one_rope(full, "full_attention", 1e6f, &c->text.rope_base_global, &c->rope_factor,
                         err));
    PD_TRY(read_one_rope(field(both, "sliding_attention"), "sliding_attention", 1e4f,
                         &c->text.rope_base_local, &local_factor, err));
    if (local_factor == 1) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "rope_parameters in config.json scales the sliding layers, which Peridot does "
                    "not compute");
}

static pd_status read_rope(const cJSON *o, pd_hf_config *c, pd_error *err) {
    const cJSON *both = field(o, "rope_parameters"), *old = field(o, "rope_scaling");
    pd_config *t = &c->text;
    float unused, factor;
    PD_TRY(read_one_rope(old, "rope_scaling", 1e6f, &unused, &factor, err));
    if (both) {
        PD_TRY(read_both_ropes(both, c, err));
        if (old && factor != c->rope_factor)
            return PD_RAISE(
                err, PD_ERR_MODEL,
                "rope_scaling and rope_parameters in config.json contradict each other");
    } else {
        PD_TRY(get_float(o, "rope_theta", 1, 1e12, 1e6f, &t->rope_base_global, err));
        PD_TRY(get_float(o, "rope_local_base_freq", 1, 1e12, 1e4f, &t->rope_base_local, err));
        c->rope_factor = factor;
    }
    t->rope_scale_global = 1 / c->rope_factor;
    return PD_OK;
}

/* "sliding_attention" or "full_attention" for each layer. */
static pd_status read_layer_types(const cJSON *types, pd_config *c, pd_error *err) {
    uint32_t i = 0;
    for (const cJSON *item = types->child; item; item = item->next, i++) {
        char found[40];
        const char *name = printable(item, "no text", found);
        bool global = strcmp(name, "full_attention") == 0;
        if (!global && strcmp(name, "sliding_attention") != 0)
            return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                            "layer_types in config.json holds \"%s\", Peridot handles "
                            "\"full_attention\" and \"sliding_attention\"",
                            name);
        if (i < c->n_layers) c->layer_is_global[i] = global;
    }
    if (i == c->n_layers) return PD_OK;
    return PD_RAISE(err, PD_ERR_MODEL,
                    "layer_types in config.json has %" PRIu32 " entries for %" PRIu32 " layers", i,
                    c->n_layers);
}

static bool follows(const pd_config *c, uint32_t pattern) {
    for (uint32_t i = 0; i < c->n_layers; i++)
        if (c->layer_is_global[i] != (i % pattern == pattern - 1)) return false;
    return true;
}

static pd_status read_layers(const cJSON *o, pd_hf_config *c, pd_error *err) {
    const cJSON *types = field(o, "layer_types");
    const char *name =
        field(o, "sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern";
    PD_TRY(get_count(o, "sliding_window", 1, MAX_POSITIONS, 4096, &c->text.window, err));
    PD_TRY(get_count(o, name, 1, PD_MAX_LAYERS, 6, &c->pattern, err));
    for (uint32_t i = 0; i < c->text.n_layers; i++)
        c->text.layer_is_global[i] = i % c->pattern == c->pattern - 1;
    if (!types) return PD_OK;
    if (!cJSON_IsArray(types))
        return PD_RAISE(err, PD_ERR_MODEL, "layer_types in config.json is no list");
    PD_TRY(read_layer_types(types, &c->text, err));
    if (!follows(&c->text, c->pattern)) c->pattern = 0;
    return PD_OK;
}

static pd_status check_scale(const cJSON *o, pd_config *c, pd_error *err) {
    float scalar;
    PD_TRY(get_float(o, "query_pre_attn_scalar", 1e-3, 1e6, 256, &scalar, err));
    pd_config_derive_scales(c);
    double assumed = 1 / ((double)c->attn_scale * (double)c->attn_scale);
    if (fabs(assumed - (double)scalar) < 1e-4 * assumed) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "query_pre_attn_scalar in config.json is %g, but a GGUF file of this shape "
                    "means %g and has no key to say otherwise",
                    (double)scalar, assumed);
}

static pd_status read_text(const cJSON *o, pd_hf_config *c, pd_error *err) {
    PD_TRY(read_shape(o, &c->text, err));
    PD_TRY(refuse_variants(o, err));
    PD_TRY(read_rope(o, c, err));
    PD_TRY(read_layers(o, c, err));
    return check_scale(o, &c->text, err);
}

/* ---- images --------------------------------------------------------------------------------- */

static pd_status read_tower(const cJSON *o, pd_vision_config *v, pd_error *err) {
    uint32_t n_channels;
    PD_TRY(expect_text(o, "hidden_act", "gelu_pytorch_tanh", err));
    PD_TRY(get_count(o, "num_channels", 1, 64, PD_IMAGE_CHANNELS, &n_channels, err));
    PD_TRY(get_count(o, "image_size", 1, MAX_IMAGE_SIZE, 224, &v->image_size, err));
    PD_TRY(get_count(o, "patch_size", 1, MAX_PATCH_SIZE, 16, &v->patch_size, err));
    PD_TRY(get_count(o, "hidden_size", VISION_UNIT, MAX_WIDTH, 768, &v->n_embd, err));
    PD_TRY(get_count(o, "intermediate_size", VISION_UNIT, MAX_WIDTH, 3072, &v->n_ff, err));
    PD_TRY(get_count(o, "num_attention_heads", 1, MAX_HEADS, 12, &v->n_heads, err));
    PD_TRY(get_count(o, "num_hidden_layers", 1, PD_MAX_VISION_LAYERS, 12, &v->n_layers, err));
    PD_TRY(get_float(o, "layer_norm_eps", 1e-12, 0.1, 1e-6f, &v->norm_eps, err));
    if (n_channels != PD_IMAGE_CHANNELS)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "num_channels in config.json is %" PRIu32 ", Peridot handles %d",
                        n_channels, PD_IMAGE_CHANNELS);
    v->grid = v->image_size / v->patch_size;
    if (v->image_size % v->patch_size || v->grid * v->grid > PD_MAX_VISION_PATCHES)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "config.json cuts %" PRIu32 " pixels into patches of %" PRIu32
                        ", Peridot handles whole patches and at most %d of them",
                        v->image_size, v->patch_size, PD_MAX_VISION_PATCHES);
    v->head_dim = v->n_embd / v->n_heads;
    if (v->n_embd % v->n_heads || v->head_dim % VISION_UNIT || v->head_dim > MAX_HEAD_DIM)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "config.json has an image encoder of %" PRIu32 " heads for a width of "
                        "%" PRIu32 ", which Peridot does not compute",
                        v->n_heads, v->n_embd);
    v->attn_scale = (float)(1 / sqrt((double)v->head_dim));
    return PD_OK;
}

static pd_status read_pool(const cJSON *root, pd_vision_config *v, pd_error *err) {
    PD_TRY(
        get_count(root, "mm_tokens_per_image", 1, PD_MAX_VISION_PATCHES, 256, &v->n_tokens, err));
    uint32_t side = (uint32_t)lround(sqrt((double)v->n_tokens));
    if (side * side != v->n_tokens || v->grid % side != 0)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "mm_tokens_per_image in config.json is %" PRIu32
                        ", expected the square of a divisor of the %" PRIu32 " patches on a side",
                        v->n_tokens, v->grid);
    v->pool = v->grid / side;
    return PD_OK;
}

static void read_colours(const cJSON *o, const char *name, float out[3]) {
    const cJSON *list = field(o, name);
    for (int i = 0; i < PD_IMAGE_CHANNELS; i++) out[i] = 0.5f;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != PD_IMAGE_CHANNELS) return;
    for (int i = 0; i < PD_IMAGE_CHANNELS; i++) {
        double v = cJSON_GetArrayItem(list, i)->valuedouble;
        if (v > 0 && v <= 1) out[i] = (float)v;
    }
}

static double positive(const cJSON *object, const char *name, double max) {
    const cJSON *item = field(object, name);
    bool good = cJSON_IsNumber(item) && item->valuedouble > 0 && item->valuedouble <= max;
    return good ? item->valuedouble : 0;
}

static void read_sampling(const cJSON *root, pd_hf_sampling *out) {
    out->top_k = (uint32_t)positive(root, "top_k", INT32_MAX);
    out->top_p = (float)positive(root, "top_p", 1);
    out->temp = (float)positive(root, "temperature", 1000);
}

/* ---- the files ------------------------------------------------------------------------------ */

static pd_status read_json(const char *folder, const char *name, cJSON **out, pd_error *err) {
    pd_arena arena = {0};
    char *text = NULL;
    size_t n;
    const char *path = pd_arena_printf(&arena, "%s/%s", folder, name);
    pd_status status = path ? pd_file_read_all(path, MAX_FILE, &text, &n, err)
                            : PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a path");
    *out = status == PD_OK ? pd_json_parse(text, n) : NULL;
    if (status == PD_OK && !cJSON_IsObject(*out)) {
        cJSON_Delete(*out);
        *out = NULL;
        status = PD_RAISE(err, PD_ERR_FORMAT, "\"%s\" is not a JSON object", path);
    }
    pd_free(text);
    pd_arena_destroy(&arena);
    return status;
}

static pd_status check_family(const cJSON *root, pd_error *err) {
    const cJSON *type = field(root, "model_type");
    char found[40];
    const char *name = printable(type, "absent", found);
    if (strcmp(name, "gemma3") == 0 || strcmp(name, "gemma3_text") == 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "model_type in config.json is \"%s\"; Peridot handles Gemma 3 (\"gemma3\", "
                    "\"gemma3_text\")",
                    name);
}

static pd_status read_root(const cJSON *root, pd_hf_config *c, pd_error *err) {
    const cJSON *text = field(root, "text_config"), *vision = field(root, "vision_config");
    PD_TRY(check_family(root, err));
    PD_TRY(read_text(text ? text : root, c, err));
    const cJSON *tied = field(root, "tie_word_embeddings"), *eos = field(root, "eos_token_id");
    if (!tied && text) tied = field(text, "tie_word_embeddings");
    c->tied = !cJSON_IsFalse(tied);
    if (cJSON_IsNumber(eos) && eos->valuedouble > 0 && eos->valuedouble < (double)MAX_VOCAB)
        c->eos = (uint32_t)eos->valuedouble;
    c->has_vision = text && vision;
    if (!c->has_vision) return PD_OK;
    PD_TRY(read_tower(vision, &c->vision, err));
    c->vision.n_embd_out = c->text.n_embd;
    return read_pool(root, &c->vision, err);
}

/* NULL where there is none. */
static pd_status read_optional(const char *folder, const char *name, cJSON **out, pd_error *err) {
    pd_status status = read_json(folder, name, out, err);
    return status == PD_ERR_IO ? PD_OK : status;
}

pd_status pd_hf_config_read(const char *folder, pd_hf_config *out, pd_error *err) {
    cJSON *root, *generation, *preprocessor;
    *out = (pd_hf_config){0};
    PD_TRY(read_json(folder, "config.json", &root, err));
    pd_status status = read_root(root, out, err);
    cJSON_Delete(root);
    if (status != PD_OK) return status;
    PD_TRY(read_optional(folder, "generation_config.json", &generation, err));
    read_sampling(generation, &out->sampling);
    cJSON_Delete(generation);
    if (!out->has_vision) return PD_OK;
    PD_TRY(read_optional(folder, "preprocessor_config.json", &preprocessor, err));
    read_colours(preprocessor, "image_mean", out->vision.mean);
    read_colours(preprocessor, "image_std", out->vision.std);
    cJSON_Delete(preprocessor);
    return PD_OK;
}
