/* A setting of a GGUF file as peridot_files.h has it.  SPDX-License-Identifier: MIT */
#ifndef PD_PACK_SETTING_H
#define PD_PACK_SETTING_H

#include "base/memory.h"
#include "file/gguf.h"
#include "peridot_files.h"

/* Its texts live in the arena. False: no memory. */
bool pack_setting(const pd_gguf_value *v, pd_arena *arena, pd_setting *out);
/* The key with a zero behind it, or NULL. */
char *pack_setting_key(const pd_gguf_value *v, pd_arena *arena);

#endif
