/* Whether a file can be run, and what types it is made of.  SPDX-License-Identifier: MIT */
#ifndef PD_PACK_STRUCTURE_H
#define PD_PACK_STRUCTURE_H

#include "file/gguf.h"

bool pack_is_image_encoder(const pd_gguf *g); /* by its architecture */
/* Errors: what a run would refuse the file for before it touches a device. */
pd_status pack_check_structure(const pd_gguf *g, pd_error *err);

typedef struct pack_type_total {
    pd_type type;
    uint64_t n_tensors, n_bytes;
} pack_type_total;

enum { PACK_MAX_TYPES = 32 };
/* Tensors and bytes by type, in the order of first appearance; the number of types. */
uint32_t pack_count_types(const pd_gguf *g, pack_type_total out[PACK_MAX_TYPES]);

#endif
