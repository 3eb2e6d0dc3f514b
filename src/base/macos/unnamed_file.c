/* Files without a name, of base/os_file.h: there are none.  SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/os_file.h"

int pd_fd_open_unnamed(const char *folder) {
    (void)folder;
    errno = ENOTSUP;
    return -1;
}

bool pd_fd_name(int fd, const char *path) {
    (void)fd, (void)path;
    errno = ENOTSUP;
    return false;
}

const char *pd_fd_link(int fd, char out[32]) {
    (void)fd;
    out[0] = '\0';
    return out;
}
