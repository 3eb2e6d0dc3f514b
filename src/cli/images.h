/* Pictures on the command line: --image, --mmproj, and where in a prompt they stand.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CLI_IMAGES_H
#define PD_CLI_IMAGES_H

#include "cli/commands.h"
#include "image/list.h"

typedef struct cli_images {
    pd_image_list list;     /* in the order of the prompt: each picture, then its windows */
    pd_image_place *places; /* [n_places] one per picture */
    size_t n_places;
} cli_images;

/* Reads every --image, and cuts its windows with --pan-and-scan. */
pd_status cli_images_read(const cli_options *o, cli_images *out, pd_error *err);
void cli_images_free(cli_images *images);

/* Finds the pictures' places in a text: where it says <image> or <start_of_image>, which is taken
 * out of it; without any, before its first word. Errors: ARGUMENT (as many pictures as places are
 * not there). */
pd_status cli_images_place(cli_images *images, char *text, size_t *n_text, pd_error *err);

/* The image encoder's file: --mmproj, else the one beside the model. *path: pd_free. Errors:
 * ARGUMENT (there is none, or several). */
pd_status cli_find_mmproj(const cli_options *o, char **path, pd_error *err);

#endif
