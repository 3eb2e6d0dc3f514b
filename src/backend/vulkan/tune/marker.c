/* Marks of what is under way: see marker.h. A process that dies loses its lock, but not its mark.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/tune/marker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os_file.h"

/* File systems without locks are taken as they are. */
static void wait_for_lock(const pd_vk_marker *m) {
    for (bool told = false; pd_fd_lock(m->file) == PD_LOCK_BUSY; told = true) {
        if (!told)
            pd_log(PD_LOG_INFO, "vulkan", "waiting for another process that tries this driver out");
        pd_sleep_ms(50);
    }
}

void pd_vk_marker_open(pd_vk_marker *m, const char *name) {
    char file[192];
    *m = (pd_vk_marker){.file = -1};
    snprintf(file, sizeof file, "%s.trying", name);
    m->path = pd_cache_path(file);
    if (!m->path) return;
    m->file = pd_fd_open(m->path, PD_OPEN_READ | PD_OPEN_WRITE | PD_OPEN_CREATE);
    if (m->file < 0) return;
    wait_for_lock(m);
    if (pd_fd_read(m->file, m->found, sizeof m->found - 1, 0) < 0) m->found[0] = '\0';
}

/* Synced, since some crashes take the whole machine. */
void pd_vk_marker_write(pd_vk_marker *m, const char *what) {
    size_t n = strlen(what);
    if (m->file < 0) return;
    bool written = pd_fd_truncate(m->file, 0) && pd_fd_write(m->file, what, n, 0) == (int64_t)n &&
                   pd_fd_sync(m->file);
    if (!written)
        pd_log(PD_LOG_DEBUG, "vulkan", "\"%s\" not written: %s", m->path, strerror(errno));
}

void pd_vk_marker_close(pd_vk_marker *m, bool done) {
    if (m->file >= 0) {
        if (done) pd_path_remove(m->path);
        pd_fd_close(m->file);
    }
    pd_free(m->path);
}
