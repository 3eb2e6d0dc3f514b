/* Weights on the device: matrices as planes of 16-byte loads (layout: shaders/weights.glsl).
 *
 * The unit is what one dispatch multiplies with: one tensor, several of the same type one below the
 * other (Q, K, V), two with their rows interleaved (gate, up), or vectors one behind the other
 * (biases). Rows whose values are no multiple of 32 get zeros behind them. Rows are read from the
 * mapping, copied to one of two staging buffers, and repacked by a compute shader while the host
 * fills the other. Matrices beyond the binding limit are cut into slices of rows. Vectors (norm
 * weights) are matrices of type F32.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_UPLOAD_H
#define PD_VULKAN_UPLOAD_H

#include "backend/vulkan/program/backend.h"

enum { PD_VK_MATRIX_PARTS = 3 };

/* How a matrix is made of its parts. */
typedef enum pd_vk_join {
    PD_VK_STACKED,     /* one below the other */
    PD_VK_INTERLEAVED, /* rows in turn */
    PD_VK_CONCATENATED /* vectors, as one row */
} pd_vk_join;

typedef struct pd_vk_matrix_slice {
    uint32_t first_row, n_rows;
    pd_vk_slice q, s, h; /* s and h repeat q where the type has no such plane */
} pd_vk_matrix_slice;

typedef struct pd_vk_matrix {
    const pd_tensor *parts[PD_VK_MATRIX_PARTS];
    uint32_t n_parts;
    pd_vk_join join;
    uint32_t wtype;    /* PD_WEIGHT_* of shaders/args.h */
    uint32_t n_rows;   /* of all parts together */
    uint32_t n_blocks; /* of 32 values per row */
    uint32_t n_slices;
    pd_vk_matrix_slice *slices;
} pd_vk_matrix;

pd_status pd_vk_weights_create(pd_vk_backend *b, pd_vk_weights **out, pd_error *err);
/* For a backend that counts only: the same matrices, whose memory stays the other's. */
pd_status pd_vk_weights_copy(const pd_vk_weights *from, pd_vk_backend *b, pd_vk_weights **out,
                             pd_error *err);
void pd_vk_weights_destroy(pd_vk_weights *w);

/* Uploads everything the plan's operations name that is not there yet. */
pd_status pd_vk_weights_load(pd_vk_weights *w, const pd_plan *plan, pd_progress_fn progress,
                             void *ctx, pd_error *err);

/* The matrix made of exactly these parts; NULL when it was not loaded. */
const pd_vk_matrix *pd_vk_weights_find(const pd_vk_weights *w, const pd_tensor *const *parts,
                                       uint32_t n_parts, pd_vk_join join);

/* How a matmul's weights become matrices: the number of leading `weights` that share a type and so
 * form one matrix; all of them when interleaved. */
uint32_t pd_vk_matrix_run(const pd_op_matmul *m, uint32_t first);

#endif
