/* Binds a file's tensors by meaning and checks their shapes and types.
 *
 * Nothing is copied: a bound tensor is a view into the mapping. Matrices are [rows, cols] with
 * cols contiguous (GGUF's ne = {cols, rows}); row r makes output r: y[r] = dot(row r, x).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MODEL_WEIGHTS_H
#define PD_MODEL_WEIGHTS_H

#include "model/config.h"

typedef struct pd_layer_weights {
    const pd_tensor *attn_norm;       /* [H] f32, +1 already added in the file, as in all norms */
    const pd_tensor *attn_q;          /* [heads * head_dim, H] */
    const pd_tensor *attn_k, *attn_v; /* [kv_heads * head_dim, H] */
    const pd_tensor *attn_q_norm, *attn_k_norm; /* [head_dim] f32 */
    const pd_tensor *attn_output;               /* [H, heads * head_dim] */
    const pd_tensor *post_attn_norm; /* [H] f32: on the attention's output, before the residual */
    const pd_tensor *ffn_norm;       /* [H] f32 */
    const pd_tensor *ffn_gate, *ffn_up; /* [F, H] */
    const pd_tensor *ffn_down;          /* [H, F] */
    const pd_tensor *post_ffn_norm;     /* [H] f32 */
} pd_layer_weights;

typedef struct pd_weights {
    const pd_tensor *token_embd;  /* [n_vocab, H] */
    const pd_tensor *output_norm; /* [H] f32 */
    const pd_tensor *output;      /* [n_vocab, H]; token_embd when tied (the usual case) */
    pd_layer_weights layers[PD_MAX_LAYERS];
    uint64_t n_params;
    uint64_t bytes_per_token; /* matrices and head: what decoding one token reads */
    pd_type main_type;        /* most frequent type among the layers' matrices */
} pd_weights;

/* Errors: MODEL (missing tensor, wrong shape), UNSUPPORTED (a norm that is not F32, a vocabulary
 * matrix shorter than the token list ...), each naming the tensor, the expected and the found. */
pd_status pd_weights_bind(const pd_gguf *g, const pd_config *config, pd_weights *out,
                          pd_error *err);

#endif
