/* Hashes, by the xxHash library.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/hash.h"

#include <xxhash.h>

uint64_t pd_hash(const void *data, size_t n) {
    return XXH3_64bits(data, n);
}

uint64_t pd_hash_seeded(const void *data, size_t n, uint64_t seed) {
    return XXH3_64bits_withSeed(data, n, seed);
}

pd_hasher *pd_hasher_create(void) {
    XXH3_state_t *state = XXH3_createState();
    if (state) XXH3_64bits_reset(state);
    return (pd_hasher *)state;
}

void pd_hasher_destroy(pd_hasher *h) {
    XXH3_freeState((XXH3_state_t *)h);
}

void pd_hasher_add(pd_hasher *h, const void *data, size_t n) {
    XXH3_64bits_update((XXH3_state_t *)h, data, n);
}

uint64_t pd_hasher_result(const pd_hasher *h) {
    return XXH3_64bits_digest((const XXH3_state_t *)h);
}
