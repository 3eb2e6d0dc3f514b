/* Memory as the system hands it out.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_PAGES_H
#define PD_BASE_PAGES_H

#include <stddef.h>

/* bytes: a multiple of the alignment. Their content is unset. */
void *pd_pages_alloc(size_t alignment, size_t bytes);
void pd_pages_free(void *p);
/* Asks for large pages where the system has them, before the memory is touched. */
void pd_want_large_pages(void *p, size_t n);
/* Starts reading mapped pages; nothing waits for it, and a refusal does no harm. */
void pd_read_ahead(const void *p, size_t n);

#endif
