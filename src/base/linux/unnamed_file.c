/* Files without a name, of base/os_file.h.  SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* O_TMPFILE */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/os_file.h"

const char *pd_fd_link(int fd, char out[32]) {
    snprintf(out, 32, "/proc/self/fd/%d", fd);
    return out;
}

/* Named by way of /proc, which has to be there. Android lets programs link no files. */
int pd_fd_open_unnamed(const char *folder) {
#ifdef __ANDROID__
    (void)folder;
    return -1;
#else
    char link[32];
    int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    if (fd >= 0 && access(pd_fd_link(fd, link), F_OK) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
#endif
}

bool pd_fd_name(int fd, const char *path) {
    char link[32];
    return linkat(AT_FDCWD, pd_fd_link(fd, link), AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
}
