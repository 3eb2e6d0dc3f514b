/* Where time goes, by kind of operation: a table on standard error.  SPDX-License-Identifier: MIT
 */
#ifndef PD_CLI_PROFILE_H
#define PD_CLI_PROFILE_H

#include "cli/commands.h"
#include "peridot_measure.h"

enum { CLI_MAX_KINDS = 32 };

/* What one kind of operation took in a step, over all layers; see pd_profile_op. */
typedef struct cli_profile_kind {
    char name[32]; /* "gate_up", "attention", ... */
    uint32_t n_ops;
    uint64_t ns, bytes;
    double flops;
} cli_profile_kind;

typedef struct cli_profile {
    cli_profile_kind kinds[CLI_MAX_KINDS]; /* in the order of the plan */
    uint32_t n;
    uint64_t total_ns;
} cli_profile;

void cli_profile_add(cli_profile *p, const pd_profile_op *op);

/* Of the device's copy bandwidth and of its matrix peak, in per cent. */
double cli_copy_percent(const pd_device_speed *speed, const cli_profile_kind *k);
double cli_peak_percent(const pd_device_speed *speed, const cli_profile_kind *k);

/* "<what>, operation by operation: ..." and a line for each kind, then their sum. */
void cli_profile_print(const cli_profile *p, const pd_device_speed *speed, const char *what);

#endif
