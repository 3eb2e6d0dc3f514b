/* Host memory: checked allocation and the arena.
 *
 * An arena is a list of blocks, newest first; each block hands out 16-byte aligned pieces until it
 * is full. A request larger than a quarter of a block gets a block of its own behind the newest
 * one, so that the room left in the newest is not lost. Blocks come from calloc and are never used
 * twice, therefore everything handed out is zero.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK_BYTES = 64 * 1024, ARENA_ALIGN = 16, WIDE_ALIGN = 64 };

/* count * size rounded up to a multiple of align, at least one; false beyond PTRDIFF_MAX, which no
 * object may exceed. */
static bool bytes_rounded(size_t count, size_t size, size_t align, size_t *out) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return false;
    if (__builtin_add_overflow(bytes, align - 1, &bytes)) return false;
    bytes -= bytes % align;
    *out = bytes ? bytes : align;
    return bytes <= PTRDIFF_MAX;
}

void *pd_alloc(size_t count, size_t size) {
    size_t bytes;
    return bytes_rounded(count, size, 1, &bytes) ? calloc(1, bytes) : NULL;
}

void *pd_alloc_aligned(size_t count, size_t size) {
    size_t bytes;
    if (!bytes_rounded(count, size, WIDE_ALIGN, &bytes)) return NULL;
    void *p = pd_pages_alloc(WIDE_ALIGN, bytes);
    if (p) memset(p, 0, bytes);
    return p;
}

void *pd_alloc_aligned_unset(size_t n) {
    size_t bytes;
    return bytes_rounded(n, 1, WIDE_ALIGN, &bytes) ? pd_pages_alloc(WIDE_ALIGN, bytes) : NULL;
}

void pd_free(void *p) {
    free(p);
}

void pd_free_aligned(void *p) {
    pd_pages_free(p);
}

char *pd_strdup(const char *s) {
    size_t n = strlen(s) + 1;
    char *copy = pd_alloc(n, 1);
    if (copy) memcpy(copy, s, n);
    return copy;
}

void pd_forget_bytes(void *p, size_t n) {
    volatile unsigned char *at = p;
    while (n-- > 0) *at++ = 0;
}

struct pd_arena_block {
    pd_arena_block *next;
    size_t used, size; /* of bytes[] */
    _Alignas(ARENA_ALIGN) unsigned char bytes[];
};

static pd_arena_block *block_create(size_t size) {
    size_t total;
    if (__builtin_add_overflow(sizeof(pd_arena_block), size, &total)) return NULL;
    if (total > PTRDIFF_MAX) return NULL;
    pd_arena_block *b = calloc(1, total);
    if (b) b->size = size;
    return b;
}

static void *block_take(pd_arena_block *b, size_t bytes) {
    void *p = b->bytes + b->used;
    b->used += bytes;
    return p;
}

void *pd_arena_alloc(pd_arena *a, size_t count, size_t size) {
    size_t bytes;
    if (!bytes_rounded(count, size, ARENA_ALIGN, &bytes)) return NULL;
    pd_arena_block *newest = a->blocks;
    if (newest && newest->size - newest->used >= bytes) return block_take(newest, bytes);
    bool alone = bytes > ARENA_BLOCK_BYTES / 4;
    pd_arena_block *b = block_create(alone ? bytes : ARENA_BLOCK_BYTES);
    if (!b) return NULL;
    if (alone && newest) {
        b->next = newest->next;
        newest->next = b;
    } else {
        b->next = newest;
        a->blocks = b;
    }
    return block_take(b, bytes);
}

char *pd_arena_strdup(pd_arena *a, const char *s) {
    size_t n = strlen(s) + 1;
    char *copy = pd_arena_alloc(a, n, 1);
    if (copy) memcpy(copy, s, n);
    return copy;
}

char *pd_arena_printf(pd_arena *a, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) return NULL;
    char *text = pd_arena_alloc(a, (size_t)n + 1, 1);
    if (!text) return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    return text;
}

void pd_arena_destroy(pd_arena *a) {
    for (pd_arena_block *b = a->blocks; b;) {
        pd_arena_block *next = b->next;
        free(b);
        b = next;
    }
    a->blocks = NULL;
}
