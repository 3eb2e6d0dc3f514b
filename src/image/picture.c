/* The memory of pictures, and what decoders say when one is cut short.  SPDX-License-Identifier:
 * MIT */
#include "base/bytes.h"
#include "base/memory.h"
#include "image/formats.h"

pd_status pd_image_create(uint32_t width, uint32_t height, pd_image *out, pd_error *err) {
    uint64_t bytes;
    *out = (pd_image){width, height, NULL};
    if (pd_mul_u64((uint64_t)width * height, 3, &bytes) && bytes <= SIZE_MAX)
        out->rgb = pd_alloc((size_t)bytes, 1);
    if (out->rgb) return PD_OK;
    *out = (pd_image){0};
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for an image of %u x %u pixels",
                    width, height);
}

void pd_image_free(pd_image *image) {
    if (!image) return;
    pd_free(image->rgb);
    *image = (pd_image){0};
}

pd_status pd_picture_cut_short(const pd_picture *p, pd_error *err) {
    return PD_RAISE(err, PD_ERR_FORMAT,
                    "the %s image is cut short: it does not end within %zu bytes", p->format->name,
                    p->n);
}
