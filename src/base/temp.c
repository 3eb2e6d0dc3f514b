/* See temp.h.  SPDX-License-Identifier: MIT */
#include "base/temp.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/folder.h"

pd_status pd_temp_folder_make(char path[PD_TEMP_PATH], pd_error *err) {
    const char *base = getenv("TMPDIR");
    snprintf(path, PD_TEMP_PATH, "%.400s/peridot-XXXXXX", base && *base ? base : "/tmp");
    if (mkdtemp(path)) return PD_OK;
    return PD_RAISE(err, PD_ERR_IO, "cannot make the folder \"%s\"", path);
}

void pd_temp_folder_remove(const char *path) {
    pd_folder files;
    if (pd_folder_list(path, &files, NULL) != PD_OK) return;
    for (size_t i = 0; i < files.n; i++) {
        char file[PD_TEMP_PATH + 256];
        snprintf(file, sizeof file, "%.511s/%.255s", path, files.names[i]);
        unlink(file);
    }
    pd_folder_free(&files);
    rmdir(path);
}
