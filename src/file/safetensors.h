/* Safetensors files: a reader over read-only mappings.
 *
 *     u64 n; n bytes of JSON, spaces behind it allowed; data (offsets count from here)
 *     {"NAME": {"dtype": "BF16", "shape": [rows, cols], "data_offsets": [begin, end)}, ...,
 *      "__metadata__": {...}}
 *
 * Tensors lie row-major and cover the data without holes and overlaps. A checkpoint of several
 * files has an index, {"weight_map": {"NAME": "FILE", ...}}, with the files beside it; their
 * tensors join one directory. Every length, offset, shape and type is checked with overflow-checked
 * arithmetic: after pd_safetensors_open returned PD_OK, every view it hands out lies inside its
 * mapping. The format: the README of github.com/huggingface/safetensors.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_FILE_SAFETENSORS_H
#define PD_FILE_SAFETENSORS_H

#include "base/error.h"
#include "base/file.h"
#include "file/quant.h"

enum { PD_SAFETENSOR_MAX_DIMS = 8 };

typedef struct pd_safetensor {
    const char *name;
    const char *dtype; /* as the file spells it */
    bool is_float;     /* F32, F16 or BF16: `type` says which. Others can be seen, not decoded. */
    pd_type type;
    uint32_t n_dims;                        /* 0: a single value */
    uint64_t shape[PD_SAFETENSOR_MAX_DIMS]; /* slowest first; unused ones are 1 */
    uint64_t n_values;
    const uint8_t *data; /* not aligned */
    uint64_t n_bytes;
    uint32_t part;   /* which file it lies in */
    uint64_t offset; /* of its data in that file */
} pd_safetensor;

typedef struct pd_safetensors pd_safetensors;

/* `path`: a .safetensors file; an index, which ends in .json; or a folder that has
 * model.safetensors.index.json or model.safetensors. Errors: IO, FORMAT (one sentence that names
 * the tensor, what was expected and found), UNSUPPORTED (a type the format does not have, more
 * dimensions than 8), MEMORY_HOST. */
pd_status pd_safetensors_open(const char *path, pd_safetensors **out, pd_error *err);
void pd_safetensors_close(pd_safetensors *s);

uint64_t pd_safetensors_bytes(const pd_safetensors *s); /* all files */
uint32_t pd_safetensors_count(const pd_safetensors *s);
/* In the order of their names. */
const pd_safetensor *pd_safetensors_at(const pd_safetensors *s, uint32_t i);
const pd_safetensor *pd_safetensors_find(const pd_safetensors *s, const char *name); /* or NULL */

/* Tells the system that these bytes of a tensor will not be read again soon. */
void pd_safetensors_forget(const pd_safetensors *s, const pd_safetensor *t, uint64_t first,
                           uint64_t n_bytes);

#endif
