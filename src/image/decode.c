/* Decoding an image from memory or a file: the limits, then the format's walk and decoder, then
 * orientation.
 *
 * Alpha is dropped, not blended: the reference opens an image with Pillow and calls convert("RGB"),
 * which does so, and a model should see what it was trained on. It also clips grey PNG and PNM of
 * 16 bits to white above 255, which is no picture any more; there the upper 8 bits are taken, as
 * the reference does for colour of 16 bits.
 *
 * SPDX-License-Identifier: MIT
 */
#include <limits.h>

#include "base/file.h"
#include "base/memory.h"
#include "image/formats.h"

/* What JPEG, GIF and TGA can say; it also bounds the tables that resizing needs. */
enum { MAX_SIDE = 65535 };

/* Sensors of 64 million pixels (9248 x 6944) fit. */
static const pd_image_limits default_limits = {64u << 20, 1u << 26};

static pd_image_limits with_defaults(const pd_image_limits *given) {
    pd_image_limits l = given ? *given : (pd_image_limits){0};
    if (l.max_bytes == 0) l.max_bytes = default_limits.max_bytes;
    if (l.max_bytes > INT_MAX) l.max_bytes = INT_MAX;
    if (l.max_pixels == 0) l.max_pixels = default_limits.max_pixels;
    return l;
}

static pd_status check_size(const pd_picture *p, uint64_t max_pixels, pd_error *err) {
    if (p->width == 0 || p->height == 0)
        return PD_RAISE(err, PD_ERR_FORMAT, "the %s image has %u x %u pixels", p->format->name,
                        p->width, p->height);
    if ((uint64_t)p->width * p->height > max_pixels)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "the %s image has %u x %u pixels, of which at most %llu are allowed",
                        p->format->name, p->width, p->height, (unsigned long long)max_pixels);
    if (p->width > MAX_SIDE || p->height > MAX_SIDE)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "the %s image has %u x %u pixels, of which at most %d are allowed a side",
                        p->format->name, p->width, p->height, MAX_SIDE);
    return PD_OK;
}

pd_status pd_image_decode(const void *bytes, size_t n, const pd_image_limits *limits, pd_image *out,
                          pd_error *err) {
    PD_NEED(err, out);
    *out = (pd_image){0};
    if (n > 0) PD_NEED(err, bytes);
    pd_image_limits l = with_defaults(limits);
    if (n == 0) return PD_RAISE(err, PD_ERR_FORMAT, "the image is empty");
    if (n > l.max_bytes)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "the image has %zu bytes, of which at most %llu are allowed", n,
                        (unsigned long long)l.max_bytes);
    pd_picture p = {.bytes = bytes, .n = n};
    PD_TRY(pd_picture_inspect(&p, err));
    PD_TRY(check_size(&p, l.max_pixels, err));
    PD_TRY(p.format->decode(&p, out, err));
    pd_status status = pd_image_orient(out, p.orientation, err);
    if (status != PD_OK) pd_image_free(out);
    return status;
}

pd_status pd_image_read(const char *path, const pd_image_limits *limits, pd_image *out,
                        pd_error *err) {
    PD_NEED(err, out);
    *out = (pd_image){0};
    PD_NEED(err, path);
    pd_mapping m;
    pd_error inner = {0};
    PD_TRY(pd_mapping_open(path, &m, err));
    pd_status status = pd_image_decode(m.data, (size_t)m.size, limits, out, &inner);
    pd_mapping_close(&m);
    if (status == PD_OK) return PD_OK;
    PD_RAISE(err, status, "\"%s\": %s", path, inner.message);
    return inner.hint[0] ? pd_error_hint(err, status, "%s", inner.hint) : status;
}
