/* What a sequence consists of: tokens, and images with a row per position.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_ENGINE_TOKENS_H
#define PD_ENGINE_TOKENS_H

#include "base/error.h"

/* Positions [first, end) are the rows of one image. */
typedef struct pd_placed_image {
    uint32_t first, end;
    uint64_t hash;         /* pd_vision_hash: what it is known by */
    const pd_image *image; /* only while the prompt that brought it is being computed */
} pd_placed_image;

typedef struct pd_tokens {
    uint32_t *ids; /* [n_max]; PD_TOKEN_EMBEDDED where an image's row is */
    pd_placed_image *images;
    uint32_t n_max, n, n_images, max_images;
} pd_tokens;

/* image_rows: positions of an image; 0: there are none. Errors: MEMORY_HOST. */
pd_status pd_tokens_create(pd_tokens *t, uint32_t n_max, uint32_t image_rows, pd_error *err);
void pd_tokens_destroy(pd_tokens *t);

/* Takes a prompt's place. Errors: ARGUMENT (no ids, ids outside the vocabulary,
 * placeholders and images differ in number, images without an encoder), CONTEXT. */
pd_status pd_tokens_fill(pd_tokens *t, const pd_prompt *prompt, uint32_t n_vocab,
                         uint32_t image_rows, pd_error *err);

/* n positions more. images: of the text that they are from; those among them are noted, without
 * their pixels. */
void pd_tokens_append(pd_tokens *t, const uint32_t *ids, uint32_t n, const pd_placed_image *images,
                      uint32_t n_images);
/* The first n positions stay; n does not lie within an image. */
void pd_tokens_cut(pd_tokens *t, uint32_t n);

/* How many positions the two have in common; never a part of an image. */
uint32_t pd_tokens_common(const pd_tokens *a, const pd_tokens *b);

/* The image whose row stands at `pos`; NULL: a token does. */
const pd_placed_image *pd_image_at(const pd_placed_image *images, uint32_t n_images, uint32_t pos);
/* pos, or the beginning of the image that it lies in: images are computed as a whole. */
uint32_t pd_tokens_before_image(const pd_tokens *t, uint32_t pos);

/* As many positions from `first` on, at most n_chunk, as can be computed at once: images are never
 * divided. */
uint32_t pd_tokens_chunk(const pd_tokens *t, uint32_t first, uint32_t n_chunk);

/* Of n positions from `first` on, those up to the first beginning or end of an image. */
uint32_t pd_tokens_to_border(const pd_tokens *t, uint32_t first, uint32_t n);

#endif
