/* Marks of what is under way: see marker.h. A process that dies loses its lock, but not its mark.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/vulkan/tune/marker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

/* File systems without locks are taken as they are. */
static void wait_for_lock(const pd_vk_marker *m) {
    for (bool told = false; flock(m->file, LOCK_EX | LOCK_NB) != 0; told = true) {
        if (errno != EWOULDBLOCK && errno != EINTR) return;
        if (!told)
            pd_log(PD_LOG_INFO, "vulkan", "waiting for another process that tries this driver out");
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000L}, NULL);
    }
}

void pd_vk_marker_open(pd_vk_marker *m, const char *name) {
    char file[192];
    *m = (pd_vk_marker){.file = -1};
    snprintf(file, sizeof file, "%s.trying", name);
    m->path = pd_cache_path(file);
    if (!m->path) return;
    m->file = open(m->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (m->file < 0) return;
    wait_for_lock(m);
    ssize_t n = pread(m->file, m->found, sizeof m->found - 1, 0);
    if (n < 0) m->found[0] = '\0';
}

/* Synced, since some crashes take the whole machine. */
void pd_vk_marker_write(pd_vk_marker *m, const char *what) {
    size_t n = strlen(what);
    if (m->file < 0) return;
    bool written = ftruncate(m->file, 0) == 0 && pwrite(m->file, what, n, 0) == (ssize_t)n &&
                   fsync(m->file) == 0;
    if (!written)
        pd_log(PD_LOG_DEBUG, "vulkan", "\"%s\" not written: %s", m->path, strerror(errno));
}

void pd_vk_marker_close(pd_vk_marker *m, bool done) {
    if (m->file >= 0) {
        if (done) unlink(m->path);
        close(m->file);
    }
    pd_free(m->path);
}
