/* A model's image encoder: the mmproj file, its weights on the model's device, and the rows of the
 * last images, so that the same picture again costs nothing.
 *
 *     pixels [3, S, S] --> patches [grid^2, 3 patch^2] --plan_vision--> rows [n_tokens, H]
 *
 * The program and its memory are made with the first image. One thread at a time, as for sessions.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_ENGINE_VISION_H
#define PD_ENGINE_VISION_H

#include "backend/backend.h"
#include "model/vision_weights.h"

typedef struct pd_vision pd_vision;

/* Reads and checks the file. Errors: as pd_vision_config_read, pd_vision_weights_bind; MODEL (made
 * for a text model of another width). */
pd_status pd_vision_open(const char *path, uint32_t text_n_embd, pd_precision precision,
                         pd_vision **out, pd_error *err);
/* Before the backend is closed; NULL is allowed. */
void pd_vision_close(pd_vision *v);

/* Places the weights on the device. */
pd_status pd_vision_load(pd_vision *v, pd_backend *backend, pd_progress_fn progress, void *ctx,
                         pd_error *err);

const pd_vision_config *pd_vision_get_config(const pd_vision *v);
const pd_vision_weights *pd_vision_get_weights(const pd_vision *v);
const pd_vision_stats *pd_vision_get_stats(const pd_vision *v);
uint64_t pd_vision_get_file_bytes(const pd_vision *v);
uint64_t pd_vision_get_identity(const pd_vision *v); /* pd_gguf_identity */

/* rows [n_tokens, H] of pixels [3, image_size, image_size]. cancel: as pd_step.cancel. Errors:
 * MEMORY_DEVICE, DEVICE, CANCELLED, NUMERIC (names the operation). */
pd_status pd_vision_encode(pd_vision *v, const float *chw, const atomic_int *cancel, float *rows,
                           pd_error *err);

/* Another encoder with the same file and weights, for counting what they take of a backend that
 * only counts: v stays as it is. To be closed before v. Errors: MEMORY_HOST. */
pd_status pd_vision_twin(const pd_vision *v, pd_vision **out, pd_error *err);
/* Makes all that the first image makes, on a backend that counts only and knows the weights, and
 * computes nothing. Errors: MEMORY_DEVICE, MEMORY_HOST, DEVICE. */
pd_status pd_vision_rehearse(pd_vision *v, pd_backend *backend, pd_error *err);
bool pd_vision_has_program(const pd_vision *v); /* since the first image */

/* The last image again, operation by operation. Errors: ARGUMENT (there was none), DEVICE. */
pd_status pd_vision_profile(pd_vision *v, pd_profile_fn fn, void *ctx, pd_error *err);
/* pd_model_check_image */
pd_status pd_vision_check(pd_vision *v, pd_vision *reference, pd_check_fn fn, void *ctx,
                          pd_error *err);

/* chw [3, image_size, image_size]: what the encoder sees of an image. Errors: MEMORY_HOST. */
pd_status pd_vision_pixels(const pd_vision *v, const pd_image *image, float *chw, pd_error *err);

/* What images are known by: their pixels and size. */
uint64_t pd_vision_hash(const pd_image *image);
/* The rows of an image of any size, computed only if they are not at hand; valid until the next
 * call. hash: pd_vision_hash's. */
pd_status pd_vision_rows(pd_vision *v, const pd_image *image, uint64_t hash,
                         const atomic_int *cancel, const float **rows, pd_error *err);
/* Whether they are at hand. */
bool pd_vision_knows(const pd_vision *v, uint64_t hash);
/* From now on images let others run in between (pd_step.between); NULL: no more. */
void pd_vision_set_between(pd_vision *v, void (*fn)(void *ctx), void *ctx);
/* Takes rows [n_tokens, H] for those of the image with that hash. Errors: MEMORY_HOST. */
pd_status pd_vision_remember(pd_vision *v, uint64_t hash, const float *rows, pd_error *err);

#endif
