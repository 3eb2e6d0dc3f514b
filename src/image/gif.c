/* Walk over a GIF (87a, 89a) up to its trailer, and its first frame as the reference shows it.
 *
 *     "GIF89a" | screen width u16, height u16, flags, background, aspect | colours
 *     | { 21 label, sub-blocks | 2C x y w h u16, flags, colours, code size, sub-blocks } ... | 3B
 *     sub-blocks: { length u8 > 0, data } ... 0.  little-endian
 *
 * The reference converts palette images to RGB without regard to transparency: a transparent pixel
 * has its palette entry's colour, and what the first frame does not cover has the transparent
 * entry's (entry 0 where none is transparent).
 *
 * SPDX-License-Identifier: MIT
 */
#include "image/formats.h"

#include <string.h>

#include "base/memory.h"

enum {
    SCREEN_BYTES = 13,
    FRAME_BYTES = 10,
    HAS_COLOURS = 0x80,
    INTERLACED = 0x40,
    TRANSPARENT = 1
};

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

typedef struct frame {
    pd_rect rect;
    bool interlaced;
    size_t data; /* offset of its code size */
    colours colours;
} frame;

/* A frame after its 2C; false when it does not fit the file. */
static bool read_frame(pd_reader *r, frame *f) {
    const uint8_t *d;
    uint8_t code_size;
    if (!pd_read_bytes(r, FRAME_BYTES - 1, &d)) return false;
    f->rect = (pd_rect){pd_le16(d), pd_le16(d + 2), pd_le16(d + 4), pd_le16(d + 6)};
    f->interlaced = (d[8] & INTERLACED) != 0;
    if (!read_colours(r, d[8], &f->colours)) return false;
    f->data = (size_t)r->pos;
    return pd_read_u8(r, &code_size) && skip_sub_blocks(r);
}

static pd_status keep_first_frame(pd_picture *p, const frame *f, size_t control, pd_error *err) {
    pd_rect rect = f->rect;
    const colours *c = &f->colours;
    if (rect.width == 0 || rect.height == 0) return damaged(err, "an empty frame");
    if (rect.x + rect.width > p->width || rect.y + rect.height > p->height)
        return damaged(err, "a frame beyond the screen");
    if (c->n == 0) return damaged(err, "no colours");
    uint32_t entry = control && p->bytes[control] & TRANSPARENT ? p->bytes[control + 3] : 0;
    p->of.gif.frame = rect;
    p->of.gif.interlaced = f->interlaced;
    p->of.gif.data = f->data;
    p->of.gif.colours = c->rgb;
    p->of.gif.n_colours = c->n;
    p->of.gif.outside = entry < c->n ? entry : 0;
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
            frame f = {.colours = global};
            fits = read_frame(&r, &f);
            if (fits && !has_frame) PD_TRY(keep_first_frame(p, &f, control, err));
            has_frame = true;
        } else {
            return damaged(err, "a block of unknown kind");
        }
    }
    return pd_picture_cut_short(p, err);
}

/* ---- LZW ------------------------------------------------------------------------------------ */

enum { MAX_CODE_BITS = 12, MAX_CODES = 1 << MAX_CODE_BITS };

typedef struct codes {
    const uint8_t *at; /* in a sub-block */
    uint32_t left;     /* bytes of it */
    uint32_t bits, n_bits;
} codes;

/* The next code of so many bits, lowest first; -1 behind the last sub-block, which the walk has
 * found to be there. */
static int32_t next_code(codes *c, uint32_t width) {
    while (c->n_bits < width) {
        if (c->left == 0) {
            if (*c->at == 0) return -1;
            c->left = *c->at++;
        }
        c->bits |= (uint32_t)*c->at++ << c->n_bits;
        c->n_bits += 8;
        c->left--;
    }
    uint32_t code = c->bits & ((1u << width) - 1);
    c->bits >>= width;
    c->n_bits -= width;
    return (int32_t)code;
}

/* Strings are those that were written before: a code stands for a place in the output. A new code
 * is the string before with the first entry of the next one, which lies right behind it. */
typedef struct table {
    size_t at[MAX_CODES];
    uint32_t length[MAX_CODES];
    uint32_t n, width; /* codes; bits of the next one */
} table;

