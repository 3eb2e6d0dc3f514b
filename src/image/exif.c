/* EXIF orientation: finding it in a TIFF structure, and turning an image upright by it.
 *
 *     "II" or "MM" (byte order), 42 u16, offset of the first directory u32
 *     directory: entries u16, { tag u16, type u16, count u32, value 4 bytes } ...
 *
 * Tag 0x0112, type 3 (u16), says where row 0 and column 0 of the stored image belong:
 *     1 top left      2 top right     3 bottom right  4 bottom left
 *     5 left top      6 right top     7 right bottom  8 left bottom
 * A damaged EXIF block leaves the image as it is: it is a note beside the image, not the image.
 *
 * SPDX-License-Identifier: MIT
 */
#include "image/formats.h"

#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_U16 = 3, ENTRY_BYTES = 12 };

uint32_t pd_exif_orientation(const uint8_t *tiff, size_t n) {
    if (n < 8 || (memcmp(tiff, "II*", 4) != 0 && memcmp(tiff, "MM\0*", 4) != 0)) return 1;
    bool big = tiff[0] == 'M';
    uint32_t (*u16)(const uint8_t *) = big ? pd_be16 : pd_le16;
    uint32_t (*u32)(const uint8_t *) = big ? pd_be32 : pd_le32;
    uint64_t at = u32(tiff + 4);
    if (at > n - 2) return 1;
    uint32_t entries = u16(tiff + at);
    at += 2;
    for (; entries > 0 && n - at >= ENTRY_BYTES; entries--, at += ENTRY_BYTES) {
        const uint8_t *entry = tiff + at;
        if (u16(entry) != TAG_ORIENTATION) continue;
        uint32_t value = u16(entry + 8);
        bool valid = u16(entry + 2) == TYPE_U16 && u32(entry + 4) == 1 && value >= 1 && value <= 8;
        return valid ? value : 1;
    }
    return 1;
}

/* The upright image's pixel (x, y) is the stored one's number start + x * dx + y * dy. */
typedef struct walk {
    int64_t start, dx, dy;
} walk;

static walk walk_of(uint32_t orientation, int64_t w, int64_t h) {
    switch (orientation) {
    case 2: return (walk){w - 1, -1, w};
    case 3: return (walk){w * h - 1, -1, -w};
    case 4: return (walk){w * (h - 1), 1, -w};
    case 5: return (walk){0, w, 1};
    case 6: return (walk){w * (h - 1), -w, 1};
    case 7: return (walk){w * h - 1, -w, -1};
    case 8: return (walk){w - 1, w, -1};
    default: return (walk){0, 1, w};
    }
}

pd_status pd_image_orient(pd_image *image, uint32_t orientation, pd_error *err) {
    if (orientation <= 1) return PD_OK;
    bool turned = orientation >= 5;
    pd_image out;
    PD_TRY(pd_image_create(turned ? image->height : image->width,
                           turned ? image->width : image->height, &out, err));
    walk k = walk_of(orientation, image->width, image->height);
    uint8_t *to = out.rgb;
    for (int64_t y = 0; y < out.height; y++) {
        const uint8_t *from = image->rgb + 3 * (k.start + y * k.dy);
        for (uint32_t x = 0; x < out.width; x++, to += 3) {
            const uint8_t *pixel = from + 3 * k.dx * x;
            to[0] = pixel[0];
            to[1] = pixel[1];
            to[2] = pixel[2];
        }
    }
    pd_image_free(image);
    *image = out;
    return PD_OK;
}
