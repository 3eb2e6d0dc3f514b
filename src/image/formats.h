/* What this folder's files share: the facts that a walk over an image file gathers before any pixel
 * is decoded, and the steps of decoding.
 *
 * libpng decodes PNG, libwebp WebP, and stb_image JPEG and TGA; but that takes a file that ends
 * early for a complete one, and believes some of what a header says. So each format has a walk of
 * its own over the structure of the file: it finds the size, proves that the file is all there, and
 * refuses what stb_image cannot be trusted with. A walk reads only inside [bytes, bytes
 * + n).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_IMAGE_FORMATS_H
#define PD_IMAGE_FORMATS_H

#include <stdbool.h>

#include "base/bytes.h"
#include "image/image.h"

typedef struct pd_picture pd_picture;

typedef struct pd_picture_format {
    const char *name;                                   /* "PNG", for sentences */
    pd_status (*inspect)(pd_picture *p, pd_error *err); /* fills p from p->bytes */
    pd_status (*decode)(const pd_picture *p, pd_image *out, pd_error *err);
} pd_picture_format;

struct pd_picture {
    const uint8_t *bytes;
    size_t n;
    const pd_picture_format *format;
    uint32_t width, height; /* as stored, before orientation */
    uint32_t orientation;   /* EXIF: 1..8; 1: upright */
    union {
        struct {
            size_t data_end; /* offset behind the last chunk of pixels */
        } png;
        struct {
            size_t n_bytes; /* of the file that count: what follows is somebody else's */
        } webp;
        struct {
            uint32_t n_components;
            uint8_t id[4], table[4]; /* of each component: its name, its quantisation table */
            uint32_t quantisers;     /* bit per table that was defined */
            uint32_t dc, ac;         /* the same of Huffman tables */
            bool progressive;
        } jpeg;
        struct {
            size_t data; /* offset of the samples */
            uint32_t channels, maxval;
        } pnm;
        struct {
            size_t pixels, palette; /* offsets */
            uint64_t row_bytes;
            uint32_t bits, entries, entry_bytes;
            uint32_t shift[3], most[3]; /* red, green, blue: value >> shift & most */
            bool top_first;
        } bmp;
        struct {
            pd_rect frame; /* inside the screen */
            bool interlaced;
            size_t data;                 /* offset of its code size and blocks */
            const uint8_t *colours;      /* [n_colours, 3] RGB */
            uint32_t n_colours, outside; /* which one is what the frame does not cover */
        } gif;
    } of;
};

/* Which format the first bytes name, and the walk over it. */
pd_status pd_picture_inspect(pd_picture *p, pd_error *err);

pd_status pd_png_inspect(pd_picture *p, pd_error *err);
pd_status pd_jpeg_inspect(pd_picture *p, pd_error *err);
pd_status pd_webp_inspect(pd_picture *p, pd_error *err);
pd_status pd_gif_inspect(pd_picture *p, pd_error *err);
pd_status pd_bmp_inspect(pd_picture *p, pd_error *err);
pd_status pd_tga_inspect(pd_picture *p, pd_error *err);
pd_status pd_pnm_inspect(pd_picture *p, pd_error *err);

bool pd_tga_likely(const uint8_t *bytes, size_t n); /* TGA has no magic number */

pd_status pd_png_decode(const pd_picture *p, pd_image *out, pd_error *err);
pd_status pd_webp_decode(const pd_picture *p, pd_image *out, pd_error *err);
pd_status pd_gif_decode(const pd_picture *p, pd_image *out, pd_error *err);
pd_status pd_bmp_decode(const pd_picture *p, pd_image *out, pd_error *err);
pd_status pd_pnm_decode(const pd_picture *p, pd_image *out, pd_error *err);

/* The one sentence for a file that ends before it is complete. */
pd_status pd_picture_cut_short(const pd_picture *p, pd_error *err);

/* Orientation in the TIFF structure of an EXIF block; 1 when it says nothing usable. */
uint32_t pd_exif_orientation(const uint8_t *tiff, size_t n);
/* Turns the image upright in place. Errors: MEMORY_HOST. */
pd_status pd_image_orient(pd_image *image, uint32_t orientation, pd_error *err);

/* Memory for width x height pixels. */
pd_status pd_image_create(uint32_t width, uint32_t height, pd_image *out, pd_error *err);

static inline uint32_t pd_be16(const uint8_t *b) {
    return (uint32_t)b[0] << 8 | b[1];
}
static inline uint32_t pd_be32(const uint8_t *b) {
    return pd_be16(b) << 16 | pd_be16(b + 2);
}
static inline uint32_t pd_le16(const uint8_t *b) {
    return (uint32_t)b[1] << 8 | b[0];
}
static inline uint32_t pd_le32(const uint8_t *b) {
    return pd_le16(b + 2) << 16 | pd_le16(b);
}

#endif
