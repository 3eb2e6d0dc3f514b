/* Tests that run Vulkan end with check_validation_silent: with PERIDOT_VALIDATION set, a single
 * message of the Khronos layer fails them. Messages are printed as they come.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEST_SUPPORT_VALIDATION_H
#define PD_TEST_SUPPORT_VALIDATION_H

#include <stdio.h>

#include "peridot.h"
#ifdef PERIDOT_HAS_VULKAN
#include "backend/vulkan/device/device.h"
#endif

static void print_log_line(void *ctx, pd_log_level level, const char *subsystem, const char *line) {
    (void)ctx;
    (void)level;
    fprintf(stderr, "[%s] %s\n", subsystem, line);
}

static void check_validation_silent(void **state) {
    (void)state;
#ifdef PERIDOT_HAS_VULKAN
    assert_int_equal(pd_vk_validation_count(), 0);
#endif
}

#define PRINT_LOG() pd_log_set(print_log_line, NULL, PD_LOG_WARN)

#endif
