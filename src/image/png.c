/* Walk over a PNG (W3C PNG, third edition): chunks up to and including IEND.
 *
 *     signature 8 | { length u32, type 4, data, crc u32 } ...   big-endian; IHDR first, IEND last
 *
 * stb_image accepts a file that ends inside IEND. Checksums are not verified.
 *
 * SPDX-License-Identifier: MIT
 */
#include "image/formats.h"

#include <string.h>

enum { SIGNATURE_BYTES = 8, CHUNK_BYTES = 12, IHDR_BYTES = 13 };

static pd_status read_ihdr(pd_picture *p, const uint8_t *data, uint32_t n, pd_error *err) {
    if (n != IHDR_BYTES)
        return PD_RAISE(err, PD_ERR_FORMAT, "the PNG image is damaged: its header has %u bytes", n);
    p->width = pd_be32(data);
    p->height = pd_be32(data + 4);
    return PD_OK;
}

pd_status pd_png_inspect(pd_picture *p, pd_error *err) {
    for (size_t at = SIGNATURE_BYTES;;) {
        if (p->n - at < CHUNK_BYTES) return pd_picture_cut_short(p, err);
        const uint8_t *chunk = p->bytes + at;
        uint32_t n = pd_be32(chunk);
        const char *type = (const char *)chunk + 4;
        bool first = at == SIGNATURE_BYTES, is_ihdr = memcmp(type, "IHDR", 4) == 0;
        if (n > p->n - at - CHUNK_BYTES) return pd_picture_cut_short(p, err);
        if (first && !is_ihdr)
            return PD_RAISE(err, PD_ERR_FORMAT, "the PNG image does not start with its header");
        if (first) PD_TRY(read_ihdr(p, chunk + 8, n, err));
        if (memcmp(type, "eXIf", 4) == 0) p->orientation = pd_exif_orientation(chunk + 8, n);
        if (memcmp(type, "IEND", 4) == 0) return PD_OK;
        at += CHUNK_BYTES + n;
    }
}
