/* A note that outlives a crash: what a process is trying just now, in a file of the cache that only
 * one process at a time has. Where there is no place for files, everything here does nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_MARKER_H
#define PD_VULKAN_MARKER_H

#include <stdbool.h>

typedef struct pd_vk_marker {
    int file; /* locked; -1: none */
    char *path;
    char found[96]; /* what the last one left who did not close it; "": nobody */
} pd_vk_marker;

/* `name` is the cache file's whose making is marked. Waits while another process has it. */
void pd_vk_marker_open(pd_vk_marker *m, const char *name);
void pd_vk_marker_write(pd_vk_marker *m, const char *what);
/* done: nothing is left to tell. */
void pd_vk_marker_close(pd_vk_marker *m, bool done);

#endif
