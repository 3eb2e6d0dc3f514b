/* What follows from the system's own calls.  SPDX-License-Identifier: MIT */
#include "base/os_file.h"

bool pd_path_is_file(const char *path) {
    pd_path_info info;
    return pd_path_look(path, &info) && info.kind == PD_PATH_FILE;
}

bool pd_path_is_folder(const char *path) {
    pd_path_info info;
    return pd_path_look(path, &info) && info.kind == PD_PATH_FOLDER;
}
