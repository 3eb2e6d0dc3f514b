/* Pixels to the numbers the vision tower reads: channels apart, -1..1.
 *
 * The reference multiplies by 1/255 in double precision, rounds to single, and normalises with mean
 * and deviation 0.5 in single precision; for every one of the 256 values that is also
 * pixel / 127.5f - 1. A multiplication by 1/255 in single precision is another number for half of
 * them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "image/image.h"

void pd_image_pack(const pd_image *in, float *chw) {
    float value[256];
    for (int i = 0; i < 256; i++) value[i] = ((float)(i * (1.0 / 255.0)) - 0.5f) / 0.5f;
    size_t n = (size_t)in->width * in->height;
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < n; i++) chw[c * n + i] = value[in->rgb[3 * i + c]];
}
