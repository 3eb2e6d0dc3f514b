/* What reads all tensors of a file: pieces of bounded size, all threads on each, pages of the
 * mapping given back behind it. Memory stays small however large the file is.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_PACK_TENSOR_PASS_H
#define PD_PACK_TENSOR_PASS_H

#include "base/thread.h"
#include "file/gguf.h"

/* Values that one thread takes at once, a multiple of every block; and the most of one piece. */
enum { PASS_CHUNK = 4096, PASS_PIECE_CHUNKS = 512, PASS_PIECE = PASS_CHUNK * PASS_PIECE_CHUNKS };

static inline uint64_t pass_values(const pd_tensor *t) {
    return t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
}
/* The stored bytes of values [first, ...); first is a multiple of the block. */
static inline const uint8_t *pass_bytes(const pd_tensor *t, uint64_t first) {
    return t->data + pd_type_row_bytes(pd_type_get((uint32_t)t->type), first);
}
static inline uint64_t pass_piece(uint64_t n_values, uint64_t first) {
    return n_values - first < PASS_PIECE ? n_values - first : PASS_PIECE;
}
static inline uint32_t pass_chunks(uint64_t n_values) {
    return (uint32_t)((n_values + PASS_CHUNK - 1) / PASS_CHUNK);
}

/* Whether a type can hold the values: none is a NaN, and none becomes infinite in it. */
bool pass_fits(const float *x, uint64_t n, pd_type type);

/* Gives back what lies behind a reader that moves forward through one file. */
typedef struct pass_trail {
    const pd_gguf *file;
    uint32_t part;
    uint64_t at; /* bytes of the part that were given back */
} pass_trail;

/* The first `end` bytes of that part are done with, and all parts before it. Metadata stays valid:
 * pages that are touched again are read again. */
void pass_forget(pass_trail *trail, uint32_t part, uint64_t end);

#endif
