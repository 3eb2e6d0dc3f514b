/* `peridot devices --test`.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_DEVICE_TEST_H
#define PD_CLI_DEVICE_TEST_H

#include <cjson/cJSON.h>

#include "cli/commands.h"

/* Tests a device, and prints a line for each test, or adds them to json where that is not NULL.
 * Errors: DIFFERS, and those of pd_device_run_tests. */
pd_status cli_test_device(const cli_options *o, const pd_device_info *d, cJSON *json,
                          pd_error *err);

#endif
