/* See kv_pool.h.  SPDX-License-Identifier: MIT */
#include "engine/kv_pool.h"

#include <string.h>

#include "base/memory.h"
#include "plan/step.h"

bool pd_kv_pool_extend(pd_kv_pool *pool, uint32_t n_pages) {
    if (n_pages <= pool->n_pages) return true;
    uint32_t *refs = pd_alloc(n_pages, sizeof *refs), *stack = pd_alloc(n_pages, sizeof *stack);
    if (!refs || !stack) {
        pd_free(refs);
        pd_free(stack);
        return false;
    }
    uint32_t n_new = n_pages - pool->n_pages; /* below the free ones, the lowest id on top */
    for (uint32_t i = 0; i < n_new; i++) stack[i] = n_pages - 1 - i;
    if (pool->n_free) memcpy(stack + n_new, pool->free_stack, pool->n_free * sizeof *stack);
    if (pool->n_pages) memcpy(refs, pool->refs, pool->n_pages * sizeof *refs);
    pd_kv_pool_destroy(pool);
    *pool = (pd_kv_pool){refs, stack, n_pages, pool->n_free + n_new};
    return true;
}

void pd_kv_pool_destroy(pd_kv_pool *pool) {
    pd_free(pool->refs);
    pd_free(pool->free_stack);
}

uint32_t pd_kv_pool_take(pd_kv_pool *pool) {
    uint32_t id = pool->free_stack[--pool->n_free];
    pool->refs[id] = 1;
    return id;
}

void pd_kv_pool_hold(pd_kv_pool *pool, uint32_t page) {
    pool->refs[page]++;
}

void pd_kv_pool_drop(pd_kv_pool *pool, uint32_t *entry) {
    if (*entry == PD_NO_PAGE) return;
    if (--pool->refs[*entry] == 0) pool->free_stack[pool->n_free++] = *entry;
    *entry = PD_NO_PAGE;
}
