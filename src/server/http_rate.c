/* See http_rate.h.  SPDX-License-Identifier: MIT */
#include "server/http_rate.h"

#include <math.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"

enum { N_SETS = 1024, N_WAYS = 8 };

typedef struct bucket {
    pd_address address; /* of kind PD_ADDRESS_NOWHERE: free */
    double tokens;
    uint64_t at_ns; /* when it had so many */
} bucket;

struct http_rates {
    double per_second, burst;
    uint64_t seed; /* so that nobody can choose addresses that share a set */
    bucket buckets[N_SETS][N_WAYS];
};

http_rates *http_rates_create(double per_second, uint32_t burst) {
    http_rates *rates = pd_alloc(1, sizeof *rates);
    if (!rates) return NULL;
    rates->per_second = per_second;
    rates->burst = burst;
    rates->seed = pd_random_seed();
    return rates;
}

void http_rates_destroy(http_rates *rates) {
    pd_free(rates);
}

static double tokens_at(const http_rates *rates, const bucket *b, uint64_t now_ns) {
    double tokens = b->tokens + (double)(now_ns - b->at_ns) * 1e-9 * rates->per_second;
    return tokens < rates->burst ? tokens : rates->burst;
}

static bucket *find(http_rates *rates, const pd_address *address, uint64_t now_ns) {
    uint64_t hash = pd_hash_seeded(address->bytes, sizeof address->bytes, rates->seed);
    bucket *set = rates->buckets[hash % N_SETS], *least = NULL;
    double most = -1;
    for (uint32_t i = 0; i < N_WAYS; i++) {
        bucket *b = &set[i];
        if (b->address.kind != PD_ADDRESS_NOWHERE && pd_address_equal(&b->address, address))
            return b;
        double tokens =
            b->address.kind == PD_ADDRESS_NOWHERE ? rates->burst + 1 : tokens_at(rates, b, now_ns);
        if (tokens <= most) continue;
        most = tokens;
        least = b;
    }
    *least = (bucket){.address = *address, .tokens = rates->burst, .at_ns = now_ns};
    return least;
}

uint32_t http_rates_take(http_rates *rates, const pd_address *address, uint64_t now_ns) {
    bucket *b = find(rates, address, now_ns);
    double tokens = tokens_at(rates, b, now_ns);
    b->at_ns = now_ns;
    b->tokens = tokens;
    if (tokens >= 1) {
        b->tokens = tokens - 1;
        return 0;
    }
    double wait = ceil((1 - tokens) / rates->per_second);
    return wait < 1 ? 1 : wait > 3600 ? 3600 : (uint32_t)wait;
}
