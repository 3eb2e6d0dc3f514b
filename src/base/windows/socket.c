/* See base/socket.h. Handles of the kernel, which sockets are, have 32 bits that count.
 * SPDX-License-Identifier: MIT
 */
#include "base/socket.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

#include <iphlpapi.h>

#include "base/memory.h"

enum { BACKLOG = SOMAXCONN };

static SOCKET handle_of(int fd) {
    return fd < 0 ? INVALID_SOCKET : (SOCKET)(unsigned)fd;
}

static int number_of(SOCKET s) {
    return s == INVALID_SOCKET ? -1 : (int)s;
}

static void begin_once(void) {
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
}

void pd_sockets_begin(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin_once);
}

/* "Only one usage of each socket address ... is normally permitted": as Windows says it. */
static void reason(int error, char out[160]) {
    DWORD n =
        FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL,
                       (DWORD)error, MAKELANGID(LANG_ENGLISH, SUBLANG_ENGLISH_US), out, 160, NULL);
    if (n == 0) snprintf(out, 160, "error %d", error);
    while (n > 0 && strchr(" .\r\n", out[n - 1])) out[--n] = '\0';
}

/* ---- listening ------------------------------------------------------------------------------ */

static void set_nonblocking(SOCKET s) {
    u_long on = 1;
    (void)ioctlsocket(s, (long)FIONBIO, &on);
}

/* Another program must not take the port over, which SO_REUSEADDR would let it here. */
static SOCKET listen_at(const struct addrinfo *a) {
    BOOL on = TRUE, off = FALSE;
    SOCKET s = handle_of(pd_socket_open(a->ai_family, SOCK_STREAM, 0));
    if (s == INVALID_SOCKET) return s;
    set_nonblocking(s);
    (void)setsockopt(s, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&on, sizeof on);
    if (a->ai_family == AF_INET6)
        (void)setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, (const char *)&off, sizeof off);
    if (bind(s, a->ai_addr, (int)a->ai_addrlen) == 0 && listen(s, BACKLOG) == 0) return s;
    int failure = WSAGetLastError();
    closesocket(s);
    WSASetLastError(failure);
    return INVALID_SOCKET;
}

/* The first address at which that works: a name's IPv4 ones before others. */
static SOCKET listen_at_any(const struct addrinfo *list) {
    SOCKET s = INVALID_SOCKET;
    for (int pass = 0; pass < 2 && s == INVALID_SOCKET; pass++)
        for (const struct addrinfo *a = list; a && s == INVALID_SOCKET; a = a->ai_next)
            if ((a->ai_family == AF_INET) == (pass == 0)) s = listen_at(a);
    return s;
}

static void describe(pd_listener *l) {
    struct sockaddr_storage at = {0};
    int n = sizeof at;
    (void)getsockname(handle_of(l->fd), (struct sockaddr *)&at, &n);
    l->port = pd_address_port(&at, &l->is_loopback);
}

static pd_status raise_listen(const char *host, uint16_t port, pd_error *err) {
    int failure = WSAGetLastError();
    char why[160];
    reason(failure, why);
    pd_status status =
        PD_RAISE(err, PD_ERR_IO, "cannot listen at %s, port %u: %s", host, port, why);
    if (failure == WSAEADDRINUSE || failure == WSAEACCES)
        return pd_error_hint(err, status, "another program uses the port; choose another one");
    return status;
}

pd_status pd_listen_tcp(const char *host, uint16_t port, pd_listener *out, pd_error *err) {
    struct addrinfo want = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char service[8], why[160];
    pd_sockets_begin();
    snprintf(service, sizeof service, "%u", port);
    int failed = getaddrinfo(host, service, &want, &list);
    if (failed) {
        reason(failed, why);
        return PD_RAISE(err, PD_ERR_ARGUMENT, "cannot listen at \"%s\": %s", host, why);
    }
    *out = (pd_listener){.fd = number_of(listen_at_any(list))};
    pd_status status = out->fd < 0 ? raise_listen(host, port, err) : PD_OK;
    freeaddrinfo(list);
    if (status == PD_OK) describe(out);
    return status;
}

pd_status pd_listen_unix(const char *path, uint32_t mode, pd_listener *out, pd_error *err) {
    (void)mode;
    *out = (pd_listener){.fd = -1};
    return PD_RAISE(err, PD_ERR_UNSUPPORTED, "%s: there are no UNIX sockets on Windows", path);
}

/* A listening socket cannot be shut down: who connects waits until it is closed. */
void pd_listener_refuse(pd_listener *l) {
    (void)l;
}

int pd_listener_share(const pd_listener *l) {
    return pd_socket_copy(l->fd);
}

