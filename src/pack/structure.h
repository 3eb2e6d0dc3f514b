/* Whether a file can be run.  SPDX-License-Identifier: MIT */
#ifndef PD_PACK_STRUCTURE_H
#define PD_PACK_STRUCTURE_H

#include "file/gguf.h"

bool pack_is_image_encoder(const pd_gguf *g); /* by its architecture */
/* Errors: what a run would refuse the file for before it touches a device. */
pd_status pack_check_structure(const pd_gguf *g, pd_error *err);

#endif
