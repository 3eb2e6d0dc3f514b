/* Pan and scan: which windows of a long image are shown beside the whole, and cutting them out.
 *
 * The rule is that of the reference (Hugging Face's Gemma 3 image processor), for w >= h; else with
 * the sides swapped:
 *     none if w / h < min_ratio
 *     n = min(max(2, min(floor(w / min_crop), floor(w / h + 0.5))), max_crops)
 *     none if a window of ceil(w / n) x h has a side below min_crop
 *
 * SPDX-License-Identifier: MIT
 */
#include "image/formats.h"

#include <string.h>

#include "base/memory.h"

static pd_crop_rule with_defaults(const pd_crop_rule *given) {
    pd_crop_rule r = given ? *given : (pd_crop_rule){0};
    if (r.min_crop_px == 0) r.min_crop_px = 256;
    if (r.max_crops == 0) r.max_crops = 4;
    if (r.max_crops > PD_MAX_CROPS) r.max_crops = PD_MAX_CROPS;
    if (!(r.min_ratio > 0)) r.min_ratio = 1.2;
    return r;
}

/* Number of windows along the longer side, 0: none. */
static uint32_t count_windows(uint32_t longer, uint32_t shorter, const pd_crop_rule *r) {
    if (shorter == 0) return 0;
    double ratio = (double)longer / shorter;
    if (ratio < r->min_ratio) return 0;
    double wanted = ratio + 0.5;
    uint32_t n = longer / r->min_crop_px;
    if (wanted < n) n = (uint32_t)wanted;
    if (n < 2) n = 2;
    if (n > r->max_crops) n = r->max_crops;
    uint32_t side = pd_div_up(longer, n);
    return side < r->min_crop_px || shorter < r->min_crop_px ? 0 : n;
}

uint32_t pd_image_crops(uint32_t width, uint32_t height, const pd_crop_rule *rule,
                        pd_rect out[PD_MAX_CROPS]) {
    if (!out) return 0;
    pd_crop_rule r = with_defaults(rule);
    bool wide = width >= height;
    uint32_t longer = wide ? width : height, shorter = wide ? height : width;
    uint32_t n = count_windows(longer, shorter, &r), side = n ? pd_div_up(longer, n) : 0, made = 0;
    for (uint64_t at = 0; made < n && at < longer; at += side, made++) {
        uint32_t start = (uint32_t)at, left = longer - start, length = left < side ? left : side;
        out[made] =
            wide ? (pd_rect){start, 0, length, shorter} : (pd_rect){0, start, shorter, length};
    }
    return made;
}

pd_status pd_image_crop(const pd_image *in, pd_rect window, pd_image *out, pd_error *err) {
    PD_NEED(err, out);
    *out = (pd_image){0};
    PD_NEED(err, in);
    PD_NEED(err, in->rgb);
    bool inside = window.x < in->width && window.width <= in->width - window.x &&
                  window.y < in->height && window.height <= in->height - window.y;
    if (!inside || window.width == 0 || window.height == 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "a window of %u x %u pixels at (%u, %u) is not inside an image of %u x %u",
                        window.width, window.height, window.x, window.y, in->width, in->height);
    PD_TRY(pd_image_create(window.width, window.height, out, err));
    for (size_t y = 0; y < window.height; y++)
        memcpy(out->rgb + 3 * y * window.width,
               in->rgb + 3 * ((window.y + y) * in->width + window.x), 3 * (size_t)window.width);
    return PD_OK;
}