static void clear_table(table *t, uint32_t code_size) {
    t->n = (1u << code_size) + 2; /* the colours, "clear" and "end" */
    t->width = code_size + 1;
}

static void add_string(table *t, size_t at, uint32_t length) {
    if (t->n == MAX_CODES) return; /* full until it is cleared */
    t->at[t->n] = at;
    t->length[t->n++] = length;
    if (t->n == 1u << t->width && t->width < MAX_CODE_BITS) t->width++;
}

/* out: [n] entries of the palette. NULL, or what is wrong. */
static const char *unpack(const uint8_t *data, table *t, uint8_t *out, size_t n) {
    uint32_t code_size = data[0], before = 0; /* length of the string before */
    if (code_size < 1 || code_size > 8) return "an impossible size of codes";
    const uint32_t clear = 1u << code_size;
    codes c = {.at = data + 1};
    clear_table(t, code_size);
    for (size_t done = 0; done < n;) {
        int32_t code = next_code(&c, t->width);
        if (code < 0 || (uint32_t)code == clear + 1) return "its pixels end early";
        if ((uint32_t)code == clear) {
            clear_table(t, code_size);
            before = 0;
            continue;
        }
        if (before > 0) add_string(t, done - before, before + 1);
        if ((uint32_t)code >= t->n) return "an impossible code";
        bool single = (uint32_t)code < clear;
        size_t room = n - done, length = single ? 1 : t->length[code];
        const uint8_t *from = out + (single ? 0 : t->at[code]);
        if (single) out[done] = (uint8_t)code;
        for (size_t i = 0; !single && i < length && i < room; i++) out[done + i] = from[i];
        before = (uint32_t)length;
        done += length < room ? length : room;
    }
    return NULL;
}

/* ---- the picture ---------------------------------------------------------------------------- */

static void paint(const pd_picture *p, uint8_t *rgb, uint32_t entry) {
    if (entry < p->of.gif.n_colours) /* else black, as memory is */
        memcpy(rgb, p->of.gif.colours + 3 * entry, 3);
}

static void fill_outside(const pd_picture *p, pd_image *image) {
    pd_rect f = p->of.gif.frame;
    for (uint32_t y = 0; y < image->height; y++) {
        bool crosses = y >= f.y && y - f.y < f.height;
        uint8_t *row = image->rgb + 3 * ((size_t)y * image->width);
        for (uint32_t x = 0; x < image->width; x++)
            if (!crosses || x < f.x || x - f.x >= f.width)
                paint(p, row + 3 * (size_t)x, p->of.gif.outside);
    }
}

static void fill_frame(const pd_picture *p, pd_image *image, const uint8_t *entries) {
    static const uint8_t first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    pd_rect f = p->of.gif.frame;
    uint32_t n_passes = p->of.gif.interlaced ? 4 : 1;
    for (uint32_t pass = 0; pass < n_passes; pass++) {
        for (uint32_t y = first[pass]; y < f.height; y += n_passes == 1 ? 1 : step[pass]) {
            uint8_t *row = image->rgb + 3 * ((size_t)(f.y + y) * image->width + f.x);
            for (uint32_t x = 0; x < f.width; x++) paint(p, row + 3 * (size_t)x, *entries++);
        }
    }
}

pd_status pd_gif_decode(const pd_picture *p, pd_image *out, pd_error *err) {
    pd_rect f = p->of.gif.frame;
    size_t n = (size_t)f.width * f.height;
    PD_TRY(pd_image_create(p->width, p->height, out, err));
    uint8_t *entries = pd_alloc(n, 1);
    table *t = pd_alloc(1, sizeof *t);
    const char *wrong = entries && t ? unpack(p->bytes + p->of.gif.data, t, entries, n) : NULL;
    pd_status status = PD_OK;
    if (!entries || !t)
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST,
                          "not enough memory for an image of %u x %u pixels", p->width, p->height);
    else if (wrong)
        status = damaged(err, wrong);
    if (status == PD_OK) {
        fill_outside(p, out);
        fill_frame(p, out, entries);
    } else {
        pd_image_free(out);
    }
    pd_free(entries);
    pd_free(t);
    return status;
}
