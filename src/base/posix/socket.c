/* See base/socket.h. POLLRDHUP and listening sockets that can be shut down are Linux's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POLLRDHUP */
#endif
#include "base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"

enum { BACKLOG = 511 };

/* The system has them ready. */
void pd_sockets_begin(void) {}

/* ---- listening ------------------------------------------------------------------------------ */

static int open_socket(int family) {
    int fd = pd_socket_open(family, SOCK_STREAM, 0);
    if (fd >= 0) (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static int listen_at(const struct addrinfo *a) {
    int fd = open_socket(a->ai_family), on = 1, off = 0;
    if (fd < 0) return fd;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* over connections that end */
    if (a->ai_family == AF_INET6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int failure = errno;
    close(fd);
    errno = failure;
    return -1;
}

/* The first address at which that works: a name's IPv4 ones before others, for `localhost` is ::1
 * on many systems and clients try 127.0.0.1. */
static int listen_at_any(const struct addrinfo *list) {
    int fd = -1;
    for (int pass = 0; pass < 2 && fd < 0; pass++)
        for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
            if ((a->ai_family == AF_INET) == (pass == 0)) fd = listen_at(a);
    return fd;
}

static void describe_tcp(pd_listener *l) {
    struct sockaddr_storage at = {0};
    socklen_t n = sizeof at;
    (void)getsockname(l->fd, (struct sockaddr *)&at, &n);
    l->port = pd_address_port(&at, &l->is_loopback);
}

static pd_status raise_listen(const char *host, uint16_t port, pd_error *err) {
    int failure = errno;
    pd_status status =
        PD_RAISE(err, PD_ERR_IO, "cannot listen at %s, port %u: %s", host, port, strerror(failure));
    if (failure == EADDRINUSE)
        return pd_error_hint(err, status, "another program uses the port; choose another one");
    if (failure == EACCES) return pd_error_hint(err, status, "choose a port above 1023");
    return status;
}

pd_status pd_listen_tcp(const char *host, uint16_t port, pd_listener *out, pd_error *err) {
    struct addrinfo want = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    int failed = getaddrinfo(host, service, &want, &list);
    if (failed)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "cannot listen at \"%s\": %s", host,
                        gai_strerror(failed));
    *out = (pd_listener){.fd = listen_at_any(list)};
    pd_status status = out->fd < 0 ? raise_listen(host, port, err) : PD_OK;
    freeaddrinfo(list);
    if (status == PD_OK) describe_tcp(out);
    return status;
}

/* Nobody accepts there: what it was made for has ended. */
static bool is_stale(const struct sockaddr_un *at) {
    int fd = open_socket(AF_UNIX);
    if (fd < 0) return false;
    bool refused =
        connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static pd_status make_room(const struct sockaddr_un *at, pd_error *err) {
    struct stat found;
    if (lstat(at->sun_path, &found) != 0) return PD_OK; /* or bind will say why not */
    if (!S_ISSOCK(found.st_mode))
        return PD_RAISE(err, PD_ERR_IO, "%s: there is a file, and it is no socket", at->sun_path);
    if (!is_stale(at))
        return PD_RAISE(err, PD_ERR_IO, "%s: another program listens at this socket", at->sun_path);
    if (unlink(at->sun_path) != 0)
        return PD_RAISE(err, PD_ERR_IO, "%s: cannot remove the old socket: %s", at->sun_path,
                        strerror(errno));
    return PD_OK;
}

/* Nobody can connect before it listens, so that the mode is there in time. */
static bool bind_unix(pd_listener *l, const struct sockaddr_un *at, uint32_t mode) {
    struct stat made;
    if (bind(l->fd, (const struct sockaddr *)at, sizeof *at) != 0) return false;
    if (chmod(l->path, (mode_t)mode) == 0 && lstat(l->path, &made) == 0 &&
        listen(l->fd, BACKLOG) == 0) {
        l->device = (uint64_t)made.st_dev;
        l->inode = (uint64_t)made.st_ino;
        return true;
    }
    int failure = errno;
    unlink(l->path);
    errno = failure;
    return false;
}

pd_status pd_listen_unix(const char *path, uint32_t mode, pd_listener *out, pd_error *err) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    *out = (pd_listener){.fd = -1};
    if (strlen(path) >= sizeof at.sun_path)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%s: a socket's path has at most %zu bytes", path,
                        sizeof at.sun_path - 1);
    memcpy(at.sun_path, path, strlen(path) + 1);
    PD_TRY(make_room(&at, err));
    *out = (pd_listener){.fd = open_socket(AF_UNIX), .path = pd_strdup(path)};
    if (out->fd >= 0 && out->path && bind_unix(out, &at, mode)) return PD_OK;
    pd_status status = PD_RAISE(err, PD_ERR_IO, "%s: cannot listen: %s", path, strerror(errno));
    if (out->fd >= 0) close(out->fd);
    pd_free(out->path);
    *out = (pd_listener){.fd = -1};
    return status;
}

static void remove_path(pd_listener *l) {
    struct stat found;
    if (!l->path) return;
    if (lstat(l->path, &found) == 0 && (uint64_t)found.st_dev == l->device &&
        (uint64_t)found.st_ino == l->inode)
        (void)unlink(l->path);
    pd_free(l->path);
    l->path = NULL;
}

void pd_listener_refuse(pd_listener *l) {
    remove_path(l);
    (void)shutdown(l->fd, SHUT_RDWR); /* elsewhere they wait until it is closed */
}

int pd_listener_share(const pd_listener *l) {
    return pd_socket_copy(l->fd);
}

void pd_listener_close_shared(const pd_listener *l, int fd) {
    struct stat own, its;
    if (fd >= 0 && fstat(l->fd, &own) == 0 && fstat(fd, &its) == 0 && own.st_dev == its.st_dev &&
        own.st_ino == its.st_ino)
        close(fd);
}

void pd_listener_close(pd_listener *l) {
    remove_path(l);
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
}

/* ---- connections ---------------------------------------------------------------------------- */

#ifdef POLLRDHUP
static const short END_EVENTS = POLLRDHUP;

static bool has_ended(const struct pollfd *polled) {
    return (polled->revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}
#else
static const short END_EVENTS = POLLIN;

/* An end behind bytes that nobody has read yet, of a next request, is not seen. */
static bool has_ended(const struct pollfd *polled) {
    char byte;
    if (polled->revents & (POLLHUP | POLLERR)) return true;
    return (polled->revents & POLLIN) != 0 &&
           recv(polled->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}
#endif

void pd_sockets_poll(pd_polled *list, uint32_t n) {
    enum { AT_ONCE = 256 };
    struct pollfd polled[AT_ONCE];
    for (uint32_t first = 0; first < n; first += AT_ONCE) {
        uint32_t some = n - first < AT_ONCE ? n - first : AT_ONCE;
        for (uint32_t i = 0; i < some; i++)
            polled[i] = (struct pollfd){.fd = list[first + i].fd, .events = END_EVENTS};
        bool any = poll(polled, some, 0) > 0;
        for (uint32_t i = 0; i < some; i++)
            list[first + i].has_ended = any && has_ended(&polled[i]);
    }
}

bool pd_socket_peer(int fd, struct sockaddr_storage *out) {
    socklen_t n = sizeof *out;
    *out = (struct sockaddr_storage){0};
    return getpeername(fd, (struct sockaddr *)out, &n) == 0;
}

int pd_socket_open(int family, int type, int protocol) {
#ifdef SOCK_CLOEXEC
    type |= SOCK_CLOEXEC;
#endif
    int fd = socket(family, type, protocol);
    if (fd >= 0) (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

int pd_socket_copy(int fd) {
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

void pd_socket_close(int fd) {
    close(fd);
}

void pd_socket_send_now(int fd, const char *bytes, size_t n) {
    (void)!send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void pd_socket_stop_reading(int fd) {
    (void)shutdown(fd, SHUT_RD);
}

void pd_socket_break(int fd) {
    (void)shutdown(fd, SHUT_RDWR);
}

bool pd_socket_drop_input(int fd, size_t most, size_t *n) {
    char bytes[65536];
    for (*n = 0; *n < most;) {
        ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
        *n += (size_t)got;
    }
    return true;
}

uint32_t pd_max_sockets(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > UINT32_MAX) return UINT32_MAX;
    return (uint32_t)limit.rlim_cur;
}

/* ---- networks ------------------------------------------------------------------------------- */

/* Of that family too; false: there is none. */
static bool take_bytes(const struct sockaddr *address, size_t n, uint8_t out[16]) {
    enum { ROOM = sizeof(struct sockaddr_in6) }; /* each is as long as its family wants */
    size_t n_bytes;
    const uint8_t *bytes = pd_address_bytes(address, ROOM, &n_bytes);
    if (!bytes || n_bytes != n) return false;
    memcpy(out, bytes, n);
    return true;
}

static bool take_network(const struct ifaddrs *i, pd_network *out) {
    size_t n;
    *out = (pd_network){0};
    if (!pd_address_bytes(i->ifa_addr, sizeof(struct sockaddr_in6), &n)) return false;
    out->n_bytes = (uint8_t)n;
    (void)take_bytes(i->ifa_addr, n, out->own);
    out->has_mask = take_bytes(i->ifa_netmask, n, out->mask);
    out->has_other = take_bytes(i->ifa_dstaddr, n, out->other);
    return true;
}

pd_network *pd_networks_list(uint32_t *n) {
    struct ifaddrs *list;
    size_t room = 0;
    *n = 0;
    if (getifaddrs(&list) != 0) return NULL;
    for (const struct ifaddrs *i = list; i; i = i->ifa_next) room++;
    pd_network *networks = pd_alloc(room + 1, sizeof *networks);
    for (const struct ifaddrs *i = list; i && networks; i = i->ifa_next)
        *n += take_network(i, &networks[*n]);
    freeifaddrs(list);
    return networks;
}
