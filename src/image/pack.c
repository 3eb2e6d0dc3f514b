/* Pixels to the numbers the vision tower reads: channels apart, -1..1 with Gemma 3's mean and
 * deviation of 0.5.
 *
 * The reference multiplies by 1/255 in double precision, rounds to single, and normalises in single
 * precision; with 0.5 that is pixel / 127.5f - 1 for every one of the 256 values. A multiplication
 * by 1/255 in single precision is another number for half of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "image/image.h"

void pd_image_pack(const pd_image *in, const float mean[3], const float std[3], float *chw) {
    size_t n = (size_t)in->width * in->height;
    for (size_t c = 0; c < 3; c++) {
        float value[256];
        for (int i = 0; i < 256; i++) value[i] = ((float)(i * (1.0 / 255.0)) - mean[c]) / std[c];
        for (size_t i = 0; i < n; i++) chw[c * n + i] = value[in->rgb[3 * i + c]];
    }
}
