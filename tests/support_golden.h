/* What the golden tests share: whole files, and the list of devices to run on.
 *
 * PERIDOT_TEST_DEVICES overrides the list, separated by commas. Without it: both CPU backends,
 * every GPU, and llvmpipe where there is one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEST_SUPPORT_GOLDEN_H
#define PD_TEST_SUPPORT_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peridot.h"
#include "support_data.h"
#include "support_skip.h"

#define GOLDEN(name) test_data("golden/" name)

static inline void must(pd_status status, const pd_error *err) {
    if (status != PD_OK) fail_msg("%s: %s", pd_status_name(status), err->message);
}

/* The file's bytes and a NUL; free them. n may be NULL. */
static inline char *read_file(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    rewind(f);
    char *data = malloc(size + 1);
    assert_int_equal(fread(data, 1, size, f), size);
    data[size] = 0;
    fclose(f);
    if (n) *n = size;
    return data;
}

/* Appends what Vulkan has. */
static inline void add_vulkan_devices(char *devices, size_t size) {
    pd_device_info info[16];
    uint32_t n = 0;
    assert_int_equal(pd_device_list(info, 16, &n, NULL, NULL), PD_OK);
    for (uint32_t i = 0; i < n && i < 16; i++) {
        bool gpu = info[i].usable && strncmp(info[i].id, "vulkan", 6) == 0;
        size_t used = strlen(devices);
        if (gpu && (info[i].kind != PD_DEVICE_SOFTWARE || strstr(info[i].name, "llvmpipe")))
            snprintf(devices + used, size - used, ",%s",
                     info[i].kind == PD_DEVICE_SOFTWARE ? "vulkan:llvmpipe" : info[i].id);
    }
}

/* Switches of Vulkan's change nothing on the processor, which has been tested without them. */
static inline bool is_variant_of_vulkan(void) {
    return getenv("PERIDOT_DISABLE") || getenv("PERIDOT_MAX_BINDING") ||
           getenv("PERIDOT_SHADER_COMPILER");
}

/* Calls run(ctx, device) for every device of the list. */
static inline void on_every_device(void (*run)(void *ctx, const char *device), void *ctx) {
    const char *wanted = getenv("PERIDOT_TEST_DEVICES");
    char devices[512] = "cpu-ref,cpu", *save;
    if (wanted) {
        snprintf(devices, sizeof devices, "%s", wanted);
    } else {
        if (is_variant_of_vulkan()) devices[0] = 0;
        add_vulkan_devices(devices, sizeof devices);
    }
    if (!devices[0]) skip_because("no Vulkan device, of whose variants this is");
    for (char *d = strtok_r(devices, ",", &save); d; d = strtok_r(NULL, ",", &save)) run(ctx, d);
}

#endif
