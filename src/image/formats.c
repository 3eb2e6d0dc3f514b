/* Tells image formats apart by their first bytes.
 *
 * Formats that are known but not read get a sentence of their own, since a user who hands over an
 * AVIF should hear that rather than "unknown". TGA has no magic number and is asked last.
 *
 * SPDX-License-Identifier: MIT
 */
#include "image/formats.h"

#include <string.h>

#include "image/stb.h"

typedef struct signature {
    const char *magic;
    uint32_t n, offset;
    pd_picture_format format; /* .inspect NULL: known, but not read */
} signature;

static const signature known[] = {
    {"\x89PNG\r\n\x1a\n", 8, 0, {"PNG", pd_png_inspect, pd_png_decode}},
    {"\xff\xd8\xff", 3, 0, {"JPEG", pd_jpeg_inspect, pd_stb_decode}},
    {"RIFF", 4, 0, {"WebP", pd_webp_inspect, pd_webp_decode}},
    {"GIF87a", 6, 0, {"GIF", pd_gif_inspect, pd_gif_decode}},
    {"GIF89a", 6, 0, {"GIF", pd_gif_inspect, pd_gif_decode}},
    {"BM", 2, 0, {"BMP", pd_bmp_inspect, pd_bmp_decode}},
    {"P5", 2, 0, {"PNM", pd_pnm_inspect, pd_pnm_decode}},
    {"P6", 2, 0, {"PNM", pd_pnm_inspect, pd_pnm_decode}},
    {"P1", 2, 0, {.name = "plain or bitmap PNM"}},
    {"P2", 2, 0, {.name = "plain or bitmap PNM"}},
    {"P3", 2, 0, {.name = "plain or bitmap PNM"}},
    {"P4", 2, 0, {.name = "plain or bitmap PNM"}},
    {"P7", 2, 0, {.name = "PAM"}},
    {"ftypavif", 8, 4, {.name = "AVIF"}},
    {"ftyphei", 7, 4, {.name = "HEIF"}},
    {"ftypmif1", 8, 4, {.name = "HEIF"}},
    {"\xff\x0a", 2, 0, {.name = "JPEG XL"}},
    {"JXL ", 4, 4, {.name = "JPEG XL"}},
    {"II*\0", 4, 0, {.name = "TIFF"}},
    {"MM\0*", 4, 0, {.name = "TIFF"}},
    {"8BPS", 4, 0, {.name = "Photoshop"}},
    {"%PDF", 4, 0, {.name = "PDF"}},
    {"<svg", 4, 0, {.name = "SVG"}},
};

static const pd_picture_format tga = {"TGA", pd_tga_inspect, pd_stb_decode};

static const pd_picture_format *find_format(const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const signature *s = &known[i];
        if (n >= s->offset + s->n && memcmp(bytes + s->offset, s->magic, s->n) == 0)
            return &s->format;
    }
    return pd_tga_likely(bytes, n) ? &tga : NULL;
}

/* Whether more bytes could have made this a known format. */
static bool is_start_of_known(const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const signature *s = &known[i];
        if (s->offset == 0 && n < s->n && memcmp(bytes, s->magic, n) == 0) return true;
    }
    return false;
}

pd_status pd_picture_inspect(pd_picture *p, pd_error *err) {
    p->orientation = 1;
    p->format = find_format(p->bytes, p->n);
    if (!p->format && is_start_of_known(p->bytes, p->n))
        return PD_RAISE(err, PD_ERR_FORMAT, "the image is cut short: it has %zu bytes", p->n);
    if (!p->format) return PD_RAISE(err, PD_ERR_UNSUPPORTED, "the image is in no known format");
    if (!p->format->inspect) {
        pd_status status =
            PD_RAISE(err, PD_ERR_UNSUPPORTED, "%s images are not read", p->format->name);
        return pd_error_hint(err, status, "convert it to PNG or JPEG");
    }
    return p->format->inspect(p, err);
}
