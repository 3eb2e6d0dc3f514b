/* Room on the disk for a large file.  SPDX-License-Identifier: MIT */
#include "base/file.h"
#include "base/folder.h"
#include "base/os_file.h"
#include "base/words.h"

pd_status pd_disk_check(const char *path, uint64_t n_bytes, pd_error *err) {
    char folder[4096];
    size_t n = pd_path_name_at(path);
    uint64_t free_bytes;
    if (n >= sizeof folder || pd_path_is_device(path)) return PD_OK;
    snprintf(folder, sizeof folder, "%.*s", n ? (int)n : 1, n ? path : ".");
    if (!pd_folder_free_bytes(folder, &free_bytes)) return PD_OK; /* opening it will say more */
    if (free_bytes >= n_bytes) return PD_OK;
    char needed[32], left[32];
    return PD_RAISE(err, PD_ERR_IO, "cannot write \"%s\": it needs %s, but the disk has %s left",
                    path, pd_size_text(n_bytes, needed), pd_size_text(free_bytes, left));
}
