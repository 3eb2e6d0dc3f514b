/* Image files of every format: decoding, and what is done with a decoded image. A PNG's chunks get
 * right checksums first, since hardly any change would come further than to them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "image/image.h"

static uint32_t crc_of(const uint8_t *data, size_t n) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void repair_png(uint8_t *data, size_t n) {
    for (size_t at = 8; n - at >= 12;) {
        uint8_t *chunk = data + at;
        size_t length =
            (size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 | (size_t)chunk[2] << 8 | chunk[3];
        if (length > n - at - 12) return;
        uint32_t crc = crc_of(chunk + 4, length + 4);
        for (int i = 0; i < 4; i++) chunk[8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 12 + length;
    }
}

static void decode(const uint8_t *data, size_t n) {
    pd_error err = {0};
    pd_image image = {0}, small = {0};
    pd_image_limits limits = {.max_pixels = 1 << 16};
    if (!fuzz_clean(pd_image_decode(data, n, &limits, &image, &err), &err)) {
        fuzz_check(image.rgb == NULL, "a refused image is not empty");
        return;
    }
    fuzz_check((uint64_t)image.width * image.height <= 1 << 16, "an image beyond the limit");
    fuzz_read(image.rgb, 3ull * image.width * image.height);
    if (fuzz_clean(pd_image_resize(&image, 5, 7, &small, &err), &err)) pd_image_free(&small);
    pd_image_free(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n < 8 || memcmp(data, "\x89PNG\r\n\x1a\n", 8) != 0) {
        decode(data, n);
        return 0;
    }
    uint8_t *copy = malloc(n);
    fuzz_check(copy != NULL, "no memory");
    memcpy(copy, data, n);
    repair_png(copy, n);
    decode(copy, n);
    free(copy);
    return 0;
}
