/* A folder in place of /sys.  SPDX-License-Identifier: MIT */
#ifndef PERIDOT_TESTS_SUPPORT_SYSFS_H
#define PERIDOT_TESTS_SUPPORT_SYSFS_H

#include "support_folder.h"

/* A line as a file in a folder of the test's, both made where they are not there. */
static inline void put(const char *folder, const char *file, const char *text) {
    char command[512], path[512];
    snprintf(command, sizeof command, "mkdir -p '%s/%s'", test_folder, folder);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/%s/%s", test_folder, folder, file);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%s\n", text);
    fclose(f);
}

#endif
