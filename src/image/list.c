/* See list.h.  SPDX-License-Identifier: MIT */
#include "image/list.h"

#include <string.h>

#include "base/memory.h"

static pd_image *add_image(pd_image_list *list) {
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 8;
        pd_image *bigger = pd_alloc(cap, sizeof *bigger);
        if (!bigger) return NULL;
        if (list->n) memcpy(bigger, list->images, list->n * sizeof *bigger);
        pd_free(list->images);
        list->images = bigger;
        list->cap = cap;
    }
    return &list->images[list->n++];
}

static pd_status raise_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the pictures");
}

/* The windows of the picture that was read last. */
static pd_status add_crops(pd_image_list *list, uint32_t *n_windows, pd_error *err) {
    pd_rect windows[PD_MAX_CROPS];
    size_t whole = list->n - 1;
    uint32_t n =
        pd_image_crops(list->images[whole].width, list->images[whole].height, NULL, windows);
    for (uint32_t i = 0; i < n; i++) {
        pd_image *crop = add_image(list);
        if (!crop) return raise_memory(err);
        PD_TRY(pd_image_crop(&list->images[whole], windows[i], crop, err));
    }
    *n_windows = n;
    return PD_OK;
}

pd_status pd_image_list_read(pd_image_list *list, const char *path, bool windows,
                             uint32_t *n_windows, pd_error *err) {
    pd_image *image = add_image(list);
    *n_windows = 0;
    if (!image) return raise_memory(err);
    PD_TRY(pd_image_read(path, NULL, image, err));
    return windows ? add_crops(list, n_windows, err) : PD_OK;
}

pd_status pd_image_list_decode(pd_image_list *list, const void *bytes, size_t n, bool windows,
                               uint32_t *n_windows, pd_error *err) {
    pd_image *image = add_image(list);
    *n_windows = 0;
    if (!image) return raise_memory(err);
    PD_TRY(pd_image_decode(bytes, n, NULL, image, err));
    return windows ? add_crops(list, n_windows, err) : PD_OK;
}

void pd_image_list_free(pd_image_list *list) {
    for (size_t i = 0; i < list->n; i++) pd_image_free(&list->images[i]);
    pd_free(list->images);
    *list = (pd_image_list){0};
}
