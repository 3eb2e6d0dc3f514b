/* Binds the tensors of an mmproj file by meaning and checks their shapes and types.
 *
 * Matrices are [rows, cols] with cols contiguous, 2-dimensional whatever the file says, and row r
 * makes output r. Vectors are always F32. What the file stores so is a view into its mapping; the
 * rest was converted into memory that the weights own: vectors of other types, and the projection,
 * which files keep input-major and which is transposed here once.
 *
 * Files of early 2025 name the two matrices of the feed-forward part the wrong way round. Shapes
 * tell which is which; here ffn_up is always the one from width to n_ff.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MODEL_VISION_WEIGHTS_H
#define PD_MODEL_VISION_WEIGHTS_H

#include "base/memory.h"
#include "model/vision_config.h"

/* D: the tower's width, F: n_ff, H: the text model's width. */
typedef struct pd_vision_layer {
    const pd_tensor *ln1_weight, *ln1_bias;                   /* [D] f32 */
    const pd_tensor *attn_q, *attn_k, *attn_v;                /* [D, D] */
    const pd_tensor *attn_q_bias, *attn_k_bias, *attn_v_bias; /* [D] f32 */
    const pd_tensor *attn_out;                                /* [D, D] */
    const pd_tensor *attn_out_bias;                           /* [D] f32 */
    const pd_tensor *ln2_weight, *ln2_bias;                   /* [D] f32 */
    const pd_tensor *ffn_up;                                  /* [F, D] */
    const pd_tensor *ffn_up_bias;                             /* [F] f32 */
    const pd_tensor *ffn_down;                                /* [D, F] */
    const pd_tensor *ffn_down_bias;                           /* [D] f32 */
} pd_vision_layer;

typedef struct pd_vision_weights {
    const pd_tensor *patch_embd;    /* [D, 3 * patch * patch]; columns (channel, y, x); F32, F16 or
                                       BF16 */
    const pd_tensor *patch_bias;    /* [D] f32 */
    const pd_tensor *position_embd; /* [grid * grid, D] f32, rows as patches: left to right, then
                                       down */
    pd_vision_layer layers[PD_MAX_VISION_LAYERS];
    const pd_tensor *post_ln_weight, *post_ln_bias; /* [D] f32 */
    const pd_tensor *soft_emb_norm; /* [D] f32: RMSNorm of the pooled rows; +1 already added */
    const pd_tensor *projection;    /* [H, D]; F32, F16 or BF16, owned */
    uint64_t n_params;
    pd_type main_type; /* most frequent type among the layers' matrices */
    pd_arena owned;
} pd_vision_weights;

/* The weights point into `g`, which must outlive them; config need not. On failure nothing is left
 * to free. Errors: MODEL (missing tensor, wrong shape), UNSUPPORTED (a tensor that Gemma 3's
 * encoder does not have), each naming the tensor, the expected and the found; MEMORY_HOST. */
pd_status pd_vision_weights_bind(const pd_gguf *g, const pd_vision_config *config,
                                 pd_vision_weights *out, pd_error *err);
void pd_vision_weights_free(pd_vision_weights *w); /* all zero: nothing happens */

#endif
