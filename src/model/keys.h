/* Reads single metadata keys with their limits, and says in one sentence what is wrong with one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MODEL_KEYS_H
#define PD_MODEL_KEYS_H

#include "file/gguf.h"

/* A whole number in [1, max]. Errors: MODEL (absent, no whole number, out of range). */
pd_status pd_key_count(const pd_gguf *g, const char *key, uint32_t max, uint32_t *out,
                       pd_error *err);
/* A float in [min, max], `absent` when the key is not there. Errors: MODEL. */
pd_status pd_key_float(const pd_gguf *g, const char *key, float min, float max, float absent,
                       float *out, pd_error *err);

/* Text from a file, made fit for messages and terminals: control characters and bytes that are not
 * UTF-8 become '?', and it is cut to `size` at a character's end. */
void pd_key_printable(pd_string s, char *out, size_t size);
/* general.name in that form, or the file's own name when it has none. */
void pd_key_name(const pd_gguf *g, char *out, size_t size);

#endif
