/* See work.h.  SPDX-License-Identifier: MIT */
#include "pack/work.h"

#include <stdio.h>

static void list_types(char *out, size_t n_out) {
    uint32_t n;
    const pd_type_info *types = pd_type_list(&n);
    for (uint32_t i = 0, at = 0; i < n && at < n_out; i++)
        at += (uint32_t)snprintf(out + at, n_out - at, "%s%s", i ? ", " : "", types[i].name);
}

pd_status pack_type(const char *what, const char *name, pd_type fallback, pd_type *out,
                    pd_error *err) {
    char names[160];
    const pd_type_info *info = name ? pd_type_find(name) : pd_type_get((uint32_t)fallback);
    if (info) {
        *out = info->type;
        return PD_OK;
    }
    list_types(names, sizeof names);
    pd_status status =
        PD_RAISE(err, PD_ERR_ARGUMENT, "there is no type \"%.40s\" for %s", name, what);
    return pd_error_hint(err, status, "%s", names);
}

pd_status pack_tell(const pd_files_work *work, uint64_t bytes_done, uint64_t bytes_total,
                    pd_error *err) {
    if (!work->progress || work->progress(work->progress_ctx, bytes_done, bytes_total))
        return PD_OK;
    return PD_RAISE(err, PD_ERR_CANCELLED, "stopped on request");
}
