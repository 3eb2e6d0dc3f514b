/* See images.h.  SPDX-License-Identifier: MIT */
#include "cli/images.h"

#include "base/memory.h"
#include "model/mmproj_find.h"
#include "text/image_markers.h"

/* ---- reading -------------------------------------------------------------------------------- */

static pd_status raise_memory(pd_error *err) {
    return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the pictures");
}

pd_status cli_images_read(const cli_options *o, cli_images *out, pd_error *err) {
    *out = (cli_images){0};
    const cli_value *paths = &o->values[OPT_IMAGE];
    bool windows = cli_given(o, OPT_PAN_AND_SCAN);
    if (!paths->given && windows)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "--pan-and-scan needs an --image");
    if (!paths->given) return PD_OK;
    out->places = pd_alloc(paths->given, sizeof *out->places);
    pd_status status = out->places ? PD_OK : raise_memory(err);
    for (uint32_t i = 0; status == PD_OK && i < paths->given; i++)
        status = pd_image_list_read(&out->list, paths->texts[i], windows,
                                    &out->places[out->n_places++].n_crops, err);
    if (status != PD_OK) cli_images_free(out);
    return status;
}

void cli_images_free(cli_images *images) {
    pd_image_list_free(&images->list);
    pd_free(images->places);
    *images = (cli_images){0};
}

pd_status cli_images_place(cli_images *images, char *text, size_t *n_text, pd_error *err) {
    size_t n = images->n_places, n_found = pd_image_markers_take(text, n_text, images->places, n);
    if (n_found == 0 || n_found == n) return PD_OK;
    return PD_RAISE(err, PD_ERR_ARGUMENT,
                    "the prompt has places for %zu pictures, but %zu --image are given", n_found,
                    n);
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
