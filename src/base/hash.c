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
