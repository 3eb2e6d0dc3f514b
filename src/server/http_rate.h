/* How often an address may ask: a bucket of tokens for each, in a table of fixed size.
 *
 * A full table forgets the address that has most tokens, which is the one to which that matters
 * least. Not locked: the caller does that.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_HTTP_RATE_H
#define PD_SERVER_HTTP_RATE_H

#include <stdint.h>

#include "base/address.h"

typedef struct http_rates http_rates;

http_rates *http_rates_create(double per_second, uint32_t burst); /* NULL: no memory */
void http_rates_destroy(http_rates *rates);                       /* NULL is allowed */
/* 0: may ask, and that is counted; else in how many seconds it may. */
uint32_t http_rates_take(http_rates *rates, const pd_address *address, uint64_t now_ns);

#endif
