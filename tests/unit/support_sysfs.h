/* A folder in place of /sys.  SPDX-License-Identifier: MIT */
#ifndef PERIDOT_TESTS_SUPPORT_SYSFS_H
#define PERIDOT_TESTS_SUPPORT_SYSFS_H

#include "support_folder.h"

/* A line as a file in a folder of the test's, both made where they are not there. */
static inline void put(const char *folder, const char *file, const char *text) {
    char path[PD_TEMP_PATH + 256];
    for (size_t n = 0; folder[n]; n++) { /* every folder on the way */
        if (folder[n + 1] != '/' && folder[n + 1] != '\0') continue;
        snprintf(path, sizeof path, "%s/%.*s", test_folder, (int)n + 1, folder);
        (void)pd_folder_make(path, 0700);
    }
    snprintf(path, sizeof path, "%s/%.100s/%.100s", test_folder, folder, file);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fprintf(f, "%s\n", text);
    fclose(f);
}

#endif
