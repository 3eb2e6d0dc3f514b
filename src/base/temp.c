/* See temp.h.  SPDX-License-Identifier: MIT */
#include "base/temp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/env.h"
#include "base/folder.h"
#include "base/os_file.h"
#include "base/process.h"
#include "base/random.h"
#include "base/system_folders.h"

pd_status pd_temp_folder_make(char path[PD_TEMP_PATH], pd_error *err) {
    const char *base = pd_env("TMPDIR");
    char system[PD_TEMP_PATH];
    if (!base || !*base) base = pd_system_temp(system);
    for (int attempt = 0; attempt < 100; attempt++) {
        snprintf(path, PD_TEMP_PATH, "%.400s/peridot-%llu-%08x", base,
                 (unsigned long long)pd_process_id(), pd_random_seed());
        if (pd_folder_make(path, 0700)) return PD_OK;
        if (errno != EEXIST) break;
    }
    return PD_RAISE(err, PD_ERR_IO, "cannot make the folder \"%s\": %s", path, strerror(errno));
}

void pd_temp_folder_remove(const char *path) {
    pd_folder files;
    if (pd_folder_list(path, &files, NULL) != PD_OK) return;
    for (size_t i = 0; i < files.n; i++) {
        char file[PD_TEMP_PATH + 256];
        snprintf(file, sizeof file, "%.511s/%.255s", path, files.names[i]);
        pd_path_remove(file);
    }
    pd_folder_free(&files);
    pd_folder_remove(path);
}
