/* Walk over a GIF (87a, 89a) up to its trailer, and its first frame as the reference shows it.
 *
 *     "GIF89a" | screen width u16, height u16, flags, background, aspect | colours
 *     | { 21 label, sub-blocks | 2C x y w h u16, flags, colours, code size, sub-blocks } ... | 3B
 *     sub-blocks: { length u8 > 0, data } ... 0.  little-endian
 *
 * The reference converts palette images to RGB without regard to transparency: a transparent pixel
 * has its palette entry's colour, and what the first frame does not cover has the transparent
 * entry's (entry 0 where none is transparent). stb_image would leave both black or in the
 * background colour. So it decodes a copy that ends after the first frame and whose transparency
 * flag is off, and the rest of the screen is filled here.
 *
 * SPDX-License-Identifier: MIT
 */
#include "image/formats.h"

#include <string.h>

#include "base/memory.h"
#include "image/stb.h"

enum { SCREEN_BYTES = 13, FRAME_BYTES = 10, HAS_COLOURS = 0x80, TRANSPARENT = 1 };

typedef struct colours {
    const uint8_t *rgb;
    uint32_t n;
} colours;

static pd_status damaged(pd_error *err, const char *what) {
    return PD_RAISE(err, PD_ERR_FORMAT, "the GIF image is damaged: %s", what);
}

static bool skip_sub_blocks(pd_reader *r) {
    const uint8_t *data;
    uint8_t n;
    do {
        if (!pd_read_u8(r, &n) || !pd_read_bytes(r, n, &data)) return false;
    } while (n > 0);
    return true;
}

static bool read_colours(pd_reader *r, uint8_t flags, colours *c) {
    if (!(flags & HAS_COLOURS)) return true;
    c->n = 2u << (flags & 7);
    return pd_read_bytes(r, 3 * c->n, &c->rgb);
}

/* An extension; remembers where the flags of a graphic control are. */
static bool skip_extension(pd_reader *r, size_t *control) {
    uint8_t label;
    if (!pd_read_u8(r, &label)) return false;
    if (label == 0xf9 && r->size - r->pos >= 6 && r->data[r->pos] == 4) *control = r->pos + 1;
    return skip_sub_blocks(r);
}

/* A frame after its 2C; false when it does not fit the file. */
static bool read_frame(pd_reader *r, pd_rect *rect, colours *c) {
    const uint8_t *d;
    uint8_t code_size;
    if (!pd_read_bytes(r, FRAME_BYTES - 1, &d)) return false;
    *rect = (pd_rect){pd_le16(d), pd_le16(d + 2), pd_le16(d + 4), pd_le16(d + 6)};
    return read_colours(r, d[8], c) && pd_read_u8(r, &code_size) && skip_sub_blocks(r);
}

static pd_status keep_first_frame(pd_picture *p, pd_rect rect, const colours *c, size_t control,
                                  size_t end, pd_error *err) {
    if (rect.width == 0 || rect.height == 0) return damaged(err, "an empty frame");
    if (rect.x + rect.width > p->width || rect.y + rect.height > p->height)
        return damaged(err, "a frame beyond the screen");
    if (c->n == 0) return damaged(err, "no colours");
    uint32_t entry = control && p->bytes[control] & TRANSPARENT ? p->bytes[control + 3] : 0;
    p->of.gif.frame = rect;
    p->of.gif.frame_end = end;
    p->of.gif.control = control;
    p->of.gif.outside = c->rgb + 3 * (entry < c->n ? entry : 0);
    return PD_OK;
}

pd_status pd_gif_inspect(pd_picture *p, pd_error *err) {
    if (p->n < SCREEN_BYTES) return pd_picture_cut_short(p, err);
    p->width = pd_le16(p->bytes + 6);
    p->height = pd_le16(p->bytes + 8);
    pd_reader r = {p->bytes, p->n, SCREEN_BYTES};
    colours global = {0};
    bool fits = read_colours(&r, p->bytes[10], &global), has_frame = false;
    size_t control = 0;
    uint8_t kind;
    while (fits && pd_read_u8(&r, &kind)) {
        if (kind == 0x3b) return has_frame ? PD_OK : damaged(err, "no frame");
        if (kind == 0x21) {
            fits = skip_extension(&r, &control);
        } else if (kind == 0x2c) {
            pd_rect rect;
            colours local = global;
            fits = read_frame(&r, &rect, &local);
            if (fits && !has_frame)
                PD_TRY(keep_first_frame(p, rect, &local, control, (size_t)r.pos, err));
            has_frame = true;
        } else {
            return damaged(err, "a block of unknown kind");
        }
    }
    return pd_picture_cut_short(p, err);
}

static void fill_outside(const pd_picture *p, pd_image *image) {
    pd_rect f = p->of.gif.frame;
    for (uint32_t y = 0; y < image->height; y++) {
        bool crosses = y >= f.y && y - f.y < f.height;
        uint8_t *row = image->rgb + 3 * ((size_t)y * image->width);
        for (uint32_t x = 0; x < image->width; x++)
            if (!crosses || x < f.x || x - f.x >= f.width)
                memcpy(row + 3 * (size_t)x, p->of.gif.outside, 3);
    }
}

pd_status pd_gif_decode(const pd_picture *p, pd_image *out, pd_error *err) {
    size_t n = p->of.gif.frame_end;
    uint8_t *copy = pd_alloc(n + 1, 1);
    if (!copy)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for an image of %zu bytes", n);
    memcpy(copy, p->bytes, n);
    copy[n] = 0x3b;
    if (p->of.gif.control) copy[p->of.gif.control] &= (uint8_t)~TRANSPARENT;
    pd_picture first = *p;
    first.bytes = copy;
    first.n = n + 1;
    pd_status status = pd_stb_decode(&first, out, err);
    pd_free(copy);
    if (status == PD_OK) fill_outside(p, out);
    return status;
}
