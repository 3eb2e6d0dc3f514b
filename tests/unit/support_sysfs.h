/* A folder in place of /sys, and devices of which it tells.  SPDX-License-Identifier: MIT */
#ifndef PERIDOT_TESTS_SUPPORT_SYSFS_H
#define PERIDOT_TESTS_SUPPORT_SYSFS_H

#include "peridot.h"
#include "support_folder.h"

static const pd_device_info cpu = {.id = "cpu", .kind = PD_DEVICE_CPU};
static const pd_device_info card = {
    .id = "vulkan:0", .kind = PD_DEVICE_GPU_DISCRETE, .vendor_id = 0x1002};
static const pd_device_info geforce = {.id = "vulkan:0",
                                       .kind = PD_DEVICE_GPU_DISCRETE,
                                       .vendor_id = 0x10de,
                                       .uuid = "01234567-89ab-cdef-0123-456789abcdef"};

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
