/* Sockets, and all that differs between systems about them: listening, both ends, networks. They
 * are ints here everywhere: handles of Windows fit.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_SOCKET_H
#define PD_BASE_SOCKET_H

#include "base/address.h"
#include "base/error.h"

/* Before the system's own functions about sockets are used; again does no harm. Those here do it
 * themselves. */
void pd_sockets_begin(void);

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

bool pd_socket_peer(int fd, struct sockaddr_storage *out); /* the other end; false: it is gone */
int pd_socket_open(int family, int type, int protocol);    /* -1: no */
int pd_socket_copy(int fd);                                /* another descriptor of it, or -1 */
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

#endif
