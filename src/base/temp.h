/* Folders for a while.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_TEMP_H
#define PD_BASE_TEMP_H

#include "base/error.h"

enum { PD_TEMP_PATH = 512 };

/* A new folder that is nobody else's, in $TMPDIR or where the system has such. Errors: IO. */
pd_status pd_temp_folder_make(char path[PD_TEMP_PATH], pd_error *err);
/* With the files in it; folders in it stay, and it with them. */
void pd_temp_folder_remove(const char *path);

#endif
