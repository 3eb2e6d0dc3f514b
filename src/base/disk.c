/* Room on the disk for a large file.  SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/statvfs.h>

#include "base/file.h"
#include "base/words.h"

pd_status pd_disk_check(const char *path, uint64_t n_bytes, pd_error *err) {
    char folder[4096];
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) + 1 : 1;
    if ((size_t)n >= sizeof folder || strncmp(path, "/dev/", 5) == 0) return PD_OK;
    snprintf(folder, sizeof folder, "%.*s", n, slash ? path : ".");
    struct statvfs fs;
    if (statvfs(folder, &fs) != 0) return PD_OK; /* opening the file will say more */
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes >= n_bytes) return PD_OK;
    char needed[32], left[32];
    return PD_RAISE(err, PD_ERR_IO, "cannot write \"%s\": it needs %s, but the disk has %s left",
                    path, pd_size_text(n_bytes, needed), pd_size_text(free_bytes, left));
}
