/* See address.h.  SPDX-License-Identifier: MIT */
#include "base/address.h"

#include <stdio.h>
#include <string.h>

#include "base/socket.h"

/* ---- whom a connection is from -------------------------------------------------------------- */

static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static pd_address address_v4(const uint8_t *v4, char text[PD_ADDRESS_TEXT]) {
    pd_address a = {.kind = PD_ADDRESS_IP};
    memcpy(a.bytes, MAPPED, sizeof MAPPED);
    memcpy(a.bytes + sizeof MAPPED, v4, 4);
    inet_ntop(AF_INET, v4, text, PD_ADDRESS_TEXT);
    return a;
}

static pd_address address_v6(const uint8_t *v6, char text[PD_ADDRESS_TEXT]) {
    if (memcmp(v6, MAPPED, sizeof MAPPED) == 0) return address_v4(v6 + 12, text);
    pd_address a = {.kind = PD_ADDRESS_IP};
    memcpy(a.bytes, v6, 8); /* a party has at least so many: what follows it chooses itself */
    inet_ntop(AF_INET6, v6, text, PD_ADDRESS_TEXT);
    return a;
}

pd_address pd_address_of(int fd, char text[PD_ADDRESS_TEXT]) {
    struct sockaddr_storage from;
    size_t n;
    snprintf(text, PD_ADDRESS_TEXT, "?");
    if (!pd_socket_peer(fd, &from)) return (pd_address){0};
    const uint8_t *bytes = pd_address_bytes((struct sockaddr *)&from, sizeof from, &n);
    if (bytes) return n == 4 ? address_v4(bytes, text) : address_v6(bytes, text);
    snprintf(text, PD_ADDRESS_TEXT, "unix");
    return (pd_address){.kind = PD_ADDRESS_UNIX};
}

bool pd_address_equal(const pd_address *a, const pd_address *b) {
    return a->kind == b->kind && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* ---- the system's structures ---------------------------------------------------------------- */

const uint8_t *pd_address_bytes(const struct sockaddr *address, size_t n, size_t *n_bytes) {
    *n_bytes = 0;
    if (address && n >= sizeof(struct sockaddr_in) && address->sa_family == AF_INET) {
        *n_bytes = 4;
        return (const uint8_t *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
    }
    if (address && n >= sizeof(struct sockaddr_in6) && address->sa_family == AF_INET6) {
        *n_bytes = 16;
        return (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    }
    return NULL;
}

bool pd_address_parse_v4(const char *text, uint8_t out[4]) {
    pd_sockets_begin();
    return inet_pton(AF_INET, text, out) == 1;
}

bool pd_address_parse_v6(const char *text, uint8_t out[16]) {
    pd_sockets_begin();
    return inet_pton(AF_INET6, text, out) == 1;
}

uint16_t pd_address_port(const struct sockaddr_storage *address, bool *is_loopback) {
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        *is_loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
        return ntohs(v4->sin_port);
    }
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    *is_loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    return ntohs(v6->sin6_port);
}
