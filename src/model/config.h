/* Hyper-parameters of a Gemma 3 text model, read from GGUF metadata and checked.
 *
 * Easy to get wrong, and therefore said once here: layer i is global when (i + 1) % 6 == 0; the
 * attention scale is head_dim^-0.5 except for the 27B, which takes (H / heads)^-0.5; rope scaling
 * divides the angle on global layers only; local layers have their own base (10 000).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MODEL_CONFIG_H
#define PD_MODEL_CONFIG_H

#include "file/gguf.h"

enum { PD_MAX_LAYERS = 256, PD_TEXT_VOCAB = 262144 };

typedef struct pd_config {
    uint32_t n_layers, n_embd, n_ff;
    uint32_t n_heads, n_kv_heads, head_dim;
    uint32_t n_vocab;     /* rows of the embedding (262144, 262208, or what a small model has) */
    uint32_t n_ctx_train; /* positions */
    uint32_t window;      /* keys a local layer sees, the token itself included; 0: all global */
    float norm_eps;
    float embd_scale; /* sqrt(n_embd) */
    float attn_scale; /* times q . k */
    float rope_base_global, rope_base_local;
    float rope_scale_global; /* multiplies the angle: 1 / factor */
    bool layer_is_global[PD_MAX_LAYERS];
    char name[128], size_label[16];
} pd_config;

/* Errors: UNSUPPORTED (architecture, soft-capping, rope type), MODEL (a key missing or absurd; the
 * sentence names the key, what was expected and what was found). */
pd_status pd_config_read(const pd_gguf *g, pd_config *out, pd_error *err);

/* embd_scale and attn_scale from the shape, by the rules above: no key holds them. */
void pd_config_derive_scales(pd_config *c);

#endif
