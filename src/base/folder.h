/* Folders: the names of their entries, and where a path's folder ends.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_FOLDER_H
#define PD_BASE_FOLDER_H

#include "base/error.h"
#include "base/memory.h"

typedef struct pd_folder {
    char **names; /* of files and folders alike, sorted by their bytes, without "." and ".." */
    size_t n;
    pd_arena arena; /* of the names */
} pd_folder;

/* Errors: IO (missing, unreadable, no folder), MEMORY_HOST. On failure nothing is left to free. */
pd_status pd_folder_list(const char *path, pd_folder *out, pd_error *err);
void pd_folder_free(pd_folder *f); /* all zero: nothing happens */

/* Where the last component of a path begins: what stands before is its folder with the separator,
 * or nothing. Windows also separates by '\' and behind a drive's ':'. */
size_t pd_path_name_at(const char *path);

#endif
