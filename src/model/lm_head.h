/* The output head in another type than the file's: chosen when weights are bound, filled while
 * loading.
 *
 * The requantised matrix is a tensor of its own that takes the stored one's place in pd_weights, so
 * nothing behind knows the difference. Its bytes are made in host memory, rows at a time by all
 * threads, with the reference encoders (file/quant.h): the same bytes as a file quantised
 * beforehand. A backend that works on the host goes on reading them; for others they are dropped
 * once uploaded. When head and embedding are one matrix, both get the new one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MODEL_HEAD_H
#define PD_MODEL_HEAD_H

#include "model/weights.h"

typedef struct pd_lm_head {
    const pd_tensor *stored; /* [n_vocab, H] in the file's mapping */
    pd_tensor tensor;        /* what takes its place; its data are there from fill to drop */
    bool requantised;        /* else weights->output is still `stored` */
} pd_lm_head;

/* Puts head->tensor into w's output (and embedding when tied) and corrects w's figures; w must not
 * outlive head. Nothing changes when the head would not become smaller. Errors: UNSUPPORTED (rows
 * that are no multiple of the type's block). */
pd_status pd_lm_head_choose(pd_weights *w, pd_head_type wanted, pd_lm_head *head, pd_error *err);

/* Makes the bytes, if requantised. The progress is in bytes of the stored head. Errors:
 * MEMORY_HOST, CANCELLED. */
pd_status pd_lm_head_fill(pd_lm_head *head, uint32_t n_threads, pd_progress_fn progress, void *ctx,
                          pd_error *err);
void pd_lm_head_drop(pd_lm_head *head); /* frees the bytes; the tensor stays known by its address */

#endif