static uint16_t port_of(int fd) {
    pd_listener l = {.fd = fd};
    BOOL listens = FALSE;
    int n = sizeof listens;
    if (getsockopt(handle_of(fd), SOL_SOCKET, SO_ACCEPTCONN, (char *)&listens, &n) != 0) return 0;
    if (!listens) return 0;
    describe(&l);
    return l.port;
}

void pd_listener_close_shared(const pd_listener *l, int fd) {
    if (fd >= 0 && l->port && port_of(fd) == l->port) closesocket(handle_of(fd));
}

void pd_listener_close(pd_listener *l) {
    if (l->fd >= 0) closesocket(handle_of(l->fd));
    l->fd = -1;
}

/* ---- connections ---------------------------------------------------------------------------- */

/* A look does not take what there is to read; an end behind that is not seen. */
static bool has_ended(SOCKET s) {
    char byte;
    int got = recv(s, &byte, 1, MSG_PEEK);
    return got == 0 || (got < 0 && WSAGetLastError() != WSAEWOULDBLOCK);
}

void pd_sockets_poll(pd_polled *list, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) list[i].has_ended = has_ended(handle_of(list[i].fd));
}

bool pd_socket_peer(int fd, struct sockaddr_storage *out) {
    int n = sizeof *out;
    *out = (struct sockaddr_storage){0};
    return getpeername(handle_of(fd), (struct sockaddr *)out, &n) == 0;
}

int pd_socket_open(int family, int type, int protocol) {
    pd_sockets_begin();
    return number_of(WSASocketW(family, type, protocol, NULL, 0,
                                WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT));
}

int pd_socket_copy(int fd) {
    WSAPROTOCOL_INFOW info;
    if (WSADuplicateSocketW(handle_of(fd), GetCurrentProcessId(), &info) != 0) return -1;
    SOCKET copy = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (copy != INVALID_SOCKET) set_nonblocking(copy);
    return number_of(copy);
}

void pd_socket_close(int fd) {
    closesocket(handle_of(fd));
}

void pd_socket_send_now(int fd, const char *bytes, size_t n) {
    (void)send(handle_of(fd), bytes, (int)n, 0); /* the server's sockets do not block */
}

void pd_socket_stop_reading(int fd) {
    (void)shutdown(handle_of(fd), SD_RECEIVE);
}

void pd_socket_break(int fd) {
    (void)shutdown(handle_of(fd), SD_BOTH);
}

bool pd_socket_drop_input(int fd, size_t most, size_t *n) {
    char bytes[65536];
    for (*n = 0; *n < most;) {
        int got = recv(handle_of(fd), bytes, sizeof bytes, 0);
        if (got <= 0) return got < 0 && WSAGetLastError() == WSAEWOULDBLOCK;
        *n += (size_t)got;
    }
    return true;
}

uint32_t pd_max_sockets(void) {
    return UINT32_MAX;
}

/* ---- networks ------------------------------------------------------------------------------- */

static bool take_network(const IP_ADAPTER_UNICAST_ADDRESS *a, pd_network *out) {
    size_t n;
    const struct sockaddr *address = a->Address.lpSockaddr;
    const uint8_t *bytes = pd_address_bytes(address, (size_t)a->Address.iSockaddrLength, &n);
    *out = (pd_network){.n_bytes = (uint8_t)n, .has_mask = true};
    if (!bytes) return false;
    memcpy(out->own, bytes, n);
    for (unsigned i = 0; i < a->OnLinkPrefixLength && i < 8 * n; i++)
        out->mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
    return true;
}

pd_network *pd_networks_list(uint32_t *n) {
    enum { FLAGS = GAA_FLAG_SKIP_ANYCAST | GAA_FLAG_SKIP_MULTICAST | GAA_FLAG_SKIP_DNS_SERVER };
    ULONG bytes = 0;
    size_t room = 0;
    *n = 0;
    pd_sockets_begin();
    GetAdaptersAddresses(AF_UNSPEC, FLAGS, NULL, NULL, &bytes);
    IP_ADAPTER_ADDRESSES *list = bytes ? pd_alloc(1, bytes) : NULL;
    if (!list || GetAdaptersAddresses(AF_UNSPEC, FLAGS, NULL, list, &bytes) != NO_ERROR) {
        pd_free(list);
        return NULL;
    }
    for (IP_ADAPTER_ADDRESSES *i = list; i; i = i->Next)
        for (IP_ADAPTER_UNICAST_ADDRESS *a = i->FirstUnicastAddress; a; a = a->Next) room++;
    pd_network *networks = pd_alloc(room + 1, sizeof *networks);
    for (IP_ADAPTER_ADDRESSES *i = list; i && networks; i = i->Next)
        for (IP_ADAPTER_UNICAST_ADDRESS *a = i->FirstUnicastAddress; a; a = a->Next)
            *n += take_network(a, &networks[*n]);
    pd_free(list);
    return networks;
}
