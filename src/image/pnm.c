/* Binary PNM (netpbm's pgm(5) and ppm(5)): P5 grey and P6 RGB, of any maximum up to 65535.
 *
 *     "P6" blank width blank height blank maximum, one blank, samples (two bytes, big-endian, above
 *     255).  A # starts a comment up to the end of its line.
 *
 * Samples are scaled to 255 and rounded to nearest, half to even, as the reference does (but it
 * clips grey of 16 bits instead). stb_image neither scales nor swaps bytes, so these few lines do.
 *
 * SPDX-License-Identifier: MIT
 */
#include "image/formats.h"

#include <math.h>

#include "base/memory.h"

static bool is_blank(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Blanks and comments, then a number; at least one blank. False also at the end of the file. */
static bool read_number(const pd_picture *p, size_t *at, uint32_t *out) {
    size_t start = *at;
    while (*at < p->n && (is_blank(p->bytes[*at]) || p->bytes[*at] == '#')) {
        if (p->bytes[(*at)++] != '#') continue;
        while (*at < p->n && p->bytes[*at] != '\n') ++*at;
    }
    uint64_t value = 0;
    size_t digits = *at;
    for (; *at < p->n && p->bytes[*at] >= '0' && p->bytes[*at] <= '9'; ++*at) {
        value = value * 10 + (p->bytes[*at] - '0');
        if (value > UINT32_MAX) return false;
    }
    *out = (uint32_t)value;
    return digits > start && *at > digits && *at < p->n;
}

pd_status pd_pnm_inspect(pd_picture *p, pd_error *err) {
    size_t at = 2;
    uint32_t maxval, channels = p->bytes[1] == '6' ? 3 : 1;
    if (!read_number(p, &at, &p->width) || !read_number(p, &at, &p->height) ||
        !read_number(p, &at, &maxval)) {
        if (at >= p->n) return pd_picture_cut_short(p, err);
        return PD_RAISE(err, PD_ERR_FORMAT, "the PNM image's header is damaged at byte %zu", at);
    }
    if (!is_blank(p->bytes[at]) || maxval == 0 || maxval > 65535)
        return PD_RAISE(err, PD_ERR_FORMAT, "the PNM image's maximum is not within 1..65535");
    p->of.pnm.data = ++at;
    p->of.pnm.channels = channels;
    p->of.pnm.maxval = maxval;
    uint64_t bytes;
    if (!pd_mul_u64(p->width, p->height, &bytes) ||
        !pd_mul_u64(bytes, channels * (maxval > 255 ? 2 : 1), &bytes) || bytes > p->n - at)
        return pd_picture_cut_short(p, err);
    return PD_OK;
}

static uint8_t scale(uint32_t value, uint32_t maxval) {
    if (value >= maxval) return 255;
    return (uint8_t)lrint((double)value / maxval * 255);
}

pd_status pd_pnm_decode(const pd_picture *p, pd_image *out, pd_error *err) {
    PD_TRY(pd_image_create(p->width, p->height, out, err));
    uint32_t maxval = p->of.pnm.maxval, channels = p->of.pnm.channels;
    const uint8_t *in = p->bytes + p->of.pnm.data;
    size_t n = (size_t)p->width * p->height;
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < 3; c++) {
            size_t at = i * channels + (channels == 3 ? c : 0);
            uint32_t value = maxval > 255 ? pd_be16(in + 2 * at) : in[at];
            out->rgb[3 * i + c] = scale(value, maxval);
        }
    }
    return PD_OK;
}
