/* See images.h.  SPDX-License-Identifier: MIT */
#include "cli/images.h"

#include <string.h>

#include "base/memory.h"
#include "model/mmproj_find.h"

/* ---- reading -------------------------------------------------------------------------------- */

static pd_image *add_image(cli_images *list) {
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
static pd_status add_crops(cli_images *list, uint32_t *n_crops, pd_error *err) {
    pd_rect windows[PD_MAX_CROPS];
    size_t whole = list->n - 1;
    uint32_t n =
        pd_image_crops(list->images[whole].width, list->images[whole].height, NULL, windows);
    for (uint32_t i = 0; i < n; i++) {
        pd_image *crop = add_image(list);
        if (!crop) return raise_memory(err);
        PD_TRY(pd_image_crop(&list->images[whole], windows[i], crop, err));
    }
    *n_crops = n;
    return PD_OK;
}

static pd_status read_image(const cli_options *o, const char *path, cli_images *out,
                            pd_error *err) {
    pd_image *image = add_image(out);
    if (!image) return raise_memory(err);
    PD_TRY(pd_image_read(path, NULL, image, err));
    pd_image_place *place = &out->places[out->n_places++];
    return cli_given(o, OPT_PAN_AND_SCAN) ? add_crops(out, &place->n_crops, err) : PD_OK;
}

pd_status cli_images_read(const cli_options *o, cli_images *out, pd_error *err) {
    *out = (cli_images){0};
    const char *paths = cli_text(o, OPT_IMAGE);
    if (!paths && cli_given(o, OPT_PAN_AND_SCAN))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--pan-and-scan needs an --image");
    if (!paths) return PD_OK;
    char *list = pd_strdup(paths), *rest = list;
    out->places = pd_alloc(o->values[OPT_IMAGE].given, sizeof *out->places);
    pd_status status = list && out->places ? PD_OK : raise_memory(err);
    for (char *path; status == PD_OK && (path = strsep(&rest, "\n")) != NULL;)
        status = read_image(o, path, out, err);
    pd_free(list);
    if (status != PD_OK) cli_images_free(out);
    return status;
}

void cli_images_free(cli_images *images) {
    for (size_t i = 0; i < images->n; i++) pd_image_free(&images->images[i]);
    pd_free(images->images);
    pd_free(images->places);
    *images = (cli_images){0};
}

/* ---- places in the text --------------------------------------------------------------------- */

/* Length of the marker at s, 0: none. */
static size_t marker_length(const char *s, size_t n) {
    static const char *const markers[] = {"<image>", "<start_of_image>"};
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++) {
        size_t length = strlen(markers[i]);
        if (length <= n && memcmp(s, markers[i], length) == 0) return length;
    }
    return 0;
}

pd_status cli_images_place(cli_images *images, char *text, size_t *n_text, pd_error *err) {
    size_t to = 0, n_found = 0;
    if (images->n_places == 0) return PD_OK;
    for (size_t from = 0, length; from < *n_text; from += length ? length : 1) {
        length = marker_length(text + from, *n_text - from);
        if (length == 0)
            text[to++] = text[from];
        else if (n_found++ < images->n_places)
            images->places[n_found - 1].at = to;
    }
    if (n_found != 0 && n_found != images->n_places)
        return PD_RAISE(err, PD_ERR_ARGUMENT,
                        "the prompt has places for %zu pictures, but %zu --image are given",
                        n_found, images->n_places);
    size_t blank = 0;
    while (blank < to && strchr(" \t\r\n", text[blank]) && text[blank]) blank++;
    for (size_t i = 0; n_found == 0 && i < images->n_places; i++) images->places[i].at = blank;
    *n_text = to;
    return PD_OK;
}

/* ---- the encoder's file --------------------------------------------------------------------- */

pd_status cli_find_mmproj(const cli_options *o, char **path, pd_error *err) {
    const char *given = cli_text(o, OPT_MMPROJ);
    if (given) {
        *path = pd_strdup(given);
        return *path ? PD_OK : raise_memory(err);
    }
    PD_TRY(pd_mmproj_find(cli_text(o, OPT_MODEL), path, err));
    if (*path) return PD_OK;
    pd_status status =
        PD_RAISE(err, PD_ERR_ARGUMENT, "there is no image encoder beside the model %s",
                 cli_text(o, OPT_MODEL));
    return pd_error_hint(err, status, "name its mmproj file with --mmproj FILE");
}
