/* Pictures in the order of a prompt: each, then its windows.  SPDX-License-Identifier: MIT */
#ifndef PD_IMAGE_LIST_H
#define PD_IMAGE_LIST_H

#include "base/error.h"

typedef struct pd_image_list {
    pd_image *images;
    size_t n, cap;
} pd_image_list; /* all zero: empty */

/* Appends a picture from a file and, with pan and scan, its windows, whose number is left. Errors:
 * those of pd_image_read. */
pd_status pd_image_list_read(pd_image_list *list, const char *path, bool windows,
                             uint32_t *n_windows, pd_error *err);
/* The same from a file's bytes. Errors: those of pd_image_decode. */
pd_status pd_image_list_decode(pd_image_list *list, const void *bytes, size_t n, bool windows,
                               uint32_t *n_windows, pd_error *err);
void pd_image_list_free(pd_image_list *list);

#endif
