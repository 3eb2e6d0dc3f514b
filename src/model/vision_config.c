/* Reads, checks and writes the settings of an image encoder.
 *
 * Keys: llama.cpp's clip-impl.h. The side of the averaged square has a key only in files that
 * differ from the released models; without it, it is 4. What the rest of Peridot relies on is
 * checked here and nowhere else: the patches tile the image and the squares tile the patches, heads
 * divide the width evenly, the tower's widths and its heads are multiples of 4 values (as the real
 * 1152, 4304 and 72 are), nothing is zero or absurdly large.
 *
 * SPDX-License-Identifier: MIT
 */
#include "model/vision_config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "model/keys.h"

enum {
    WIDTH_UNIT = 4,
    MAX_HEAD_DIM = 256,
    OUT_UNIT = 32, /* of a text model's width */
    MAX_IMAGE_SIZE = 1 << 14,
    MAX_PATCH_SIZE = 128,
    MAX_WIDTH = 1 << 16,
    MAX_HEADS = 1024,
    DEFAULT_POOL = 4
};

#define VISION "clip.vision."

/* ---- what kind of file --------------------------------------------------------------------- */

static pd_status check_architecture(const pd_gguf *g, pd_error *err) {
    pd_string s;
    char found[40];
    if (!pd_gguf_get_string(g, "general.architecture", &s))
        return PD_RAISE(err, PD_ERR_MODEL,
                        "the key general.architecture is absent, expected \"clip\"");
    pd_key_printable(s, found, sizeof found);
    if (strcmp(found, "clip") == 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "this is %s (architecture \"%s\"), not an image encoder (architecture "
                    "\"clip\")",
                    strcmp(found, "gemma3") == 0 ? "a text model" : "a file of another kind",
                    found);
}

/* Newer files that hold an encoder for sound as well name the projector of each. */
static pd_status check_projector(const pd_gguf *g, pd_error *err) {
    pd_string s;
    char found[40];
    if (!pd_gguf_get_string(g, "clip.projector_type", &s) &&
        !pd_gguf_get_string(g, "clip.vision.projector_type", &s))
        return PD_RAISE(err, PD_ERR_MODEL,
                        "the key clip.projector_type is absent, expected \"gemma3\"");
    pd_key_printable(s, found, sizeof found);
    if (strcmp(found, "gemma3") == 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                    "this image encoder belongs to another family (clip.projector_type is "
                    "\"%s\"); Peridot handles that of Gemma 3 (\"gemma3\")",
                    found);
}

/* A flag that must be absent or have the one value. */
static pd_status expect_flag(const pd_gguf *g, const char *key, bool expected, pd_error *err) {
    bool found;
    if (!pd_gguf_find(g, key)) return PD_OK;
    if (!pd_gguf_get_bool(g, key, &found))
        return PD_RAISE(err, PD_ERR_MODEL, "the key %s is not a truth value, expected %s", key,
                        expected ? "true" : "false");
    if (found == expected) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED, "%s is %s, Peridot handles %s here", key,
                    found ? "true" : "false", expected ? "true" : "false");
}

static pd_status check_kind(const pd_gguf *g, pd_error *err) {
    PD_TRY(check_architecture(g, err));
    PD_TRY(check_projector(g, err));
    PD_TRY(expect_flag(g, "clip.has_vision_encoder", true, err));
    PD_TRY(expect_flag(g, "clip.use_gelu", true, err));
    return expect_flag(g, "clip.use_silu", false, err);
}

/* ---- groups of keys ------------------------------------------------------------------------ */

static pd_status read_width(const pd_gguf *g, const char *key, uint32_t unit, uint32_t *out,
                            pd_error *err) {
    PD_TRY(pd_key_count(g, key, MAX_WIDTH, out, err));
    if (*out % unit == 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED, "%s is %" PRIu32 ", expected a multiple of %" PRIu32,
                    key, *out, unit);
}

static pd_status read_image(const pd_gguf *g, pd_vision_config *c, pd_error *err) {
    PD_TRY(pd_key_count(g, VISION "image_size", MAX_IMAGE_SIZE, &c->image_size, err));
    PD_TRY(pd_key_count(g, VISION "patch_size", MAX_PATCH_SIZE, &c->patch_size, err));
    if (c->image_size % c->patch_size != 0)
        return PD_RAISE(err, PD_ERR_MODEL,
                        VISION "image_size is %" PRIu32
                               ", expected a multiple of the patch size %" PRIu32,
                        c->image_size, c->patch_size);
    c->grid = c->image_size / c->patch_size;
    if (c->grid * c->grid > PD_MAX_VISION_PATCHES)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "an image of %" PRIu32 " pixels in patches of %" PRIu32 " has %" PRIu32
                        " patches, Peridot handles at most %d",
                        c->image_size, c->patch_size, c->grid * c->grid, PD_MAX_VISION_PATCHES);
    return PD_OK;
}

static pd_status read_pool(const pd_gguf *g, pd_vision_config *c, pd_error *err) {
    static const char key[] = VISION "projector.scale_factor";
    c->pool = DEFAULT_POOL;
    if (pd_gguf_find(g, key)) PD_TRY(pd_key_count(g, key, c->grid, &c->pool, err));
    if (c->grid % c->pool != 0)
        return PD_RAISE(err, PD_ERR_MODEL,
                        "the image has %" PRIu32 " patches on a side, expected a multiple of the "
                        "%" PRIu32 " that are averaged into one row",
                        c->grid, c->pool);
    c->n_tokens = (c->grid / c->pool) * (c->grid / c->pool);
    return PD_OK;
}

