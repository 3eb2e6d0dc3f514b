/* Hyper-parameters of Gemma 3's image encoder (SigLIP), read from the metadata of an mmproj file
 * (architecture "clip", projector "gemma3") and checked.
 *
 * An image of image_size^2 pixels is cut into grid^2 patches; the tower turns each into a row of
 * n_embd values; rows of squares of pool x pool patches are averaged, and the projector makes of
 * each average one row of n_embd_out values: what stands in the text model's residual stream in
 * place of one token's embedding. For the released models: 896 pixels, 64 x 64 patches of 14,
 * pool 4, 256 rows.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MODEL_VISION_CONFIG_H
#define PD_MODEL_VISION_CONFIG_H

#include "file/gguf.h"

enum { PD_MAX_VISION_LAYERS = 64, PD_MAX_VISION_PATCHES = 16384, PD_IMAGE_CHANNELS = 3 };

typedef struct pd_vision_config {
    uint32_t image_size; /* pixels on a side */
    uint32_t patch_size; /* pixels on a side of a patch; divides image_size */
    uint32_t n_embd;     /* width of the tower; n_heads * head_dim */
    uint32_t n_ff;       /* a multiple of 4, as n_embd and head_dim are */
    uint32_t n_heads, head_dim;
    uint32_t n_layers;     /* at most PD_MAX_VISION_LAYERS */
    uint32_t grid;         /* patches on a side: image_size / patch_size */
    uint32_t pool;         /* side of the averaged square, in patches; divides grid */
    uint32_t n_tokens;     /* rows that one image becomes: (grid / pool)^2 */
    uint32_t n_embd_out;   /* width of those rows: the text model's n_embd */
    float norm_eps;        /* of the LayerNorms and of the RMSNorm before the projection */
    float attn_scale;      /* times q . k: head_dim^-0.5 */
    float mean[3], std[3]; /* per channel: pixel = (byte / 255 - mean) / std */
    char name[128];
} pd_vision_config;

/* Errors: UNSUPPORTED (architecture, projector, activation), MODEL (a key missing or absurd; the
 * sentence names the key, what was expected and what was found). */
pd_status pd_vision_config_read(const pd_gguf *g, pd_vision_config *out, pd_error *err);

/* Writes these settings as pd_vision_config_read finds them; the general.* keys are the caller's.
 */
void pd_vision_config_write(const pd_vision_config *config, pd_gguf_writer *w);

/* Does this encoder belong to a text model of that width? Errors: MODEL, with both widths. */
pd_status pd_vision_check_text(const pd_vision_config *config, uint32_t text_n_embd, pd_error *err);

#endif
