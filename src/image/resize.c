/* Pillow's BILINEAR resize of 8-bit images (libImaging/Resample.c), byte for byte.
 *
 * Along an axis from n to m pixels, with s = n / m, f = max(s, 1) and c = (o + 0.5) * s, output o
 * is the mean of inputs i in [c - f + 0.5, c + f + 0.5) with weights max(0, 1 - |i - c + 0.5| / f).
 * Weights are divided by their sum and rounded to 22 bits behind the point; sums are integers,
 * rounded to 8 bits after each axis: first across, then down. An axis that keeps its size is left
 * out. No sum leaves 32 bits: a weight of w is rounded to at most 2 w 2^22, so a sum stays below
 * 255 * 2^23 + 2^21.
 *
 * Pillow 12.2 and later go down first where a picture is much taller than its copy. The order here
 * is that of the versions there were when Gemma 3 was trained and published.
 *
 * Compiled with -ffp-contract=off: a fused multiply-add would round some weights differently.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "image/formats.h"

enum { FRACTION_BITS = 22, HALF = 1 << (FRACTION_BITS - 1), MAX_SIDE = 65535 };

typedef struct span {
    uint32_t first, n; /* inputs [first, first + n) */
} span;

typedef struct taps {
    span *spans;      /* [outputs] */
    int32_t *weights; /* [outputs][stride] */
    size_t stride;
} taps;

static void taps_free(taps *t) {
    pd_free(t->spans);
    pd_free(t->weights);
}

/* Spans and 22-bit weights of one output; `exact` is scratch for the unrounded ones. */
static span fill_taps(uint32_t n_in, uint32_t n_out, uint32_t output, double *exact,
                      int32_t *weights) {
    double scale = (double)n_in / n_out, filter = scale < 1 ? 1 : scale, inverse = 1 / filter;
    double centre = (output + 0.5) * scale, sum = 0;
    int64_t first = (int64_t)(centre - filter + 0.5), end = (int64_t)(centre + filter + 0.5);
    if (first < 0) first = 0;
    if (end > n_in) end = n_in;
    uint32_t n = (uint32_t)(end - first);
    for (uint32_t i = 0; i < n; i++) {
        double distance = fabs(((double)(i + first) - centre + 0.5) * inverse);
        exact[i] = distance < 1 ? 1 - distance : 0;
        sum += exact[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        double weight = sum != 0 ? exact[i] / sum : exact[i];
        weights[i] = (int32_t)(0.5 + weight * (1 << FRACTION_BITS));
    }
    return (span){(uint32_t)first, n};
}

static bool taps_create(uint32_t n_in, uint32_t n_out, taps *t) {
    double scale = (double)n_in / n_out;
    t->stride = (size_t)ceil(scale < 1 ? 1 : scale) * 2 + 1;
    uint64_t n_weights;
    *t = (taps){pd_alloc(n_out, sizeof(span)), NULL, t->stride};
    if (pd_mul_u64(n_out, t->stride, &n_weights) && n_weights <= SIZE_MAX)
        t->weights = pd_alloc((size_t)n_weights, sizeof(int32_t));
    double *exact = pd_alloc(t->stride, sizeof(double));
    bool ok = t->spans && t->weights && exact;
    for (uint32_t o = 0; ok && o < n_out; o++)
        t->spans[o] = fill_taps(n_in, n_out, o, exact, t->weights + o * t->stride);
    pd_free(exact);
    return ok;
}

static uint8_t to_u8(int32_t sum) {
    int32_t v = sum >> FRACTION_BITS;
    return (uint8_t)(v > 255 ? 255 : v); /* no weight is negative */
}

static void row_across(const uint8_t *in, const taps *t, uint32_t width, uint8_t *out) {
    for (uint32_t x = 0; x < width; x++) {
        const uint8_t *p = in + 3 * (size_t)t->spans[x].first;
        const int32_t *w = t->weights + x * t->stride;
        int32_t r = HALF, g = HALF, b = HALF;
        for (uint32_t i = 0, n = t->spans[x].n; i < n; i++, p += 3) {
            r += w[i] * p[0];
            g += w[i] * p[1];
            b += w[i] * p[2];
        }
        *out++ = to_u8(r);
        *out++ = to_u8(g);
        *out++ = to_u8(b);
    }
}

static pd_status across(const pd_image *in, uint32_t width, pd_image *out, pd_error *err) {
    taps t;
    pd_status status = pd_image_create(width, in->height, out, err);
    if (status != PD_OK) return status;
    if (!taps_create(in->width, width, &t)) {
        pd_image_free(out);
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to resize an image");
    } else {
        for (size_t y = 0; y < in->height; y++)
            row_across(in->rgb + 3 * y * in->width, &t, width, out->rgb + 3 * y * width);
    }
    taps_free(&t);
    return status;
}

/* Sums whole rows, so that every tap is one pass over neighbouring bytes. */
static void row_down(const uint8_t *in, size_t row_bytes, span s, const int32_t *weights,
                     int32_t *restrict sums, uint8_t *restrict out) {
    for (size_t x = 0; x < row_bytes; x++) sums[x] = HALF;
    for (uint32_t i = 0; i < s.n; i++) {
        const uint8_t *restrict row = in + (s.first + i) * row_bytes;
        int32_t w = weights[i];
        for (size_t x = 0; x < row_bytes; x++) sums[x] += w * row[x];
    }
    for (size_t x = 0; x < row_bytes; x++) out[x] = to_u8(sums[x]);
}

static pd_status down(const pd_image *in, uint32_t height, pd_image *out, pd_error *err) {
    taps t;
    size_t row_bytes = 3 * (size_t)in->width;
    pd_status status = pd_image_create(in->width, height, out, err);
    if (status != PD_OK) return status;
    int32_t *sums = pd_alloc(row_bytes, sizeof(int32_t));
    if (!taps_create(in->height, height, &t) || !sums) {
        pd_image_free(out);
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to resize an image");
    } else {
        for (uint32_t y = 0; y < height; y++)
            row_down(in->rgb, row_bytes, t.spans[y], t.weights + y * t.stride, sums,
                     out->rgb + y * row_bytes);
    }
    pd_free(sums);
    taps_free(&t);
    return status;
}

static pd_status copy(const pd_image *in, pd_image *out, pd_error *err) {
    return pd_image_crop(in, (pd_rect){0, 0, in->width, in->height}, out, err);
}

pd_status pd_image_resize(const pd_image *in, uint32_t width, uint32_t height, pd_image *out,
                          pd_error *err) {
    *out = (pd_image){0};
    bool possible = width > 0 && height > 0 && width <= MAX_SIDE && height <= MAX_SIDE;
    if (!possible || in->width == 0 || in->height == 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "an image of %u x %u pixels cannot become %u x %u",
                        in->width, in->height, width, height);
    if (width == in->width && height == in->height) return copy(in, out, err);
    if (width == in->width) return down(in, height, out, err);
    if (height == in->height) return across(in, width, out, err);
    pd_image middle;
    PD_TRY(across(in, width, &middle, err));
    pd_status status = down(&middle, height, out, err);
    pd_image_free(&middle);
    return status;
}
