/* Operations to dispatches, one file per family of operations:
 *
 *   lower.c            which function lowers what; scratch memory beyond the plan's own
 *   lower_rows.c       embed, norm, layernorm, pool_norm, gather
 *   lower_matmul.c     matmul
 *   lower_attention.c  qkv_rope_store, attention
 *   lower_output.c     draw, log_prob
 *   dispatch.c         bindings, and a dispatch with its pipeline onto the program's list
 *
 * A dispatch says of each binding what its kernel does with it; record.c finds the barriers from
 * that. Weights never change, and the KV pages of a layer are ordered by the query buffer between
 * their store and their attention: they are KEPT. Where layers share pages (images), a store comes
 * behind the attention of the layer before by way of the residual stream.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_LOWER_H
#define PD_VULKAN_LOWER_H

#include "backend/vulkan/kernels/kernels.h"
#include "backend/vulkan/program/program.h"

/* ---- bindings ------------------------------------------------------------------------------- */

pd_vk_binding pd_vk_keeps(pd_vk_slice slice);
pd_vk_binding pd_vk_reads(const pd_program *p, pd_buf_id id);
pd_vk_binding pd_vk_writes(const pd_program *p, pd_buf_id id);
pd_vk_binding pd_vk_updates(const pd_program *p, pd_buf_id id);
pd_vk_binding pd_vk_partial(const pd_program *p, unsigned access);
/* The whole step buffer. Kernels read what the host has written, KEPT, but for what draw writes. */
pd_vk_binding pd_vk_step(const pd_program *p, pd_vk_access access);

uint32_t pd_vk_buf_rows(const pd_program *p, pd_buf_id id);
pd_vk_count pd_vk_buf_count(const pd_program *p, pd_buf_id id);

/* NULL: not loaded. A vector is a matrix of one row. */
const pd_vk_matrix *pd_vk_find_matrix(const pd_program *p, const pd_tensor *const *parts,
                                      uint32_t n, pd_vk_join join);
const pd_vk_matrix *pd_vk_find_vector(const pd_program *p, const pd_tensor *const *vector);
pd_status pd_vk_raise_unloaded(const pd_tensor *t, pd_error *err);

/* ---- dispatches ----------------------------------------------------------------------------- */

/* `d` has groups, count, axis, per_group and flops; this adds the pipeline, the arguments and the
 * bindings [desc.n_buffers]. Errors: UNSUPPORTED, MEMORY_HOST, those of the pipeline. */
pd_status pd_vk_emit(pd_program *p, uint32_t op_index, pd_vk_dispatch d, pd_vk_pipeline_desc desc,
                     const void *args, const pd_vk_binding *bindings, pd_error *err);
/* Into how many dispatches work is cut, of which no piece is smaller than one of n. */
uint32_t pd_vk_count_cuts(const pd_program *p, double flops, uint32_t n);
/* Workgroups in x and y for n of them, when z or y is the row axis. */
void pd_vk_spread(uint32_t n, uint32_t *x, uint32_t *y);

/* ---- operations: append the dispatches of operation i ---------------------------------------- */

#define PD_VK_LOWER_PROTOTYPE(NAME, name)                                                          \
    pd_status pd_vk_lower_##name(pd_program *p, uint32_t i, pd_error *err);
PD_OP_LIST(PD_VK_LOWER_PROTOTYPE)
#undef PD_VK_LOWER_PROTOTYPE

/* Where a draw's logits are a product just made by matvec, its workgroups know the best of theirs:
 * how many values that is, the same for all. 0: the draw has to look for itself. */
uint32_t pd_vk_known_part(const pd_program *p, uint32_t sample);
/* Scratch bytes of partial results that operation i needs. */
uint64_t pd_vk_attention_partial_bytes(const pd_program *p, uint32_t i);
uint64_t pd_vk_sample_partial_bytes(const pd_program *p, uint32_t i);

#endif
