/* BMP: palettes of 1, 4 and 8 bits, and colour of 16, 24 and 32 bits, not compressed.
 *
 *     "BM", size u32, 0 u32, offset of the pixels u32 | header bytes u32
 *     12 (OS/2): width u16, height u16, planes u16, bits u16
 *     40 and more: width i32, height i32 (negative: top row first), planes u16, bits u16,
 *         method u32, size u32, 2 x u32, colours used u32, u32, masks of red, green, blue 3 x u32
 *         (with method 3; behind a header of 40 bytes, inside a longer one)
 *     | palette: B G R (OS/2) or B G R 0 | rows, padded to 4 bytes.  little-endian
 *
 * A sample of b bits becomes v * 255 / (2^b - 1), rounded down, as in the reference. stb_image's
 * reader is not used: it rounds otherwise, reads zeros behind the end of the file and loses four
 * entries of OS/2 palettes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "image/formats.h"

#include "base/memory.h"

enum {
    FILE_BYTES = 14,
    CORE_BYTES = 12,
    INFO_BYTES = 40,
    MASKS_AT = FILE_BYTES + INFO_BYTES,
    MASKS_BYTES = 12,
    METHOD_MASKS = 3,
    MAX_COLOURS = 256,
};

static pd_status read_masks(pd_picture *p, uint32_t method, pd_error *err) {
    static const uint32_t usual[2][3] = {{0x7c00, 0x3e0, 0x1f}, {0xff0000, 0xff00, 0xff}};
    uint32_t bits = p->of.bmp.bits;
    if (method == METHOD_MASKS && p->n < MASKS_AT + MASKS_BYTES)
        return pd_picture_cut_short(p, err);
    for (uint32_t c = 0; c < 3; c++) {
        uint32_t mask =
            method == METHOD_MASKS ? pd_le32(p->bytes + MASKS_AT + 4 * c) : usual[bits == 32][c];
        uint32_t shift = mask ? (uint32_t)__builtin_ctz(mask) : 0, most = mask >> shift;
        if (mask == 0 || (most & (most + 1)) != 0)
            return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                            "BMP images whose colours are not rows of bits are not read");
        p->of.bmp.shift[c] = shift;
        p->of.bmp.most[c] = most;
    }
    return PD_OK;
}

static pd_status read_palette(pd_picture *p, uint32_t header, uint32_t used, pd_error *err) {
    uint32_t most = 1u << p->of.bmp.bits, entry_bytes = header == CORE_BYTES ? 3 : 4;
    uint32_t entries = used == 0 || used > most ? most : used;
    uint64_t at = (uint64_t)FILE_BYTES + header;
    if (at > p->n || (uint64_t)entries * entry_bytes > p->n - at)
        return pd_picture_cut_short(p, err);
    p->of.bmp.palette = (size_t)at;
    p->of.bmp.entries = entries;
    p->of.bmp.entry_bytes = entry_bytes;
    return PD_OK;
}

/* OS/2's second, Windows' first, with masks of three colours or four, version 4 and version 5 */
static bool is_known_header(uint32_t bytes) {
    return bytes == INFO_BYTES || bytes == 52 || bytes == 56 || bytes == 64 || bytes == 108 ||
           bytes == 124;
}

/* Size, bits and method, from either header. */
static pd_status read_header(pd_picture *p, uint32_t header, uint32_t *method, uint32_t *used,
                             pd_error *err) {
    const uint8_t *b = p->bytes;
    *method = *used = 0;
    if (header == CORE_BYTES) {
        p->width = pd_le16(b + 18);
        p->height = pd_le16(b + 20);
        p->of.bmp.bits = pd_le16(b + 24);
        return PD_OK;
    }
    if (!is_known_header(header))
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "BMP headers of %u bytes are not read", header);
    if (p->n < FILE_BYTES + INFO_BYTES) return pd_picture_cut_short(p, err);
    int64_t height = (int32_t)pd_le32(b + 22);
    p->width = pd_le32(b + 18);
    p->height = (uint32_t)(height < 0 ? -height : height);
    p->of.bmp.top_first = height < 0;
    p->of.bmp.bits = pd_le16(b + 28);
    *method = pd_le32(b + 30);
    *used = pd_le32(b + 46);
    if (p->width > INT32_MAX)
        return PD_RAISE(err, PD_ERR_FORMAT, "the BMP image has a negative width");
    if (*used > MAX_COLOURS)
        return PD_RAISE(err, PD_ERR_FORMAT, "the BMP image's palette has %u colours", *used);
    return PD_OK;
}

