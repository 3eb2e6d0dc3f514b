/* Allocations that fail when they are told to. The linker puts the functions below between the
 * library and the C library's (--wrap), so that the drivers' own allocations are left alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_FAULT_SUPPORT_ALLOCATIONS_H
#define PD_FAULT_SUPPORT_ALLOCATIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

static atomic_uint n_allocations, n_failed, fail_at; /* fail_at 0: none fails */
static atomic_bool ever_after;

static bool fails(void) {
    uint32_t number = atomic_fetch_add(&n_allocations, 1) + 1, at = fail_at;
    if (at == 0 || number < at || (number > at && !ever_after)) return false;
    n_failed++;
    return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);

void *__wrap_malloc(size_t n) {
    return fails() ? NULL : __real_malloc(n);
}
void *__wrap_calloc(size_t count, size_t n) {
    return fails() ? NULL : __real_calloc(count, n);
}
void *__wrap_realloc(void *p, size_t n) {
    return fails() ? NULL : __real_realloc(p, n);
}
void *__wrap_aligned_alloc(size_t align, size_t n) {
    return fails() ? NULL : __real_aligned_alloc(align, n);
}

#endif
