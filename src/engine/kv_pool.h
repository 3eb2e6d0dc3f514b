/* Pages of one kind: which are free, and how many hold each of the others.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_ENGINE_KV_POOL_H
#define PD_ENGINE_KV_POOL_H

#include "base/error.h"

typedef struct pd_kv_pool {
    uint32_t *refs;       /* [n_pages] */
    uint32_t *free_stack; /* [n_free] ids, of [n_pages] */
    uint32_t n_pages, n_free;
} pd_kv_pool;

/* False: no memory, and nothing has changed. */
bool pd_kv_pool_extend(pd_kv_pool *pool, uint32_t n_pages);
void pd_kv_pool_destroy(pd_kv_pool *pool);

uint32_t pd_kv_pool_take(pd_kv_pool *pool); /* n_free > 0; held once */
void pd_kv_pool_hold(pd_kv_pool *pool, uint32_t page);
/* Lets go of *entry, which becomes PD_NO_PAGE; if it is that already, nothing happens. */
void pd_kv_pool_drop(pd_kv_pool *pool, uint32_t *entry);

#endif