static pd_status read_heads(const pd_gguf *g, pd_vision_config *c, pd_error *err) {
    PD_TRY(pd_key_count(g, VISION "attention.head_count", MAX_HEADS, &c->n_heads, err));
    if (c->n_embd % c->n_heads != 0)
        return PD_RAISE(err, PD_ERR_MODEL,
                        VISION "attention.head_count is %" PRIu32
                               ", expected a divisor of the width %" PRIu32,
                        c->n_heads, c->n_embd);
    c->head_dim = c->n_embd / c->n_heads;
    if (c->head_dim % WIDTH_UNIT != 0 || c->head_dim > MAX_HEAD_DIM)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "%" PRIu32 " heads share a width of %" PRIu32
                        ", Peridot handles heads of at most %d values in multiples of %d",
                        c->n_heads, c->n_embd, MAX_HEAD_DIM, WIDTH_UNIT);
    c->attn_scale = (float)(1 / sqrt((double)c->head_dim));
    return PD_OK;
}

static pd_status read_tower(const pd_gguf *g, pd_vision_config *c, pd_error *err) {
    PD_TRY(read_width(g, VISION "embedding_length", WIDTH_UNIT, &c->n_embd, err));
    PD_TRY(read_width(g, VISION "feed_forward_length", WIDTH_UNIT, &c->n_ff, err));
    PD_TRY(read_width(g, VISION "projection_dim", OUT_UNIT, &c->n_embd_out, err));
    PD_TRY(pd_key_count(g, VISION "block_count", PD_MAX_VISION_LAYERS, &c->n_layers, err));
    PD_TRY(read_heads(g, c, err));
    return pd_key_float(g, VISION "attention.layer_norm_epsilon", 1e-12f, 0.1f, 1e-6f, &c->norm_eps,
                        err);
}

/* One float per colour, each in [min, max]; all `absent` when the key is not there. */
static pd_status read_colours(const pd_gguf *g, const char *key, float min, float max, float absent,
                              float out[3], pd_error *err) {
    const pd_gguf_value *v = pd_gguf_find(g, key);
    for (int i = 0; i < PD_IMAGE_CHANNELS; i++) out[i] = absent;
    if (!v) return PD_OK;
    if (v->kind != PD_GGUF_ARRAY || v->item_kind != PD_GGUF_F32 || v->count != PD_IMAGE_CHANNELS)
        return PD_RAISE(err, PD_ERR_MODEL, "the key %s is not an array of %d F32 values", key,
                        PD_IMAGE_CHANNELS);
    memcpy(out, v->data, PD_IMAGE_CHANNELS * sizeof *out);
    for (int i = 0; i < PD_IMAGE_CHANNELS; i++)
        if (!(out[i] >= min && out[i] <= max))
            return PD_RAISE(err, PD_ERR_MODEL, "%s holds %g, expected %g to %g", key,
                            (double)out[i], (double)min, (double)max);
    return PD_OK;
}

pd_status pd_vision_config_read(const pd_gguf *g, pd_vision_config *out, pd_error *err) {
    *out = (pd_vision_config){0};
    PD_TRY(check_kind(g, err));
    PD_TRY(read_image(g, out, err));
    PD_TRY(read_pool(g, out, err));
    PD_TRY(read_tower(g, out, err));
    PD_TRY(read_colours(g, VISION "image_mean", 0, 1, 0.5f, out->mean, err));
    PD_TRY(read_colours(g, VISION "image_std", 1e-3f, 1, 0.5f, out->std, err));
    pd_key_name(g, out->name, sizeof out->name);
    return PD_OK;
}

void pd_vision_config_write(const pd_vision_config *c, pd_gguf_writer *w) {
    pd_gguf_write_bool(w, "clip.has_vision_encoder", true);
    pd_gguf_write_string(w, "clip.projector_type", "gemma3");
    pd_gguf_write_bool(w, "clip.use_gelu", true);
    pd_gguf_write_u32(w, VISION "image_size", c->image_size);
    pd_gguf_write_u32(w, VISION "patch_size", c->patch_size);
    pd_gguf_write_u32(w, VISION "embedding_length", c->n_embd);
    pd_gguf_write_u32(w, VISION "feed_forward_length", c->n_ff);
    pd_gguf_write_u32(w, VISION "block_count", c->n_layers);
    pd_gguf_write_u32(w, VISION "projection_dim", c->n_embd_out);
    pd_gguf_write_u32(w, VISION "attention.head_count", c->n_heads);
    pd_gguf_write_f32(w, VISION "attention.layer_norm_epsilon", c->norm_eps);
    pd_gguf_write_f32s(w, VISION "image_mean", c->mean, PD_IMAGE_CHANNELS);
    pd_gguf_write_f32s(w, VISION "image_std", c->std, PD_IMAGE_CHANNELS);
    if (c->pool != DEFAULT_POOL) pd_gguf_write_u32(w, VISION "projector.scale_factor", c->pool);
}

pd_status pd_vision_check_text(const pd_vision_config *config, uint32_t text_n_embd,
                               pd_error *err) {
    if (config->n_embd_out == text_n_embd) return PD_OK;
    pd_status status = PD_RAISE(err, PD_ERR_MODEL,
                                "the image encoder \"%s\" makes rows of %" PRIu32
                                " values, but the text model's are %" PRIu32 " wide",
                                config->name, config->n_embd_out, text_n_embd);
    return pd_error_hint(err, status, "each size of Gemma 3 (4B, 12B, 27B) has its own encoder");
}
