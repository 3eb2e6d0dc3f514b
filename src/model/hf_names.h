/* Tensors of a Hugging Face checkpoint and what they are called in a GGUF file.
 *
 * Names in checkpoints have prefixes that changed over time:
 *
 *     text         language_model.model.   model.language_model.   model.
 *     output       language_model.   model.   nothing                       (lm_head.weight)
 *     image tower  [model.]vision_tower.vision_model.   [model.]vision_tower.
 *     projector    [model.]multi_modal_projector.
 *
 * What is left is matched with a list made from the hyper-parameters. No tensor is transposed or
 * permuted: a row-major shape [a, b] is GGUF's ne = [b, a] over the same values.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MODEL_HF_NAMES_H
#define PD_MODEL_HF_NAMES_H

#include "model/hf_config.h"

typedef enum pd_hf_part {
    PD_HF_TEXT,
    PD_HF_OUTPUT,
    PD_HF_TOWER,
    PD_HF_PROJECTOR,
    PD_HF_NO_PART
} pd_hf_part;

typedef enum pd_hf_role {
    PD_HF_EMBEDDING,  /* or the output matrix: rows are tokens */
    PD_HF_MATRIX,     /* of a layer */
    PD_HF_NORM,       /* RMSNorm: the checkpoint stores g - 1, GGUF g */
    PD_HF_VECTOR,     /* biases, and the weights of LayerNorms */
    PD_HF_PATCHES,    /* the convolution that makes patches, [out, channel, y, x] */
    PD_HF_POSITIONS,  /* [patches, width] */
    PD_HF_PROJECTION, /* [width, text width]: inputs are rows */
} pd_hf_role;

typedef struct pd_hf_weight {
    pd_hf_part part;
    pd_hf_role role;
    char hf_name[80]; /* behind the prefix */
    char name[64];    /* in the GGUF file */
    uint32_t n_dims;
    uint64_t shape[4]; /* slowest first; unused ones are 1 */
} pd_hf_weight;

typedef struct pd_hf_weights {
    pd_hf_weight *items;
    uint32_t n;
} pd_hf_weights;

/* All tensors of a text model, in the order in which a GGUF file gets them; config->n_vocab is the
 * number of rows that are wanted. With `tied` there is no output matrix. Errors: MEMORY_HOST. */
pd_status pd_hf_text_weights(const pd_config *config, bool tied, pd_hf_weights *out, pd_error *err);
/* All tensors of an image encoder and its projector. */
pd_status pd_hf_vision_weights(const pd_vision_config *config, pd_hf_weights *out, pd_error *err);
void pd_hf_weights_free(pd_hf_weights *w);

/* Cuts the prefix off: what is left, and whose it is. PD_HF_NO_PART: nothing known. */
const char *pd_hf_strip(const char *name, pd_hf_part *part);
/* NULL: not in the list. */
const pd_hf_weight *pd_hf_find(const pd_hf_weights *w, pd_hf_part part, const char *hf_name);

#endif
