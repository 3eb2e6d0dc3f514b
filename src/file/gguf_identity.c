/* What a model's files are known by, without reading gigabytes.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/hash.h"
#include "file/gguf.h"

enum { SAMPLE_BYTES = 256 }; /* of each tensor: two trainings differ in most of them */

uint64_t pd_gguf_identity(const pd_gguf *g) {
    uint64_t hash = pd_gguf_file_bytes(g);
    for (uint64_t i = 0; i < pd_gguf_tensor_count(g); i++) {
        const pd_tensor *t = pd_gguf_tensor_at(g, i);
        uint64_t n = t->n_bytes < SAMPLE_BYTES ? t->n_bytes : SAMPLE_BYTES, type = t->type;
        hash = pd_hash_seeded(t->name, strlen(t->name), hash);
        hash = pd_hash_seeded(&type, sizeof type, hash);
        hash = pd_hash_seeded(t->ne, sizeof t->ne, hash);
        hash = pd_hash_seeded(t->data, n, hash);
    }
    return hash;
}
