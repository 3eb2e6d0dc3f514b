/* Walk over a TGA (Truevision TGA 2.0): the header, and the promise that all pixels are there.
 *
 *     id bytes u8, has colours u8, kind u8 (1 palette, 2 RGB, 3 grey; + 8: run-length coded)
 *     | colours: first u16, count u16, bits u8 | x, y, width, height u16, bits u8, descriptor u8
 *     | id | colours | pixels, or packets { u8: bit 7 repeat, bits 0..6 count - 1; pixel(s) }
 *
 * The format has no magic number, so a header counts as one only if every field makes sense.
 * Columns from right to left (descriptor bit 4) are an orientation of their own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "image/formats.h"

enum { HEADER_BYTES = 18, PALETTE = 1, RGB = 2, GREY = 3, PACKED = 8, RIGHT_TO_LEFT = 0x10 };

static bool is_colour_bits(uint32_t bits) {
    return bits == 15 || bits == 16 || bits == 24 || bits == 32;
}

bool pd_tga_likely(const uint8_t *b, size_t n) {
    if (n < HEADER_BYTES) return false;
    uint32_t has_colours = b[1], kind = b[2] & ~(uint32_t)PACKED, bits = b[16];
    if (has_colours > 1 || (b[2] & ~(PACKED | 3)) || kind == 0) return false;
    if ((kind == PALETTE) != has_colours) return false;
    if (has_colours && (pd_le16(b + 5) == 0 || !is_colour_bits(b[7]))) return false;
    if (pd_le16(b + 12) == 0 || pd_le16(b + 14) == 0 || b[17] & 0xc0) return false;
    return kind == RGB ? is_colour_bits(bits) : bits == 8 || (kind == GREY && bits == 16);
}

/* Whether packets for n pixels are there. */
static bool has_packets(pd_reader *r, uint64_t n, uint32_t pixel_bytes) {
    while (n > 0) {
        const uint8_t *data;
        uint8_t head;
        if (!pd_read_u8(r, &head)) return false;
        uint32_t count = (head & 127u) + 1;
        if (!pd_read_bytes(r, (uint64_t)pixel_bytes * (head & 128 ? 1 : count), &data))
            return false;
        n -= count < n ? count : n;
    }
    return true;
}

pd_status pd_tga_inspect(pd_picture *p, pd_error *err) {
    const uint8_t *b = p->bytes, *data;
    p->width = pd_le16(b + 12);
    p->height = pd_le16(b + 14);
    uint32_t pixel_bytes = (b[16] + 7u) / 8;
    uint64_t colour_bytes = b[1] ? pd_le16(b + 5) * ((b[7] + 7u) / 8) : 0;
    uint64_t pixels = (uint64_t)p->width * p->height;
    pd_reader r = {b, p->n, HEADER_BYTES};
    bool fits = pd_read_bytes(&r, b[0] + colour_bytes, &data);
    if (fits && b[2] & PACKED)
        fits = has_packets(&r, pixels, pixel_bytes);
    else if (fits)
        fits = pd_read_bytes(&r, pixels * pixel_bytes, &data);
    if (!fits) return pd_picture_cut_short(p, err);
    if (b[17] & RIGHT_TO_LEFT) p->orientation = 2;
    return PD_OK;
}
