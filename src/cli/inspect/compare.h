/* Parts of `peridot inspect A B`.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_COMPARE_H
#define PD_CLI_COMPARE_H

#include "cli/inspect/inspect.h"
#include "pack/compare.h"

/* compare_json.c */
pd_status compare_print_json(const comparison *c, pd_error *err);

#endif
