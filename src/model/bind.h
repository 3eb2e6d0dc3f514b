/* Finds tensors by name and checks that they have the shape the settings ask for.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_MODEL_BIND_H
#define PD_MODEL_BIND_H

#include "file/gguf.h"

/* A matrix [rows, cols], or with rows 1 a vector. Errors: MODEL (absent, another shape). */
pd_status pd_tensor_bind(const pd_gguf *g, const char *name, uint64_t rows, uint64_t cols,
                         const pd_tensor **out, pd_error *err);

uint64_t pd_tensor_values(const pd_tensor *t);
/* "[rows, cols]", slowest first; returns out. */
const char *pd_tensor_shape_text(const pd_tensor *t, char *out, size_t size);

#endif
