/* Sockets, and all that differs between systems about them: listening, addresses, ends. They are
 * ints here everywhere: handles of Windows fit.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_SOCKET_H
#define PD_BASE_SOCKET_H

#include "base/error.h"
#include "base/socket_types.h"

/* ---- addresses ------------------------------------------------------------------------------ */

typedef enum pd_address_kind { PD_ADDRESS_NOWHERE, PD_ADDRESS_UNIX, PD_ADDRESS_IP } pd_address_kind;

/* Whom a connection is from, as far as that is one party: an IPv4 address, or a /64 of IPv6. */
typedef struct pd_address {
    pd_address_kind kind;
    uint8_t bytes[16];
} pd_address;

/* Of the other end, and its whole address as text. */
pd_address pd_address_of(int fd, char *text, size_t n_text);
bool pd_address_equal(const pd_address *a, const pd_address *b);

/* ---- listening ------------------------------------------------------------------------------ */

typedef struct pd_listener {
    int fd; /* does not block */
    uint16_t port;
    bool is_loopback;
    char *path;             /* of a UNIX socket, or NULL */
    uint64_t device, inode; /* ... that path's */
} pd_listener;

/* Errors: ARGUMENT (a name nobody knows, a path that is too long), IO (in use). */
pd_status pd_listen_tcp(const char *host, uint16_t port, pd_listener *out, pd_error *err);
pd_status pd_listen_unix(const char *path, uint32_t mode, pd_listener *out, pd_error *err);
/* New connections are refused, or on Windows wait until it is closed; the descriptor stays open,
 * for threads that may be about to use it.
 */
void pd_listener_refuse(pd_listener *l);
/* Another descriptor of the same socket, or -1; and its end, unless somebody has closed it: whoever
 * is given one and fails may have or not. */
int pd_listener_share(const pd_listener *l);
void pd_listener_close_shared(const pd_listener *l, int fd);
void pd_listener_close(pd_listener *l); /* and removes its path, if it is still its own */

/* ---- connections ---------------------------------------------------------------------------- */

/* Which of n sockets the other end has stopped sending to, or broken, as far as that shows without
 * reading. Does not wait. */
typedef struct pd_polled {
    int fd;
    bool has_ended;
} pd_polled;
void pd_sockets_poll(pd_polled *list, uint32_t n);

int pd_socket_open(int family, int type, int protocol); /* -1: no */
int pd_socket_copy(int fd);                             /* another descriptor of it, or -1 */
void pd_socket_close(int fd);
void pd_socket_send_now(int fd, const char *bytes, size_t n); /* as much as goes without waiting */
void pd_socket_stop_reading(int fd); /* whoever waits for the socket is told that it has ended */
void pd_socket_break(int fd);        /* in both directions */
/* Drops what there is to read, up to `most` bytes, of which *n were there. False: its end. */
bool pd_socket_drop_input(int fd, size_t most, size_t *n);

uint32_t pd_max_sockets(void); /* that this process may have open */

/* ---- networks ------------------------------------------------------------------------------- */

/* An address of this machine, with its network's mask, or the other end of its link. */
typedef struct pd_network {
    uint8_t n_bytes; /* 4 or 16 */
    bool has_mask, has_other;
    uint8_t own[16], mask[16], other[16];
} pd_network;
/* pd_free; NULL: the system does not tell. */
pd_network *pd_networks_list(uint32_t *n);
/* An address's bytes, 4 or 16; NULL: of another family, or cut short. */
const uint8_t *pd_address_bytes(const struct sockaddr *address, size_t n, size_t *n_bytes);
bool pd_address_parse_v4(const char *text, uint8_t out[4]);
bool pd_address_parse_v6(const char *text, uint8_t out[16]);

#endif
