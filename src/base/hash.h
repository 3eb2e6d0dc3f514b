/* XXH3-64, for cache keys and logits hashes.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_HASH_H
#define PD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t pd_hash(const void *data, size_t n);
uint64_t pd_hash_seeded(const void *data, size_t n, uint64_t seed);

#endif
