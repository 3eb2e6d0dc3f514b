/* From the bytes of an image file to the numbers that the vision tower reads.
 *
 *     bytes --decode--> 8-bit RGB, upright --crops--> windows --resize--> square --pack--> floats
 *
 * The steps do what the reference pipeline does (Pillow 9 under Hugging Face's Gemma 3 processor):
 * the resize is equal to Pillow's byte for byte. Nothing here knows of a model.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_IMAGE_IMAGE_H
#define PD_IMAGE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* 8-bit RGB, [height][width][3]; pd_image_free releases it. All zero: no image. */
typedef struct pd_image {
    uint32_t width, height; /* pixels, both > 0 */
    uint8_t *rgb;
} pd_image;

/* What an image from outside may ask for; checked against the header before anything is decoded. */
typedef struct pd_image_limits {
    uint64_t max_bytes;  /* of the file; 0: 64 MiB; never above 2^31 - 1 */
    uint64_t max_pixels; /* 0: 100 million */
} pd_image_limits;

void pd_image_free(pd_image *image);

/* Decodes PNG, JPEG (8-bit, baseline and progressive), GIF (its first frame), BMP (not run-length
 * coded), TGA and binary PNM (P5, P6). Grey is replicated, alpha and transparency are dropped, 16
 * bits become the upper 8, and EXIF orientation is applied. `limits` may be NULL.
 * Errors: FORMAT (empty, damaged, cut short anywhere), UNSUPPORTED (another format or variant,
 * beyond the limits), MEMORY_HOST. *out is empty then. */
pd_status pd_image_decode(const void *bytes, size_t n, const pd_image_limits *limits, pd_image *out,
                          pd_error *err);
/* The same from a file, which every error names; also IO. */
pd_status pd_image_read(const char *path, const pd_image_limits *limits, pd_image *out,
                        pd_error *err);

/* Stretches to width x height with Pillow's 8-bit BILINEAR filter: a triangle as wide as the
 * shrinking asks for, across first, then down, rounded to 8 bits after each. Errors: ARGUMENT (a
 * size of 0), MEMORY_HOST. */
pd_status pd_image_resize(const pd_image *in, uint32_t width, uint32_t height, pd_image *out,
                          pd_error *err);

typedef struct pd_rect {
    uint32_t x, y, width, height;
} pd_rect;

/* Pan and scan: long images are also shown in windows along the longer side. */
typedef struct pd_crop_rule {
    uint32_t min_crop_px; /* no window may have a side below this; 0: 256 */
    uint32_t max_crops;   /* 0: 4; at most PD_MAX_CROPS count */
    double min_ratio;     /* longer / shorter side below which there are no windows; 0: 1.2 */
} pd_crop_rule;

enum { PD_MAX_CROPS = 16 };

/* The windows of an image of this size in the order in which they follow the whole image, 0: none.
 * `rule` may be NULL for the defaults. */
uint32_t pd_image_crops(uint32_t width, uint32_t height, const pd_crop_rule *rule,
                        pd_rect out[PD_MAX_CROPS]);
/* A copy of one window. Errors: ARGUMENT (empty or not inside the image), MEMORY_HOST. */
pd_status pd_image_crop(const pd_image *in, pd_rect window, pd_image *out, pd_error *err);

/* chw [3][height][width] = (pixel * (1 / 255) - 0.5) / 0.5, rounded as the reference rounds. */
void pd_image_pack(const pd_image *in, float *chw);

#endif
