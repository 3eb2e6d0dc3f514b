/* Where in a prompt its pictures stand.  SPDX-License-Identifier: MIT */
#ifndef PD_TEXT_IMAGE_MARKERS_H
#define PD_TEXT_IMAGE_MARKERS_H

#include "peridot.h"

/* Takes <image> and <start_of_image> out of a text and sets the places to where they were; without
 * any, to the text's first word. Returns how many there were. Without places the text stays. */
size_t pd_image_markers_take(char *text, size_t *n_text, pd_image_place *places, size_t n_places);

#endif
