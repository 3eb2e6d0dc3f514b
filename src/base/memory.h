/* Host memory: checked allocation, and an arena for things that die together.
 *
 * pd_alloc and friends return zeroed memory or NULL; sizes are multiplied with overflow checks.
 * An arena hands out zeroed blocks until it is destroyed; nothing in it is freed alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_MEMORY_H
#define PD_BASE_MEMORY_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/pages.h"
#include "base/printf_like.h"

void *pd_alloc(size_t count, size_t size);
/* Aligned to 64 bytes (a cache line, and the widest vector); release with pd_free_aligned. */
void *pd_alloc_aligned(size_t count, size_t size);
void *pd_alloc_aligned_unset(size_t bytes); /* of any content; released in the same way */
void pd_free(void *p);
void pd_free_aligned(void *p);
char *pd_strdup(const char *s);
void pd_forget_bytes(void *p, size_t n); /* zeros, also of what nobody reads again */

/* Overflow-checked arithmetic on sizes that came from outside; false: it does not fit. */
static inline bool pd_mul_u64(uint64_t a, uint64_t b, uint64_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool pd_add_u64(uint64_t a, uint64_t b, uint64_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

static inline uint64_t pd_round_up(uint64_t n, uint64_t to) {
    return (n + to - 1) / to * to;
}
static inline uint32_t pd_div_up(uint32_t n, uint32_t by) {
    return n / by + (n % by != 0);
}

typedef struct pd_arena_block pd_arena_block;
typedef struct pd_arena {
    pd_arena_block *blocks;
} pd_arena; /* all zero: ready to use */

void *pd_arena_alloc(pd_arena *a, size_t count, size_t size); /* 16-byte aligned, zeroed; or NULL */
char *pd_arena_strdup(pd_arena *a, const char *s);
char *pd_arena_printf(pd_arena *a, const char *format, ...) PD_PRINTF_LIKE(2, 3);
void pd_arena_destroy(pd_arena *a);

#endif
