/* From the bytes of an image file to the numbers that the vision tower reads.
 *
 *     bytes --decode--> 8-bit RGB, upright --crops--> windows --resize--> square --pack--> floats
 *
 * The steps do what the reference pipeline does (Pillow under Hugging Face's Gemma 3 processor):
 * the resize is equal to that of Pillow 9.0 to 12.1 byte for byte. Nothing here knows of a model.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_IMAGE_IMAGE_H
#define PD_IMAGE_IMAGE_H

#include "base/error.h"

/* Reading and cutting out are public: peridot.h. */

/* Stretches to width x height with Pillow's 8-bit BILINEAR filter: a triangle as wide as the
 * shrinking asks for, across first, then down, rounded to 8 bits after each. Errors: ARGUMENT (a
 * side of 0 or above 65535), MEMORY_HOST. */
pd_status pd_image_resize(const pd_image *in, uint32_t width, uint32_t height, pd_image *out,
                          pd_error *err);

/* chw [3][height][width] = (pixel * (1 / 255) - mean) / std, per colour, rounded as the reference
 * rounds. */
void pd_image_pack(const pd_image *in, const float mean[3], const float std[3], float *chw);
/* The same numbers from a file that holds nothing else: float32, [3, size, size]. Errors: IO,
 * FORMAT (another size). */
pd_status pd_image_read_packed(const char *path, uint32_t size, float *chw, pd_error *err);

#endif
