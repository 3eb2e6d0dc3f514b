/* Multiple choice.  SPDX-License-Identifier: MIT */
#ifndef PD_CLI_SCORE_CHOICES_H
#define PD_CLI_SCORE_CHOICES_H

#include "options/options.h"

/* `peridot score --choices`. Errors: FORMAT naming the first line that is not an item, CONTEXT (an
 * item is longer than --ctx-size), those of opening a model and computing. */
pd_status score_choices(const cli_options *o, pd_error *err);

#endif
