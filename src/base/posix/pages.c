/* See base/pages.h.  SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* madvise */
#include "base/pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *pd_pages_alloc(size_t alignment, size_t bytes) {
    return aligned_alloc(alignment, bytes);
}

void pd_pages_free(void *p) {
    free(p);
}

void pd_want_large_pages(void *p, size_t n) {
#ifdef MADV_HUGEPAGE
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)p + page - 1) / page * page, end = (uintptr_t)p + n;
    if (begin < end) (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
    (void)p, (void)n;
#endif
}

void pd_read_ahead(const void *p, size_t n) {
    long page = sysconf(_SC_PAGESIZE);
    if (page <= 0) return;
    uintptr_t begin = (uintptr_t)p & ~((uintptr_t)page - 1);
    (void)madvise((void *)begin, (uintptr_t)p + n - begin, MADV_WILLNEED);
}