pd_status pd_bmp_inspect(pd_picture *p, pd_error *err) {
    if (p->n < FILE_BYTES + CORE_BYTES) return pd_picture_cut_short(p, err);
    uint32_t offset = pd_le32(p->bytes + 10), header = pd_le32(p->bytes + 14), method, used;
    PD_TRY(read_header(p, header, &method, &used, err));
    if (offset < FILE_BYTES + (uint64_t)header)
        return PD_RAISE(err, PD_ERR_FORMAT, "the BMP image's pixels begin inside its header");
    uint32_t bits = p->of.bmp.bits;
    bool deep = bits == 16 || bits == 32, indexed = bits == 1 || bits == 4 || bits == 8;
    if (!deep && !indexed && bits != 24)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "BMP images of %u bits are not read", bits);
    if (method != 0 && !(deep && method == METHOD_MASKS))
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "compressed BMP images (method %u) are not read",
                        method);
    if (deep) PD_TRY(read_masks(p, method, err));
    if (indexed) PD_TRY(read_palette(p, header, used, err));
    uint64_t row = ((uint64_t)p->width * bits + 31) / 32 * 4, end;
    if (!pd_mul_u64(row, p->height, &end) || !pd_add_u64(end, offset, &end) || end > p->n)
        return pd_picture_cut_short(p, err);
    p->of.bmp.pixels = offset;
    p->of.bmp.row_bytes = row;
    return PD_OK;
}

static void decode_indexed(const pd_picture *p, const uint8_t *row, uint8_t *out) {
    uint32_t bits = p->of.bmp.bits, per_byte = 8 / bits, mask = (1u << bits) - 1;
    for (uint32_t x = 0; x < p->width; x++, out += 3) {
        uint32_t shift = 8 - bits - x % per_byte * bits;
        uint32_t entry = ((uint32_t)row[x / per_byte] >> shift) & mask;
        if (entry >= p->of.bmp.entries) continue; /* black */
        const uint8_t *bgr = p->bytes + p->of.bmp.palette + entry * p->of.bmp.entry_bytes;
        for (uint32_t c = 0; c < 3; c++) out[c] = bgr[2 - c];
    }
}

static void decode_masked(const pd_picture *p, const uint8_t *row, uint8_t *out) {
    uint32_t step = p->of.bmp.bits / 8;
    for (uint32_t x = 0; x < p->width; x++, row += step, out += 3) {
        uint32_t value = step == 2 ? pd_le16(row) : pd_le32(row);
        for (uint32_t c = 0; c < 3; c++) {
            uint64_t sample = value >> p->of.bmp.shift[c] & p->of.bmp.most[c];
            out[c] = (uint8_t)(sample * 255 / p->of.bmp.most[c]);
        }
    }
}

static void decode_bgr(const pd_picture *p, const uint8_t *row, uint8_t *out) {
    for (uint32_t x = 0; x < p->width; x++, row += 3, out += 3)
        for (uint32_t c = 0; c < 3; c++) out[c] = row[2 - c];
}

pd_status pd_bmp_decode(const pd_picture *p, pd_image *out, pd_error *err) {
    PD_TRY(pd_image_create(p->width, p->height, out, err));
    uint32_t bits = p->of.bmp.bits;
    for (uint32_t y = 0; y < p->height; y++) {
        uint32_t stored = p->of.bmp.top_first ? y : p->height - 1 - y;
        const uint8_t *row = p->bytes + p->of.bmp.pixels + stored * p->of.bmp.row_bytes;
        uint8_t *to = out->rgb + 3 * (size_t)y * p->width;
        if (bits <= 8)
            decode_indexed(p, row, to);
        else if (bits == 24)
            decode_bgr(p, row, to);
        else
            decode_masked(p, row, to);
    }
    return PD_OK;
}
