/* Inside of the GGUF reader: the object, its parts, and the parser of one part.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_FILE_GGUF_PARSE_H
#define PD_FILE_GGUF_PARSE_H

#include "file/gguf.h"

/* Names to positions: open addressing over XXH3; a slot holds position + 1, 0 is free. */
typedef struct name_index {
    uint32_t *slots;
    uint64_t mask; /* slots - 1, a power of two less one */
} name_index;

/* One file. A file that is not split is one part. */
typedef struct gguf_part {
    pd_mapping mapping;
    char label[104]; /* the file's name without its folders, for messages */
    pd_gguf_value *values;
    uint64_t n_values;
    name_index value_index;
} gguf_part;

struct pd_gguf {
    char *path;
    gguf_part *parts; /* [n_parts]; keys are looked up in the first */
    uint32_t n_parts;
    pd_tensor *tensors; /* of all parts, in file order */
    uint64_t n_tensors;
    name_index tensor_index;
};

/* Reads header, values and directory of parts[part], whose mapping is open, and appends its
 * tensors. What was made so far stays with g also on failure. */
pd_status gguf_parse_part(pd_gguf *g, uint32_t part, pd_error *err);

const pd_gguf_value *gguf_part_find(const gguf_part *part, const char *key, size_t n);

/* The number of a scalar of any integer, float or bool kind. */
bool gguf_value_number(const pd_gguf_value *v, double *out);

bool name_index_create(name_index *index, uint64_t n_names);
/* First position whose name was added with this hash and for which same() holds; -1 if none. */
typedef bool (*name_same_fn)(const void *ctx, uint32_t position, const char *name, size_t n);
int64_t name_index_find(const name_index *index, const char *name, size_t n, name_same_fn same,
                        const void *ctx);
void name_index_add(name_index *index, const char *name, size_t n, uint32_t position);

#endif
