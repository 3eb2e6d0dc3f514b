/* See image_markers.h.  SPDX-License-Identifier: MIT */
#include "text/image_markers.h"

#include <string.h>

/* Length of the marker at s, 0: none. */
static size_t marker_length(const char *s, size_t n) {
    static const char *const markers[] = {"<image>", "<start_of_image>"};
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++) {
        size_t length = strlen(markers[i]);
        if (length <= n && memcmp(s, markers[i], length) == 0) return length;
    }
    return 0;
}

size_t pd_image_markers_take(char *text, size_t *n_text, pd_image_place *places, size_t n_places) {
    size_t to = 0, n_found = 0;
    if (n_places == 0) return 0;
    for (size_t from = 0, length; from < *n_text; from += length ? length : 1) {
        length = marker_length(text + from, *n_text - from);
        if (length == 0)
            text[to++] = text[from];
        else if (n_found++ < n_places)
            places[n_found - 1].at = to;
    }
    size_t blank = 0;
    while (blank < to && strchr(" \t\r\n", text[blank]) && text[blank]) blank++;
    for (size_t i = 0; n_found == 0 && i < n_places; i++) places[i].at = blank;
    *n_text = to;
    return n_found;
}
