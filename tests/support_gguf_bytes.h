/* GGUF files made by hand, byte by byte, so that the writer cannot hide a mistake that it shares
 * with the reader. They are put into the scratch folder.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_TESTS_SUPPORT_GGUF_BYTES_H
#define PERIDOT_TESTS_SUPPORT_GGUF_BYTES_H

#include "support_folder.h"

#include "base/bytes.h"
#include "file/gguf.h"

static inline void u8(pd_bytes *b, unsigned v) {
    uint8_t byte = (uint8_t)v;
    pd_bytes_write(b, &byte, 1);
}
static inline void u32(pd_bytes *b, uint32_t v) {
    for (unsigned i = 0; i < 4; i++) u8(b, v >> 8 * i & 255);
}
static inline void u64(pd_bytes *b, uint64_t v) {
    u32(b, (uint32_t)v);
    u32(b, (uint32_t)(v >> 32));
}
static inline void str(pd_bytes *b, const char *s) {
    u64(b, strlen(s));
    pd_bytes_write(b, s, strlen(s));
}
static inline void zeros(pd_bytes *b, size_t n) {
    for (size_t i = 0; i < n; i++) u8(b, 0);
}
static inline void pad(pd_bytes *b, size_t to) {
    while (b->n % to != 0) u8(b, 0);
}

static inline void head(pd_bytes *b, uint64_t n_tensors, uint64_t n_values) {
    pd_bytes_write(b, "GGUF", 4);
    u32(b, 3);
    u64(b, n_tensors);
    u64(b, n_values);
}
static inline void key_u32(pd_bytes *b, const char *key, uint32_t v) {
    str(b, key);
    u32(b, PD_GGUF_U32);
    u32(b, v);
}
static inline void tensor(pd_bytes *b, const char *name, uint32_t n_dims, uint64_t ne0,
                          uint64_t ne1, uint32_t type, uint64_t offset) {
    const uint64_t ne[2] = {ne0, ne1};
    str(b, name);
    u32(b, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) u64(b, i < 2 ? ne[i] : 1);
    u32(b, type);
    u64(b, offset);
}

/* The file `name` of b's bytes. Frees b. */
static inline void put_file(const char *name, pd_bytes *b) {
    put_bytes(name, b->data, b->n);
    pd_bytes_free(b);
}

#endif
