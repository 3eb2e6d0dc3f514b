/* The system's own headers about sockets.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_SOCKET_TYPES_H
#define PD_BASE_SOCKET_TYPES_H

#ifdef _WIN32
#include <winsock2.h>

#include <ws2tcpip.h>
#else
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#endif

#endif
