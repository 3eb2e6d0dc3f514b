/* A GGUF file looked into without a device: what it is, and what a run would make of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_PACK_INSPECTION_H
#define PD_PACK_INSPECTION_H

#include "base/memory.h"
#include "model/lm_head.h"
#include "model/vision_weights.h"

/* config, weights and head are there when it is a Gemma 3 text model, the two of vision when it is
 * Gemma 3's image encoder. */
typedef struct pack_inspection {
    pd_gguf *file;
    bool is_model, is_vision;
    pd_config config;
    pd_weights *weights;
    pd_lm_head head; /* as the wanted type would have it */
    pd_vision_config vision;
    pd_vision_weights *vision_weights;
    pd_error why_not; /* when it is neither; else its status is PD_OK */
    pd_arena arena;   /* for who prints its settings */
} pack_inspection;

/* *out: pack_inspection_free, also after an error. That it is neither is none. Errors: those of
 * pd_gguf_open and pd_lm_head_choose, MEMORY_HOST. */
pd_status pack_inspect(const char *path, pd_head_type head, pack_inspection *out, pd_error *err);
void pack_inspection_free(pack_inspection *in);

#endif
