/* stb_image behind one function. SPDX-License-Identifier: MIT */
#ifndef PD_IMAGE_STB_H
#define PD_IMAGE_STB_H

#include "image/formats.h"

/* Decodes p->bytes, whose size the walk has found, into 8-bit RGB. Errors: FORMAT with stb_image's
 * own words, MEMORY_HOST. */
pd_status pd_stb_decode(const pd_picture *p, pd_image *out, pd_error *err);

#endif
