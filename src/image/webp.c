/* WebP (RFC 9649): a walk over its chunks, and libwebp.
 *
 *     "RIFF" size u32 "WEBP" | { type 4, size u32, data, to an even length } ...   little-endian
 *
 * The walk proves that the file is all there, refuses animations, and reads the orientation, which
 * may stand behind the pixels. libwebp then finds the size in the pixels' own header and decodes,
 * lossy or lossless. As with PNG, alpha is dropped.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>
#include <webp/decode.h>

#include "image/formats.h"

enum { RIFF_BYTES = 12, CHUNK_BYTES = 8 };

static pd_status damaged(pd_error *err, const char *what) {
    return PD_RAISE(err, PD_ERR_FORMAT, "the WebP image is damaged: %s", what);
}

static pd_status raise_animation(pd_error *err) {
    pd_status status = PD_RAISE(err, PD_ERR_UNSUPPORTED, "animated WebP images are not read");
    return pd_error_hint(err, status, "save one of its pictures as WebP, PNG or JPEG");
}

/* Some writers put JPEG's heading before the TIFF structure. */
static uint32_t read_exif(const uint8_t *data, size_t n) {
    bool headed = n >= 6 && memcmp(data, "Exif\0\0", 6) == 0;
    return headed ? pd_exif_orientation(data + 6, n - 6) : pd_exif_orientation(data, n);
}

/* Chunks between RIFF's heading and its end. */
static pd_status walk_chunks(pd_picture *p, size_t end, pd_error *err) {
    for (size_t at = RIFF_BYTES; end - at >= CHUNK_BYTES;) {
        const uint8_t *chunk = p->bytes + at, *data = chunk + CHUNK_BYTES;
        size_t n = pd_le32(chunk + 4), room = end - at - CHUNK_BYTES;
        if (n > room) return damaged(err, "a chunk beyond its end");
        if (memcmp(chunk, "ANIM", 4) == 0 || memcmp(chunk, "ANMF", 4) == 0)
            return raise_animation(err);
        if (memcmp(chunk, "EXIF", 4) == 0) p->orientation = read_exif(data, n);
        at += CHUNK_BYTES + n + (n < room ? n % 2 : 0);
    }
    return PD_OK;
}

pd_status pd_webp_inspect(pd_picture *p, pd_error *err) {
    if (p->n < RIFF_BYTES) return pd_picture_cut_short(p, err);
    if (memcmp(p->bytes + 8, "WEBP", 4) != 0)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "RIFF files other than WebP are not read");
    size_t n = pd_le32(p->bytes + 4);
    if (n > p->n - CHUNK_BYTES) return pd_picture_cut_short(p, err);
    if (n < RIFF_BYTES - CHUNK_BYTES) return damaged(err, "it has no room for its pixels");
    p->of.webp.n_bytes = CHUNK_BYTES + n;
    PD_TRY(walk_chunks(p, p->of.webp.n_bytes, err));
    WebPBitstreamFeatures f;
    VP8StatusCode code = WebPGetFeatures(p->bytes, p->of.webp.n_bytes, &f);
    if (code == VP8_STATUS_OK && f.has_animation) return raise_animation(err);
    if (code != VP8_STATUS_OK) return damaged(err, "its pixels have no valid header");
    p->width = (uint32_t)f.width;
    p->height = (uint32_t)f.height;
    return PD_OK;
}

pd_status pd_webp_decode(const pd_picture *p, pd_image *out, pd_error *err) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return PD_RAISE(err, PD_ERR_INTERNAL, "libwebp is another one than Peridot was built with");
    PD_TRY(pd_image_create(p->width, p->height, out, err));
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = out->rgb;
    config.output.u.RGBA.stride = (int)(3 * p->width); /* libwebp's sides are below 2^14 */
    config.output.u.RGBA.size = 3 * (size_t)p->width * p->height;
    VP8StatusCode code = WebPDecode(p->bytes, p->of.webp.n_bytes, &config);
    WebPFreeDecBuffer(&config.output);
    if (code == VP8_STATUS_OK) return PD_OK;
    pd_image_free(out);
    if (code == VP8_STATUS_OUT_OF_MEMORY)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for an image of %u x %u pixels",
                        p->width, p->height);
    return damaged(err, "its pixels cannot be decoded");
}
