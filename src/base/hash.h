/* XXH3-64, for cache keys and logits hashes.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_HASH_H
#define PD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t pd_hash(const void *data, size_t n);
uint64_t pd_hash_seeded(const void *data, size_t n, uint64_t seed);

/* In pieces: the hash of all of them together, one behind the other. */
typedef struct pd_hasher pd_hasher;
pd_hasher *pd_hasher_create(void); /* NULL: no memory */
void pd_hasher_destroy(pd_hasher *h);
void pd_hasher_add(pd_hasher *h, const void *data, size_t n);
uint64_t pd_hasher_result(const pd_hasher *h);

#endif
