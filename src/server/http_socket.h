/* Sockets, and all that differs between systems about them: listening, addresses, ends.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_SERVER_HTTP_SOCKET_H
#define PD_SERVER_HTTP_SOCKET_H

#include <poll.h>
#include <sys/types.h>

#include "base/error.h"

/* ---- addresses ------------------------------------------------------------------------------ */

typedef enum http_address_kind { HTTP_NOWHERE, HTTP_UNIX, HTTP_IP } http_address_kind;

/* Whom a connection is from, as far as that is one party: an IPv4 address, or a /64 of IPv6. */
typedef struct http_address {
    http_address_kind kind;
    uint8_t bytes[16];
} http_address;

/* Of the other end, and its whole address as text. */
http_address http_address_of(int fd, char *text, size_t n_text);
bool http_address_equal(const http_address *a, const http_address *b);

/* ---- listening ------------------------------------------------------------------------------ */

typedef struct http_listener {
    int fd; /* does not block */
    uint16_t port;
    bool is_loopback;
    char *path; /* of a UNIX socket, or NULL */
    dev_t device;
    ino_t inode;
} http_listener;

/* Errors: ARGUMENT (a name nobody knows, a path that is too long), IO (in use). */
pd_status http_listen_tcp(const char *host, uint16_t port, http_listener *out, pd_error *err);
pd_status http_listen_unix(const char *path, uint32_t mode, http_listener *out, pd_error *err);
/* New connections are refused; the descriptor stays open, for threads that may be about to use it.
 */
void http_refuse_connections(http_listener *l);
/* Another descriptor of the same socket, or -1; and its end, unless somebody has closed it: whoever
 * is given one and fails may have or not. */
int http_share_listener(const http_listener *l);
void http_close_shared(const http_listener *l, int fd);
void http_close_listener(http_listener *l); /* and removes its path, if it is still its own */

/* ---- connections ---------------------------------------------------------------------------- */

/* For poll: what happens when the other end stops sending or breaks. */
short http_end_events(void);
bool http_has_ended(const struct pollfd *polled);

void http_send_now(int fd, const char *bytes, size_t n); /* as much as goes without waiting */
void http_stop_reading(int fd); /* whoever waits for the socket is told that it has ended */
void http_break(int fd);        /* in both directions */
/* Drops what there is to read, up to `most` bytes, of which *n were there. False: its end. */
bool http_drop_input(int fd, size_t most, size_t *n);

uint32_t http_max_files(void); /* that this process may have open */

#endif
