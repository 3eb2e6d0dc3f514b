/* Image files of every format: decoding, and what is done with a decoded image.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"
#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    pd_error err = {0};
    pd_image image = {0}, small = {0};
    pd_image_limits limits = {.max_pixels = 1 << 16};
    if (!fuzz_clean(pd_image_decode(data, n, &limits, &image, &err), &err)) {
        fuzz_check(image.rgb == NULL, "a refused image is not empty");
        return 0;
    }
    fuzz_check((uint64_t)image.width * image.height <= 1 << 16, "an image beyond the limit");
    fuzz_read(image.rgb, 3ull * image.width * image.height);
    if (fuzz_clean(pd_image_resize(&image, 5, 7, &small, &err), &err)) pd_image_free(&small);
    pd_image_free(&image);
    return 0;
}
