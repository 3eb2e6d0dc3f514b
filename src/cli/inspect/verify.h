/* Parts of `peridot verify`.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_VERIFY_H
#define PD_CLI_VERIFY_H

#include "cli/commands.h"

/* verify_json.c */
pd_status verify_print_json(const pd_verification *v, pd_error *err);

#endif
