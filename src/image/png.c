/* PNG (W3C PNG, third edition): a walk over its chunks up to and including IEND, and libpng.
 *
 *     signature 8 | { length u32, type 4, data, crc u32 } ...   big-endian; IHDR first, IEND last
 *
 * The walk finds the size, proves that the file is all there, and reads the orientation, which may
 * stand behind the pixels. libpng then decodes row by row, without a copy of what is stored. Every
 * checksum counts, those of chunks that are not read as well, and so does what follows the pixels
 * in their stream: a damaged image is refused, not shown as far as it goes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "image/formats.h"

/* What may be left of the pixels' stream before the last row, beside 8 bytes a pixel. */
enum { MAX_REST = 1 << 16 };

enum { SIGNATURE_BYTES = 8, CHUNK_BYTES = 12, IHDR_BYTES = 13 };

/* ---- the walk ------------------------------------------------------------------------------- */

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
        if (memcmp(type, "IDAT", 4) == 0) p->of.png.data_end = at;
    }
}

/* ---- libpng's hooks ------------------------------------------------------------------------- */

typedef struct source {
    const uint8_t *at;
    size_t left;
    bool memory_ran_out;
    char why[96];
} source;

static void read_bytes(png_structp png, png_bytep out, size_t n) {
    source *s = png_get_io_ptr(png);
    if (n > s->left) png_error(png, "it does not end");
    memcpy(out, s->at, n);
    s->at += n;
    s->left -= n;
}

static png_voidp take_memory(png_structp png, png_alloc_size_t n) {
    source *s = png_get_mem_ptr(png);
    void *p = pd_alloc(1, n);
    if (!p) s->memory_ran_out = true;
    return p;
}

static void free_memory(png_structp png, png_voidp p) {
    (void)png;
    pd_free(p);
}

static void stop(png_structp png, png_const_charp why) {
    source *s = png_get_error_ptr(png);
    snprintf(s->why, sizeof s->why, "%s", why);
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp what) {
    (void)png;
    (void)what;
}

/* ---- decoding ------------------------------------------------------------------------------- */

/* What is refused, and that colours come as 8-bit RGB as they are stored: no gamma, no profile. */
static void configure(png_structp png) {
    /* chunks that change nothing here; colour's own, transparency among them */
    static const png_byte unread[] = "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0"
                                     "sBIT\0sCAL\0sPLT\0sRGB\0sTER\0tEXt\0tIME\0tRNS\0zTXt";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, unread, sizeof unread / 5);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_benign_errors(png, 0);
    png_set_option(png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON); /* some name too small a one */
    png_set_user_limits(png, 65535, 65535);
}

static void set_rgb(png_structp png) {
    png_set_strip_16(png);
    png_set_palette_to_rgb(png);
    png_set_expand_gray_1_2_4_to_8(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
}

typedef struct place {
    int pass;
    uint32_t y;
} place;

/* The last row that is stored. Passes of an interlaced image may be empty, but not the first. */
static place last_row(const pd_picture *p, int n_passes) {
    static const uint8_t x0[] = {0, 4, 0, 2, 0, 1, 0}, y0[] = {0, 0, 4, 0, 2, 0, 1};
    static const uint8_t step[] = {8, 8, 8, 4, 4, 2, 2};
    if (n_passes == 1) return (place){0, p->height - 1};
    int pass = 6;
    while (p->width <= x0[pass] || p->height <= y0[pass]) pass--;
    return (place){pass, p->height - 1 - (p->height - 1 - y0[pass]) % step[pass]};
}

/* With the last row libpng unpacks whatever is left, a thousandfold at worst. */
static void check_rest(png_structp png, const pd_picture *p) {
    const source *s = png_get_io_ptr(png);
    uint64_t at = (uint64_t)(s->at - p->bytes), most = 8 * (uint64_t)p->width + MAX_REST;
    if (at + most < p->of.png.data_end)
        png_error(png, "it unpacks to far more than its size accounts for");
}

/* False: `stop` has left the reason. */
static bool read_rgb(png_structp png, png_infop info, const pd_picture *p, uint8_t *rgb) {
    if (setjmp(png_jmpbuf(png))) return false;
    size_t row_bytes = 3 * (size_t)p->width;
    configure(png);
    png_read_info(png, info);
    set_rgb(png);
    int n_passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_image_width(png, info) != p->width ||
        png_get_image_height(png, info) != p->height || png_get_rowbytes(png, info) != row_bytes)
        png_error(png, "its rows are not what its header says");
    const place last = last_row(p, n_passes);
    for (int pass = 0; pass < n_passes; pass++)
        for (uint32_t y = 0; y < p->height; y++) {
            if (pass == last.pass && y == last.y) check_rest(png, p);
            png_read_row(png, rgb + y * row_bytes, NULL);
        }
    png_read_end(png, NULL);
    return true;
}

pd_status pd_png_decode(const pd_picture *p, pd_image *out, pd_error *err) {
    source s = {.at = p->bytes, .left = p->n, .why = "it cannot be decoded"};
    PD_TRY(pd_image_create(p->width, p->height, out, err));
    png_structp png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &s, stop, ignore, &s,
                                               take_memory, free_memory);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) s.memory_ran_out = true;
    if (info) png_set_read_fn(png, &s, read_bytes);
    bool good = info && read_rgb(png, info, p, out->rgb);
    png_destroy_read_struct(&png, &info, NULL);
    if (good) return PD_OK;
    pd_image_free(out);
    if (s.memory_ran_out)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for an image of %u x %u pixels",
                        p->width, p->height);
    return PD_RAISE(err, PD_ERR_FORMAT, "the PNG image is damaged: %s", s.why);
}
