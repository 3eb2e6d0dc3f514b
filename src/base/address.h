/* Internet addresses as the system has them, and whom a connection is from.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_ADDRESS_H
#define PD_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/socket_types.h"

typedef enum pd_address_kind { PD_ADDRESS_NOWHERE, PD_ADDRESS_UNIX, PD_ADDRESS_IP } pd_address_kind;

/* Whom a connection is from, as far as that is one party: an IPv4 address, or a /64 of IPv6. */
typedef struct pd_address {
    pd_address_kind kind;
    uint8_t bytes[16];
} pd_address;

enum { PD_ADDRESS_TEXT = 48 };

/* Of a socket's other end, and its whole address as text. */
pd_address pd_address_of(int fd, char text[PD_ADDRESS_TEXT]);
bool pd_address_equal(const pd_address *a, const pd_address *b);

/* An address's bytes, 4 or 16; NULL: of another family, or cut short. */
const uint8_t *pd_address_bytes(const struct sockaddr *address, size_t n, size_t *n_bytes);
bool pd_address_parse_v4(const char *text, uint8_t out[4]);
bool pd_address_parse_v6(const char *text, uint8_t out[16]);

/* The port of one of IPv4 or IPv6, and whether nobody outside of this machine reaches it. */
uint16_t pd_address_port(const struct sockaddr_storage *address, bool *is_loopback);

#endif
