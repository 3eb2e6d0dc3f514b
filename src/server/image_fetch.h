/* Files from the network that somebody else has named.
 *
 * A request may name a picture as http(s)://..., and so make the server ask any address. Only those
 * are asked that the whole world can ask: nothing inside the machine and its network, whatever a
 * name resolves to and wherever a redirect leads. Addresses are looked at when a connection is
 * made, so that a name that resolves to something else the second time gains nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_IMAGE_FETCH_H
#define PD_SERVER_IMAGE_FETCH_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/socket.h"

/* Whether a connection to it may be made. */
typedef bool (*srv_address_fn)(const struct sockaddr *address, size_t n);

/* public_address.c. What the registries give to sites of the internet; of an IPv6 address that
 * stands for one of IPv4, that one. Looks at the address alone. */
bool srv_address_is_public(const struct sockaddr *address, size_t n);
/* One of a machine's with these addresses, or in a network that one of them is in. */
bool srv_address_is_near(const pd_network *list, uint32_t n_networks,
                         const struct sockaddr *address, size_t n);
/* Public, and not near this machine: its networks need not be private ones. */
bool srv_address_is_far(const struct sockaddr *address, size_t n);

/* GET over http and https, at most 3 redirects, no proxies, cookies or passwords. At most max_bytes
 * are taken, and at most *ns nanoseconds, of which those that it took are subtracted. out: to be
 * freed in any case. Errors, whose sentences hold nothing that came: ARGUMENT (an address that is
 * none or is not asked), UNSUPPORTED (too large), IO, MEMORY_HOST. */
pd_status srv_fetch(const char *url, uint64_t max_bytes, uint64_t *ns, srv_address_fn allowed,
                    pd_bytes *out, pd_error *err);

#endif
