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

#include <string.h>

#include "base/file.h"
#include "base/memory.h"

void pd_image_pack(const pd_image *in, const float mean[3], const float std[3], float *chw) {
    size_t n = (size_t)in->width * in->height;
    for (size_t c = 0; c < 3; c++) {
        float value[256];
        for (int i = 0; i < 256; i++) value[i] = ((float)(i * (1.0 / 255.0)) - mean[c]) / std[c];
        for (size_t i = 0; i < n; i++) chw[c * n + i] = value[in->rgb[3 * i + c]];
    }
}

pd_status pd_image_read_packed(const char *path, uint32_t size, float *chw, pd_error *err) {
    uint64_t expected = UINT64_C(3) * size * size * sizeof *chw;
    char *data = NULL;
    size_t n = 0;
    PD_TRY(pd_file_read_all(path, 1u << 30, &data, &n, err));
    pd_status status = PD_OK;
    if (n == expected)
        memcpy(chw, data, n);
    else
        status =
            PD_RAISE(err, PD_ERR_FORMAT, "%s has %zu bytes, but [3, %u, %u] float32 are %llu bytes",
                     path, n, size, size, (unsigned long long)expected);
    pd_free(data);
    return status;
}
