/* See base/pages.h.  SPDX-License-Identifier: MIT */
#include "base/pages.h"

#include <malloc.h>
#include <windows.h>

void *pd_pages_alloc(size_t alignment, size_t bytes) {
    return _aligned_malloc(bytes, alignment);
}

void pd_pages_free(void *p) {
    _aligned_free(p);
}

/* They need a right that users do not have. */
void pd_want_large_pages(void *p, size_t n) {
    (void)p, (void)n;
}

void pd_read_ahead(const void *p, size_t n) {
    WIN32_MEMORY_RANGE_ENTRY range = {.VirtualAddress = (void *)(size_t)p, .NumberOfBytes = n};
    (void)PrefetchVirtualMemory(GetCurrentProcess(), 1, &range, 0);
}
